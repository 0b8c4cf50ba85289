"""JupyterLab on the learner's own copies of the notebooks.

The course's notebooks are copied into a work folder. A copy that the learner has changed is never written over; one that was not touched follows
the course when it is updated.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from lab_checks.engine import paths
from lab_checks.engine.api import environment

# Settings of JupyterLab for the course: no question about news before the first cell.
_SETTINGS = Path(__file__).with_name("jupyter_settings")

_KEPT = ".ai-lab-copies.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy_notebooks(folder: Path) -> list[str]:
    """Copies the notebooks that are not in `folder` yet, renews those that are as they were copied; returns the names of both."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / _KEPT
    try:
        copied: dict[str, str] = json.loads(record.read_text())
    except (OSError, ValueError):
        copied = {}
    fresh = []
    for source in sorted((paths.root() / "labs").glob("*.ipynb")):
        target = folder / source.name
        untouched = target.exists() and copied.get(source.name) == _digest(target)
        if not target.exists() or (untouched and _digest(target) != _digest(source)):
            target.write_bytes(source.read_bytes())
            copied[source.name] = _digest(target)
            fresh.append(source.name)
    record.write_text(json.dumps(copied, indent=1))
    return fresh


def running(folder: Path) -> str:
    """The address of a JupyterLab that is already open on `folder`; the empty text where there is none."""
    from jupyter_server.serverapp import list_running_servers

    for server in list_running_servers():
        if Path(server["root_dir"]).resolve() == folder.resolve():
            token = f"?token={server['token']}" if server.get("token") else ""
            return f"{server['url']}lab{token}"
    return ""


def free_port(wanted: int) -> int:
    """`wanted`, or the next port of 127.0.0.1 that nobody listens on."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0


def run(folder: Path, kubeconfig: Path, port: int, browser: bool) -> int:
    """Runs JupyterLab in the foreground until it is ended, and returns its exit status."""
    command = [
        sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={free_port(port)}", f"--ServerApp.open_browser={browser}", f"--LabApp.app_settings_dir={_SETTINGS}",
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # In a container or a classroom image the learner may be root; the server listens on 127.0.0.1 only.
        command.append("--allow-root")
    try:
        return subprocess.call(command, env={**os.environ, **environment(kubeconfig)}, cwd=folder)
    except KeyboardInterrupt:
        return 0
