"""A container engine for the tests: Docker where it answers, or a dockerd of the tests' own where root has one; and a Python image to build on.

`find_engine` and `find_base_image` return what they found, or raise Unavailable with the reason, which becomes the reason of the skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

DEFAULT_BASE = "python:3.12-slim"
OWN_BASE = "localhost/ai-lab-test-base:bookworm"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Unavailable(Exception):
    """Why there is nothing to test with on this machine."""


def docker(*arguments: str, timeout: float = 300, check: bool = True) -> str:
    """What `docker` prints; raises AssertionError with its own words where it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0


@contextlib.contextmanager
def find_engine(folder: Path) -> Iterator[None]:
    """Docker answers inside this block. `folder` holds the data of a dockerd that has to be started."""
    if sys.platform != "linux":
        raise Unavailable("containers are tried on Linux only: other systems keep them in a virtual machine, which does not share sockets")
    if shutil.which("docker") is None:
        raise Unavailable("docker is not installed (Debian: apt-get install docker.io debootstrap)")
    if _answers():
        yield
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise Unavailable("the Docker daemon does not answer, and this user cannot start one")
    socket = folder / "docker.sock"
    # Neither bridge nor packet filter: the tests' containers use the host's network, and the host's own rules stay as they are.
    options = [
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        f"--host=unix://{socket}",
        f"--pidfile={folder / 'pid'}",
    ]
    with (folder / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(
            ["dockerd", f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", *options],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        deadline = time.monotonic() + 60
        while not _answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"dockerd does not start here: {(folder / 'dockerd.log').read_text().strip().splitlines()[-1]}")
            time.sleep(0.2)
        yield
    finally:
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(10)
        # dockerd leaves the host's network namespace mounted here.
        subprocess.run(["umount", str(folder / "exec" / "netns" / "default")], capture_output=True, check=False)


def find_base_image(folder: Path) -> str:
    """The BASE_IMAGE to build on: the one that the environment names, the usual one where it can be had, or Debian's Python by debootstrap."""
    if named := os.environ.get("BASE_IMAGE"):
        return named
    for reference in (DEFAULT_BASE, OWN_BASE):
        if docker("image", "inspect", reference, check=False).strip() not in ("", "[]"):
            return reference
    pulled = subprocess.run(["docker", "pull", "--quiet", DEFAULT_BASE], capture_output=True, text=True, timeout=600, check=False)
    if pulled.returncode == 0:
        return DEFAULT_BASE
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise Unavailable(f"{DEFAULT_BASE} cannot be fetched ({pulled.stderr.strip().splitlines()[-1][:120]}), and root has no debootstrap")
    root = folder / "bookworm"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3,python3-pip,ca-certificates", "bookworm", str(root)],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    if made.returncode != 0:
        raise Unavailable(f"debootstrap does not get Debian: {made.stdout.strip().splitlines()[-1]}")
    # Debian's pip wants a virtual environment for itself; in an image of one program the system's Python is that program's.
    for guard in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        guard.unlink()
    if _CERTIFICATES.exists():
        # A network may have a certificate of its own, which this host trusts.
        shutil.copyfile(_CERTIFICATES, root / str(_CERTIFICATES).lstrip("/"))
    with subprocess.Popen(["tar", "-C", str(root), "--exclude=./var/cache/apt", "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", OWN_BASE], stdin=tar.stdout, check=True, capture_output=True, timeout=300)
    shutil.rmtree(root, ignore_errors=True)
    return OWN_BASE
