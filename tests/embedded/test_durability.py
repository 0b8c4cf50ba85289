"""A server that is killed in the middle of writes comes back with every object that it acknowledged, and runs its Pods again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LiveCluster, start_cluster, stop_cluster

KILLS = 10

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ai-lab-kill-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_nothing_acknowledged_is_lost_in_ten_kills(state: Path) -> None:
    process = start_cluster(state)
    lab = LiveCluster(state, process)
    try:
        lab.kubectl("create", "deployment", "web", "--image=python:3.12-slim", "--", "python3", "-m", "http.server", "8080")
        lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        acknowledged: set[str] = set()
        for round_number in range(KILLS):
            stop = threading.Event()
            started = threading.Event()

            def write(number: int = round_number, stop: threading.Event = stop, started: threading.Event = started) -> None:
                counter = 0
                while not stop.is_set():
                    name = f"kept-{number}-{counter}"
                    if lab.run("create", "configmap", name, "--from-literal=a=b").returncode == 0:
                        acknowledged.add(name)
                    if counter == 2:
                        started.set()
                    counter += 1

            writer = threading.Thread(target=write)
            writer.start()
            assert started.wait(60)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
            stop.set()
            writer.join(60)
            process = start_cluster(state)
            lab.process = process
            stored = {item["metadata"]["name"] for item in lab.get("configmaps")["items"]}
            assert acknowledged <= stored
        assert len(acknowledged) >= 2 * KILLS
        lab.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        pods = json.loads(lab.kubectl("get", "pods", "-l", "app=web", "-o", "json"))["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"]
        assert "Directory listing" in lab.kubectl(
            "exec",
            "deploy/web",
            "--",
            "python3",
            "-c",
            "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080').read().decode())",
        )
    finally:
        stop_cluster(process)
