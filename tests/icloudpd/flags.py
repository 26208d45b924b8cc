#!/usr/bin/env python3
"""Proves that no flag of the real icloudpd is forgotten: each one of its help stands in the README's table, and
`rollbook config from-icloudpd` knows it.

Environment: as run.py; ROLLBOOK names rollbook's binary instead of the one that cargo builds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import adopt
import run


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="icloudpd-flags-") as directory:
            icloudpd = run.find_icloudpd(Path(directory))
            help_text = subprocess.run([icloudpd, "--help"], capture_output=True, text=True, check=True).stdout
            return judge(adopt.find_rollbook(), help_text)
    except run.Skip as reason:
        print(f"skipped: {reason}")
        return 0


def judge(rollbook: str, help_text: str) -> int:
    # A flag stands at the head of its line, a short form before or behind it.
    flags = set()
    for line in help_text.splitlines():
        if re.match(r"  -", line):
            head = re.split(r"  +", line.strip())[0]
            flags.update(re.findall(r"(?:^|[ ,])(--?[a-z][a-z-]*)", head))
    readme = (run.ROOT / "README.md").read_text()
    table = readme.split("| icloudpd 1.32 | rollbook |")[1].split("\n\n")[0]
    named = set(re.findall(r"<code>(--?[a-z*-]+)</code>", table)) | {"-h", "--help", "--version"}
    wrong = []
    for flag in sorted(flags):
        if flag not in named and not (flag.startswith("--smtp-") and "--smtp-*" in named):
            wrong.append(f"{flag} is not in the README")
        # What a 7 means to the flag is another matter: the exit code may be 2.
        line = subprocess.run(
            [rollbook, "config", "from-icloudpd", "icloudpd", flag, "7"], capture_output=True, text=True
        ).stdout
        if not line:
            wrong.append(f"{flag} says nothing")
        if f"# {flag}: is no flag" in line:
            wrong.append(f"{flag} is not known: {line}")
    for flag in sorted(named - flags - {"--smtp-*"}):
        wrong.append(f"{flag} is in the README and no flag of icloudpd")
    print("\n".join(wrong) if wrong else f"all {len(flags)} flags of icloudpd {run.ICLOUDPD_VERSION} are known")
    return 1 if wrong or len(flags) < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
