"""The programs of `images/` as their containers have them: their folders on the path, and real processes to talk to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

IMAGES = Path(__file__).resolve().parents[2] / "images"
for each in (
    "gpu_device_plugin",
    "gpu_dra_driver",
    "model_server",
    "job_queue_operator",
    "load_generator",
    "metrics_adapter",
    "metrics_scraper",
    "training_job",
):
    sys.path.insert(0, str(IMAGES / each))


class Start(Protocol):
    def __call__(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `python -m module` with only these variables; the process and its pipe end with the test."""
    started: list[subprocess.Popen[str]] = []

    def launch(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(IMAGES / module), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def port_for_tests() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def free_port() -> int:
    return port_for_tests()
