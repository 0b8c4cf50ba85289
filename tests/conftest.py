"""Fixtures for tests that need a live cluster: one embedded cluster for the whole session, each test in a namespace of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

# A shell without job control starts what it puts in the background with SIGINT ignored, and every child inherits that:
# tests of Ctrl-C would then wait for an interrupt that never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class LiveCluster:
    """A running embedded cluster, spoken to by real kubectl. `namespace` is where `kubectl` works unless told otherwise."""

    state: Path
    process: subprocess.Popen[str]
    namespace: str = "default"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def run(self, *arguments: str, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """kubectl with these arguments; stdout and stderr apart, no error raised."""
        return subprocess.run(
            [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 120) -> str:
        """What kubectl prints; the test fails with kubectl's own words where it fails."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def eventually(self, pattern: str, *arguments: str, within: float = 180) -> str:
        """Repeats a kubectl command until its output matches `pattern`; `within` is in seconds."""
        deadline = time.monotonic() + within
        while True:
            done = self.run(*arguments)
            seen = done.stdout + done.stderr
            if re.search(pattern, seen, re.S):
                return seen
            assert time.monotonic() < deadline, f"kubectl {' '.join(arguments)} never showed /{pattern}/; last:\n{seen}"
            time.sleep(0.2)


def start_cluster(state: Path, *, timeout: float = 60) -> subprocess.Popen[str]:
    """Starts `python -m clusters.embedded` and returns when it says that it is ready. The caller ends it."""
    reader, writer = os.pipe()
    with (state / "server.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "clusters.embedded", "--state", str(state), "--ready-fd", str(writer)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            text=True,
            start_new_session=True,
        )
    os.close(writer)
    with os.fdopen(reader) as ready:
        line = ready.readline()
    answer = json.loads(line or "{}")
    if "server" not in answer:
        process.kill()
        process.wait(timeout)
        raise AssertionError(f"the embedded cluster did not start: {answer or (state / 'server.log').read_text()[-4000:]}")
    return process


def stop_cluster(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="session")
def live_cluster() -> Iterator[LiveCluster]:
    state = Path(tempfile.mkdtemp(prefix="ai-lab-test-"))
    process = start_cluster(state)
    try:
        yield LiveCluster(state, process)
    finally:
        stop_cluster(process)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def cluster(live_cluster: LiveCluster, request: pytest.FixtureRequest) -> Iterator[LiveCluster]:
    """The session's cluster, in a namespace that is this test's own and goes away with it."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50].rstrip("-")
    own = LiveCluster(live_cluster.state, live_cluster.process, name)
    own.run("create", "namespace", name)
    own.eventually("default", "get", "serviceaccount", "default", "--ignore-not-found")
    try:
        yield own
    finally:
        own.run("delete", "pods", "--all", "--grace-period=0", "--force")
        own.run("delete", "namespace", name, "--wait=false")
