#!/usr/bin/env python3
"""The same photos, the same server, the same way there: rollbook beside icloudpd.

Both go through the small proxy of `tests/icloudpd/run.py`, which ends their TLS, to one sandbox, and begin
with a session, so that neither pays for the key stretching. They take turns; each round has folders of its
own. Printed are medians, and the ratio round by round; CPU is that of the client alone.

Usage: benches/icloudpd.py ROLLBOOK SANDBOX [ROUNDS] with two release binaries. Environment: ICLOUDPD names an
icloudpd to use instead of the one that pip installs into a temporary folder.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "icloudpd"))
import run  # noqa: E402

ASSETS = 160
MEAN_SIZE_BYTES = 2_500_000
run.ASSETS = ASSETS
run.ICLOUDPD_SECONDS_MAX = 600


def main() -> int:
    rollbook, sandbox = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    try:
        with tempfile.TemporaryDirectory(prefix="icloudpd-bench-") as directory:
            compare(Path(directory), rollbook, sandbox, rounds)
    except run.Skip as reason:
        print(f"skipped: {reason}")
    return 0


def compare(work: Path, rollbook: str, binary: str, rounds: int) -> None:
    context = run.make_certificates(work)
    icloudpd = run.find_icloudpd(work)
    size = ["--mean-size-bytes", str(MEAN_SIZE_BYTES), "--url-life-s", "86400"]
    with subprocess.Popen(
        [binary, "--assets", str(ASSETS), "--seed", "7", *size], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            sandbox = run.json.loads(process.stdout.readline())
            with run.running_proxy(sandbox["endpoint"], context) as proxy:
                costs: dict[str, list] = {"rollbook": [], "icloudpd": []}
                # The sandbox makes its checksums once; nobody should be measured waiting for that.
                ours(rollbook, sandbox, proxy, work, work / "first")
                for number in range(rounds):
                    place = work / str(number)
                    costs["rollbook"].append(ours(rollbook, sandbox, proxy, work, place / "rollbook"))
                    costs["icloudpd"].append(theirs(icloudpd, sandbox, proxy, work, place / "icloudpd"))
        finally:
            process.kill()
    print(f"{'':12}{'files':>8}{'MB':>8}{'wall s':>9}{'CPU s':>9}{'x wall':>9}{'x CPU':>9}")
    base = costs["rollbook"]
    for who, rows in costs.items():
        middle = [statistics.median(row[column] for row in rows) for column in range(4)]
        ratio = [statistics.median(row[c] / first[c] for row, first in zip(rows, base)) for c in (2, 3)]
        print(f"{who:12}{middle[0]:8.0f}{middle[1]:8.0f}{middle[2]:9.2f}{middle[3]:9.2f}{ratio[0]:9.2f}{ratio[1]:9.2f}")


def ours(rollbook: str, sandbox: dict, proxy: str, work: Path, place: Path) -> tuple:
    place.mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "HTTPS_PROXY": proxy,
        "SSL_CERT_FILE": str(work / "ca.pem"),
        "ROLLBOOK_USERNAME": sandbox["username"],
        "ROLLBOOK_PASSWORD": sandbox["password"],
        "ROLLBOOK_DIRECTORY": str(place / "photos"),
        "ROLLBOOK_DATA_DIR": str(place / "data"),
    }
    quiet = {"env": environment, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([rollbook, "login"], **quiet, stderr=subprocess.DEVNULL)
    return measured(place, lambda: subprocess.run([rollbook, "sync", "--no-progress-bar"], **quiet))


def theirs(icloudpd: str, sandbox: dict, proxy: str, work: Path, place: Path) -> tuple:
    place.mkdir(parents=True)
    # Signs in, and asks for nothing.
    run.run_icloudpd(icloudpd, sandbox, proxy, work / "ca.pem", place, ["--auth-only"])
    return measured(place, lambda: run.run_icloudpd(icloudpd, sandbox, proxy, work / "ca.pem", place))


def measured(place: Path, work) -> tuple:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    files = [path.stat().st_size for path in (place / "photos").rglob("*") if path.is_file()]
    return len(files), sum(files) / 1e6, wall, cpu


if __name__ == "__main__":
    sys.exit(main())
