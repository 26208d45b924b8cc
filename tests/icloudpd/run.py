#!/usr/bin/env python3
"""Proves the sandbox faithful: icloudpd, unmodified, signs in, lists and downloads from it.

icloudpd knows only the real hosts. A small proxy on the loopback ends its TLS with a certificate
made for this run and hands the plain bytes to the sandbox, which answers in the real hosts' names
when it is called by them. Every downloaded file is then compared with what the sandbox says is
true. A second run must keep its session and its files. Nothing leaves the machine, except that pip
may fetch icloudpd. The second factor is not walked: icloudpd sends those calls past the environment's
certificate authority, so no proxy of ours can answer them.

Environment: ICLOUDPD names an icloudpd to use instead of the one that pip installs into a temporary
folder; SANDBOX names the sandbox's binary instead of the one that cargo builds. Exits with 1 on any
difference, and with 0 if all is equal or if something it needs is not on this machine (it says what).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import Counter
from pathlib import Path

ICLOUDPD_VERSION = "1.32.3"
ROOT = Path(__file__).resolve().parents[2]
# Each takes a few seconds on an idle machine. What hangs must not hold up the other tests.
PIP_SECONDS_MAX = 90
ICLOUDPD_SECONDS_MAX = 90
HOSTS = ["idmsa.apple.com", "*.icloud.com", "*.icloud-content.com"]
ASSETS = 60
# The naming policy and the sizes; with these it downloads the renditions below, and leaves a live photo's edited
# movie.
USUAL = ["--file-match-policy", "name-id7", "--size", "original", "--size", "adjusted", "--size", "alternative"]
EXPECTED = {"Original", "OriginalAlt", "OriginalVidCompl", "JPEGFull"}


class Skip(Exception):
    """Something this test needs is not on this machine."""


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="icloudpd-interop-") as directory:
            return compare(Path(directory))
    except Skip as reason:
        print(f"skipped: {reason}")
        return 0


def compare(work: Path) -> int:
    # The cheapest reason to skip comes first.
    context = make_certificates(work)
    icloudpd = find_icloudpd(work)
    binary = find_sandbox()
    for protocol in ["s2k", "s2k_fo"]:
        place = work / protocol
        place.mkdir()
        with running_sandbox(binary, protocol) as sandbox, running_proxy(sandbox["endpoint"], context) as proxy:
            first = run_icloudpd(icloudpd, sandbox, proxy, work / "ca.pem", place)
            if judge(control(sandbox, "truth"), place / "photos", first) != 0:
                return 1
            control(sandbox, "reset_counters", b"")
            second = run_icloudpd(icloudpd, sandbox, proxy, work / "ca.pem", place)
            requests = control(sandbox, "counters")["requests"]
        if "signin_init" in requests or "cdn" in requests:
            print(second[-4000:])
            print(f"failed: the second run should have kept its session and its files: {requests}")
            return 1
        print(f"{protocol}: the second run kept its session and its files")
    return 0


def run_icloudpd(
    icloudpd: str, sandbox: dict, proxy: str, authority: Path, place: Path, choice: list[str] = USUAL
) -> str:
    """Runs icloudpd once and returns what it said."""
    options = {
        "--username": sandbox["username"],
        "--password": sandbox["password"],
        "--password-provider": "parameter",
        "--cookie-directory": place / "cookies",
        "--directory": place / "photos",
        "--log-level": "info",
    }
    flat = [str(part) for option in options.items() for part in option]
    trust = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "REQUESTS_CA_BUNDLE": str(authority),
    }
    try:
        done = subprocess.run(
            [icloudpd, *flat, *choice, "--no-progress-bar"],
            env={**os.environ, **trust, "TZ": "UTC"},
            capture_output=True,
            text=True,
            timeout=ICLOUDPD_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        sys.exit(f"failed: icloudpd did not end within {ICLOUDPD_SECONDS_MAX} seconds")
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
        sys.exit(f"failed: icloudpd ended with {done.returncode}")
    return done.stdout


def control(sandbox: dict, name: str, body: bytes | None = None):
    """Asks the sandbox itself; with a body, tells it to do something."""
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with straight.open(f"{sandbox['endpoint']}/_sandbox/{name}", data=body) as answer:
        return json.load(answer)


def judge(truth: list, photos: Path, output: str) -> int:
    """Every file must be true, and everything true that icloudpd can fetch must be there."""
    files = [path for path in photos.rglob("*") if path.is_file()]
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files}
    true = {file["sha256"]: file for file in truth}
    false = [path for digest, path in found.items() if digest not in true]
    missing = [file for digest, file in true.items() if digest not in found and is_expected(file)]
    for path in false:
        print(f"false: {path.relative_to(photos)}")
    for file in missing:
        print(f"missing: {file['rendition']} of {file['filename']}")
    kinds = Counter(true[digest]["rendition"] for digest in found if digest in true)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    if false or missing or not found:
        print(output[-4000:])
        print(f"failed: {len(false)} false, {len(missing)} missing")
        return 1
    print(f"equal: {len(found)} files of {ASSETS} assets, byte for byte")
    return 0


def is_expected(file: dict) -> bool:
    return file["rendition"] in EXPECTED


def find_icloudpd(work: Path) -> str:
    if named := os.environ.get("ICLOUDPD"):
        return named
    environment = work / "venv"
    pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    try:
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, capture_output=True, text=True)
        subprocess.run(
            [*pip, f"icloudpd=={ICLOUDPD_VERSION}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=PIP_SECONDS_MAX,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
        raise Skip(f"icloudpd {ICLOUDPD_VERSION} cannot be installed: {' '.join(said) or error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skip(f"icloudpd {ICLOUDPD_VERSION} cannot be installed: {error}") from error
    return str(environment / "bin" / "icloudpd")


def find_sandbox() -> str:
    if named := os.environ.get("SANDBOX"):
        return named
    return build("rollbook-sandbox", "rollbook-sandbox")


def build(package: str, binary: str) -> str:
    """Builds a binary of ours, and says where it is."""
    if not shutil.which("cargo"):
        raise Skip("cargo is not installed")
    command = ["cargo", "build", "--quiet", "--package", package, "--bin", binary]
    told = subprocess.run([*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if told.returncode != 0:
        sys.exit(f"failed: {binary} does not build")
    # Cargo itself says where it put the binary, whatever its target directory.
    built = [json.loads(line).get("executable") for line in told.stdout.splitlines()]
    return next(path for path in reversed(built) if path)


def make_certificates(work: Path) -> ssl.SSLContext:
    """A certificate authority for this run, and one certificate for all hosts."""
    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)

    (work / "san").write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in HOSTS) + "\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Sandbox test CA",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sandbox", "-keyout", "host.key", "-out", "host.csr")
    openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "host.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "host.pem", work / "host.key")
    return context


@contextlib.contextmanager
def running_sandbox(binary: str, protocol: str):
    command = [binary, "--assets", str(ASSETS), "--seed", "7", "--protocol", protocol]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def running_proxy(endpoint: str, context: ssl.SSLContext):
    """A CONNECT proxy that leads every host to the sandbox."""
    host, port = endpoint.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=bridge, args=(client, (host, int(port)), context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield "http://127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        listener.close()


def bridge(client: socket.socket, sandbox: tuple, context: ssl.SSLContext) -> None:
    head = b""
    with contextlib.suppress(OSError), client:
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(client, server_side=True) as inside, socket.create_connection(sandbox) as outside:
            threading.Thread(target=pump, args=(inside, outside), daemon=True).start()
            pump(outside, inside)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main())
