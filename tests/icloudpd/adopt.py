#!/usr/bin/env python3
"""Proves that rollbook takes over what icloudpd downloaded: all of it, without a request and without a write.

icloudpd, unmodified, downloads the sandbox's library under each of its naming policies (see run.py for
how it gets there). `rollbook adopt` then has to find every file that Apple lists among them, where it
stands: it goes on with icloudpd's session, no content is asked for, and no inode or change time differs. The `rollbook sync` that follows may
fetch only what icloudpd had not, and what is here in the end must equal the truth.

Environment: as run.py; ROLLBOOK names rollbook's binary instead of the one that cargo builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import run

# Naming policy, folders, sizes, and how movies of Live Photos are called.
TREES = [
    ("name-size-dedup-with-suffix", "{:%Y/%m/%d}", ["original", "adjusted", "alternative"], "suffix"),
    ("name-id7", "{:%Y/%m}", ["original", "adjusted", "alternative"], "original"),
    ("name-size-dedup-with-suffix", "none", ["original", "medium", "thumb"], "suffix"),
]
# What hangs must not hold up the other tests.
ROLLBOOK_SECONDS_MAX = 120


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="icloudpd-adopt-") as directory:
            return prove(Path(directory))
    except run.Skip as reason:
        print(f"skipped: {reason}")
        return 0


def prove(work: Path) -> int:
    context = run.make_certificates(work)
    icloudpd = run.find_icloudpd(work)
    sandbox_binary, rollbook = run.find_sandbox(), find_rollbook()
    with run.running_sandbox(sandbox_binary, "s2k") as sandbox, run.running_proxy(sandbox["endpoint"], context) as proxy:
        truth = run.control(sandbox, "truth")
        for number, (policy, folders, sizes, movies) in enumerate(TREES):
            place = work / str(number)
            place.mkdir()
            choice = ["--file-match-policy", policy, "--folder-structure", folders]
            choice += ["--live-photo-mov-filename-policy", movies]
            for size in sizes:
                choice += ["--size", size]
            run.run_icloudpd(icloudpd, sandbox, proxy, work / "ca.pem", place, choice)
            print(f"{policy} {folders} {' '.join(sizes)}: ", end="")
            if judge(rollbook, sandbox, place, truth) != 0:
                return 1
    return 0


def judge(rollbook: str, sandbox: dict, place: Path, truth: list) -> int:
    photos = place / "photos"
    before, digests = facts(photos), Counter(digest(path) for path in files(photos))
    wanted = Counter(file["sha256"] for file in truth)
    ours = sum((digests & wanted).values())
    run.control(sandbox, "reset_counters", b"")
    call(rollbook, sandbox, place, "login", "--from-icloudpd", str(place / "cookies"))
    adopted = json.loads(call(rollbook, sandbox, place, "adopt", "--json"))[0]
    requests = run.control(sandbox, "counters")["requests"]
    if "signin_init" in requests:
        return failed(f"icloudpd's session was not taken over: {requests}")
    if "cdn" in requests:
        return failed(f"adopt asked for content: {requests}")
    if facts(photos) != before:
        return failed("adopt wrote to the tree")
    others = sum(digests.values()) - ours
    named = adopted["duplicate_files"] + adopted["unknown_files"]
    if adopted["adopted_files"] != ours or named != others or adopted["fetch_files"] != sum((wanted - digests).values()):
        return failed(f"{ours} files are in the truth and {others} are not: {json.dumps(adopted, indent=1)}")
    print(f"{ours} files adopted, {others} named, ", end="")
    call(rollbook, sandbox, place, "sync")
    fetched = run.control(sandbox, "counters")["requests"].get("cdn", 0)
    if fetched != adopted["fetch_files"]:
        return failed(f"sync fetched {fetched} files of {adopted['fetch_files']}")
    after = facts(photos)
    if any(after.get(path) != fact for path, fact in before.items()):
        return failed("sync changed a file of icloudpd's")
    missing = wanted - Counter(digest(path) for path in files(photos))
    if missing:
        return failed(f"{sum(missing.values())} files are missing in the end")
    print(f"{fetched} fetched, {sum(wanted.values())} in the end")
    return 0


def failed(why: str) -> int:
    print(f"\nfailed: {why}")
    return 1


def files(photos: Path) -> list[Path]:
    return [path for path in photos.rglob("*") if path.is_file() and path.name != ".rollbook"]


def facts(photos: Path) -> dict[Path, tuple]:
    stats = {path: path.stat() for path in files(photos)}
    return {path: (stat.st_ino, stat.st_ctime_ns, stat.st_mtime_ns) for path, stat in stats.items()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def call(rollbook: str, sandbox: dict, place: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "ROLLBOOK_USERNAME": sandbox["username"],
        "ROLLBOOK_PASSWORD": sandbox["password"],
        "ROLLBOOK_DIRECTORY": str(place / "photos"),
        "ROLLBOOK_DATA_DIR": str(place / "data"),
        "ROLLBOOK_ENDPOINT": sandbox["endpoint"],
    }
    done = subprocess.run(
        [rollbook, *arguments], env=environment, capture_output=True, text=True, timeout=ROLLBOOK_SECONDS_MAX
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
        sys.exit(f"failed: rollbook {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout


def find_rollbook() -> str:
    return os.environ.get("ROLLBOOK") or run.build("rollbook", "rollbook")


if __name__ == "__main__":
    sys.exit(main())
