"""`ai-lab up --cluster kind` as a learner types it, with programs on PATH that answer as broken ones do: words, an offer, an exit status."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN

NO_CLUSTER = 5

DOCKER = """case "$1" in
  --version) echo 'Docker version 28.2.2, build e6534b4';;
  info) echo '{"ServerVersion": "28.2.2", "CgroupVersion": "2", "MemTotal": 8323219456, "NCPU": 4}';;
  ps) ;;
  *) echo "Error response from daemon: No such image" >&2; exit 1;;
esac"""
STOPPED = """[ "$1" = --version ] && { echo 'Docker version 29.0.1, build 1'; exit 0; }
echo '{"ServerErrors": ["failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: \
dial unix /var/run/docker.sock: connect: no such file or directory"]}'
exit 1"""
REFUSED = """[ "$1" = --version ] && { echo 'Docker version 29.0.1, build 1'; exit 0; }
echo 'permission denied while trying to connect to the docker API at unix:///var/run/docker.sock' >&2
exit 1"""
PODMAN_AS_DOCKER = "echo 'podman version 5.4.2'"
NEW_KIND = "echo 'kind v0.33.0 go1.27.2 linux/amd64'"
OLD_KIND = "echo 'kind v0.27.0 go1.23.6 linux/amd64'"


@pytest.mark.parametrize(
    ("programs", "says", "offers"),
    [
        ({}, "docker is not installed", "ai-lab up --cluster embedded"),
        ({"docker": STOPPED}, "does not answer", "systemctl start docker"),
        ({"docker": REFUSED}, "may not use the container engine's socket", "usermod -aG docker"),
        ({"docker": DOCKER}, "kind is not installed", "ai-lab up --cluster embedded"),
        ({"docker": DOCKER, "kind": OLD_KIND}, "kind v0.27.0 is too old", "install kind 0.33"),
        ({"docker": PODMAN_AS_DOCKER, "podman": "echo 'Cannot connect to Podman. Please verify your connection' >&2; exit 125"}, "asking podman", "start it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_do(programs: dict[str, str], says: str, offers: str, tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for name, script in programs.items():
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    done = subprocess.run(
        [str(BIN / "ai-lab"), "up", "--cluster", "kind"],
        env={"PATH": str(path), "HOME": str(tmp_path), "AI_LAB_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == NO_CLUSTER, done.stdout + done.stderr
    assert says in done.stderr
    assert offers in done.stderr
    assert "--cluster embedded" in done.stderr, "there is always another way"
    assert "Traceback" not in done.stderr
