"""What one learner's idle session holds: JupyterLab with one notebook begun, its kernel, and the cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 180.0  # seconds

# What the first cell of every notebook does.
_FIRST_CELL = 'from lab_checks.face.notebook import open_lab\nlab = open_lab("00-welcome")\nlab.progress()'


def held(process: psutil.Process) -> int:
    """Bytes of memory: PSS on Linux, where a page that several processes share is counted in parts; RSS elsewhere."""
    memory = process.memory_full_info() if sys.platform == "linux" else process.memory_info()
    return int(getattr(memory, "pss", memory.rss))


@contextmanager
def opened(home: Path) -> Iterator[tuple[psutil.Process, dict[str, Any]]]:
    """`ai-lab open` with nobody at a terminal: its process, and what its JupyterLab says about itself."""
    runtime = home / "runtime"
    with (home / "open.log").open("w") as log:
        command = subprocess.Popen(
            [str(Path(sys.executable).parent / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", "--folder", str(home / "my-labs")],
            env={**os.environ, "AI_LAB_HOME": str(home), "JUPYTER_RUNTIME_DIR": str(runtime)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while not (said := sorted(runtime.glob("jpserver-*.json"))):
            if command.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"ai-lab open failed:\n{(home / 'open.log').read_text()}")
            time.sleep(0.2)
        yield psutil.Process(command.pid), json.loads(said[0].read_text())
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGTERM)
        command.wait(PATIENCE)


def _begin_a_notebook(home: Path, server: dict[str, Any]) -> int:
    """Opens a kernel as a notebook does and runs the first cell in it; returns the kernel's process."""
    from jupyter_client.blocking.client import BlockingKernelClient

    request = urllib.request.Request(
        f"{server['url']}api/kernels", data=b"{}", method="POST",
        headers={"Authorization": f"token {server['token']}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        kernel = json.load(answer)["id"]
    client = BlockingKernelClient(connection_file=str(home / "runtime" / f"kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        reply = client.execute_interactive(
            _FIRST_CELL, timeout=PATIENCE, user_expressions={"pid": "__import__('os').getpid()"}, output_hook=lambda _: None
        )
        return int(reply["content"]["user_expressions"]["pid"]["data"]["text/plain"])
    finally:
        client.stop_channels()


def measure(home: Path, cluster: list[int]) -> dict[str, float]:
    """MiB of each part of the session once it is idle. `cluster` are the processes of the cluster, its server first."""
    with opened(home) as (command, server):
        kernel = _begin_a_notebook(home, server)
        parts = {"JupyterLab": server["pid"], "a kernel": kernel}
        if command.pid != server["pid"]:
            parts["ai-lab open"] = command.pid
        found = {name: held(psutil.Process(pid)) for name, pid in parts.items()}
        found["the cluster"] = held(psutil.Process(cluster[0]))
        found["what runs on it"] = sum(held(psutil.Process(pid)) for pid in cluster[1:])
    return {name: value / 1024**2 for name, value in found.items()}
