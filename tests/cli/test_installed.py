"""The course as people install it: the sdist, the wheel that is built of it, an empty environment, and then a learner's first commands."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from tests.cli.test_open import address, end
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("installed")]

PATIENCE = 300  # seconds
OUR_FOLDERS = ("lab_checks", "clusters", "kubeobjects", "ai_lab_course")

# What a build may not need, and what it has to make by itself.
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis", ".ipynb_checkpoints", "schema.zip", "tests", "benchmarks"
)

MAP = (
    "gpu_nodes=ai-lab-worker2, ai-lab-worker3", "most_gpus=ai-lab-worker2", "product=NVIDIA-A100-SXM4-40GB", "total=3", "free=2",
    "taint=nvidia.com/gpu", "ordinary=ai-lab-worker", "counted_by=nvidia-device-plugin-daemonset",
)  # fmt: skip


@dataclass
class Installed:
    """A machine on which nothing of the course is but what pip brought."""

    home: Path

    @property
    def programs(self) -> Path:
        return self.home / "venv" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AI_LAB", "JUPYTER", "KUBE", "PYTHON", "XDG", "VIRTUAL_ENV"))
        }
        return kept | {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "TERM": "xterm", "AI_LAB_LEARNER": "Mira", "SHELL": "/bin/bash"}

    def run(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One of the installed programs, in a folder that is no checkout; no error raised."""
        return subprocess.run(
            [str(self.programs / command[0]), *command[1:]], env=environment or self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip

    def says(self, *command: str, environment: dict[str, str] | None = None) -> str:
        """What a program prints; the test fails with its own words where it fails."""
        done = self.run(*command, environment=environment)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def packages(self) -> Path:
        [found] = (self.home / "venv" / "lib").glob("python3.*/site-packages")
        return found

    def contents(self) -> dict[str, str]:
        """By path the digest of each of our files there, without what Python compiles."""
        files = (path for folder in OUR_FOLDERS for path in (self.packages / folder).rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if "__pycache__" not in path.parts}


def uv(*arguments: str) -> None:
    """uv with this interpreter, and with the package index that pip was told of."""
    index = {"UV_DEFAULT_INDEX": os.environ["PIP_INDEX_URL"]} if os.environ.get("PIP_INDEX_URL") else {}
    subprocess.run([str(BIN / "uv"), *arguments], env={"UV_PYTHON": sys.executable, **index, **os.environ}, check=True, timeout=PATIENCE)


def build(folder: Path) -> Path:
    """The wheel, built from the sdist, which is built from a copy of this checkout: a build writes beside its sources."""
    copy = shutil.copytree(ROOT, folder / "checkout", ignore=NOT_COPIED)
    out = folder / "dist"
    # `uv build` makes the sdist first, and the wheel out of what is in it; it gets what a build needs for itself.
    uv("build", "--quiet", "--out-dir", str(out), str(copy))
    shutil.rmtree(copy)
    assert list(out.glob("*.tar.gz"))
    [wheel] = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    found = Installed(Path(tempfile.mkdtemp(prefix="ai-lab-installed-")).resolve())
    try:
        wheel = build(found.home)
        # By uv, which people take too: pip needs a minute of a small machine for the same.
        uv("venv", "--quiet", str(found.home / "venv"))
        uv("pip", "install", "--quiet", "--python", str(found.programs / "python"), str(wheel))
        yield found
    finally:
        if (found.programs / "ai-lab").exists():
            found.run("ai-lab", "down")
        shutil.rmtree(found.home, ignore_errors=True)


def test_a_learner_installs_it_and_takes_an_exercise_in_jupyterlab_outside_any_checkout(installed: Installed) -> None:
    assert installed.says("ai-lab", "--version").startswith("ai-lab ")
    before = installed.contents()
    found = {(each["area"], each["name"]): each for each in json.loads(installed.run("ai-lab", "doctor", "--json").stdout)}
    assert found["course", "kubectl"]["state"] == "ok"
    assert found["course", "state folder"]["state"] == "ok"

    installed.says("ai-lab", "up", "--cluster", "embedded")
    environment = dict(
        line.partition("=")[::2]
        for line in subprocess.run(
            ["bash", "-c", f'eval "$({installed.programs}/ai-lab env --shell bash)"; command -v kubectl; env'],
            env=installed.environment, cwd=installed.home, capture_output=True, text=True, check=True, timeout=PATIENCE,
        ).stdout.splitlines()
    )  # fmt: skip
    assert str(installed.programs / "kubectl") in environment
    course = Path(environment["AI_LAB_COURSE"])
    assert course == installed.packages / "ai_lab_course"
    environment = {name: environment[name] for name in (*installed.environment, "KUBECONFIG", "AI_LAB_HOME", "AI_LAB_COURSE")}
    assert "ai-lab-worker2" in installed.says("kubectl", "get", "nodes", environment=environment)
    created = installed.says("kubectl", "apply", "--dry-run=server", "-f", str(course / "manifests/dra"), environment=environment)
    assert "daemonset.apps/nvidia-dra-driver-gpu-kubelet-plugin created (server dry run)" in created

    assert installed.run("ai-lab", "check", "00-welcome/cluster-map").returncode != 0
    installed.says("ai-lab", "start", "00-welcome/cluster-map")
    assert installed.run("ai-lab", "check", "00-welcome/cluster-map").returncode == 3
    installed.says("ai-lab", "answer", "00-welcome/cluster-map", *MAP)
    assert "passed" in installed.says("ai-lab", "check", "00-welcome/cluster-map")
    assert len(installed.says("ai-lab", "debrief", "00-welcome/cluster-map").split()) > 20

    refused = installed.run("ai-lab", "dev", "check", "--files")
    assert (refused.returncode, "needs a checkout" in refused.stderr) == (2, True)

    terminal = pexpect.spawn(
        str(installed.programs / "ai-lab"), ["open", "--no-browser", "--folder", "notebooks of mine"], env=installed.environment,
        cwd=str(installed.home), encoding="utf-8", timeout=PATIENCE, dimensions=(50, 300),
    )  # fmt: skip
    with urllib.request.urlopen(address(terminal), timeout=PATIENCE) as page:
        assert page.status == 200
    end(terminal)
    assert terminal.exitstatus == 0
    copies = {path.name for path in (installed.home / "notebooks of mine").glob("*.ipynb")}
    assert copies == {path.name for path in (ROOT / "labs").glob("*.ipynb")}

    installed.says("ai-lab", "down")
    # site-packages may be read-only: nothing is written there but what Python compiles.
    assert installed.contents() == before
