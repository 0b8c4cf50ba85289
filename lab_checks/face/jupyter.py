"""JupyterLab on the learner's own copies of the notebooks.

The course's notebooks are copied into a work folder. A copy that the learner has changed is never written over; one that was not touched follows
the course when it is updated. `become_jupyterlab` then replaces the process by the server (`jupyter_server`), which leaves nothing of the command
in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from lab_checks.engine import paths
from lab_checks.engine.api import environment

# By a notebook's name the digest of the course's own that was copied last; under _KEPT, of a newer one beside which the learner's was kept.
_COPIED = ".ai-lab-copies.json"
_KEPT = "kept"

# Beside the notebooks, where JupyterLab does not show them: what JupyterLab logs, and the lock of a start that is under way.
_LOG = ".ai-lab-jupyterlab.log"
_LOCK = ".ai-lab-jupyterlab.lock"

# What a running Jupyter server says about itself in its runtime folder: url, token, root_dir, pid.
Server = dict[str, Any]


@dataclass(frozen=True)
class Opening:
    """What the command hands to the server. `began` is in seconds of time.monotonic; `lock` is an open file, or -1."""

    folder: str
    port: int
    browser: bool
    farewell: str
    began: float
    lock: int

    @property
    def log(self) -> Path:
        return Path(self.folder) / _LOG


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy_notebooks(folder: Path) -> tuple[list[str], list[str]]:
    """Copies the notebooks that are not in `folder` yet and renews those that are as they were copied. A changed one is never written over.

    Returns the names of those written, and of those that were kept although the course has a newer one; each newer one is told once.
    Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / _COPIED
    try:
        copied: dict[str, Any] = json.loads(record.read_text())
    except (OSError, ValueError):
        copied = {}
    told: dict[str, str] = copied.setdefault(_KEPT, {})
    fresh, kept = [], []
    for source in sorted((paths.root() / "labs").glob("*.ipynb")):
        name, target, newest = source.name, folder / source.name, _digest(source)
        mine = _digest(target) if target.exists() else ""
        if not mine or (copied.get(name) == mine != newest):
            target.write_bytes(source.read_bytes())
            copied[name] = newest
            fresh.append(name)
        elif mine != newest not in (copied.get(name), told.get(name)):
            told[name] = newest
            kept.append(name)
    record.write_text(json.dumps(copied, indent=1))
    return fresh, kept


def address(server: Server) -> str:
    """What to open in a browser, with the token where the server asks for one."""
    token = f"?token={server['token']}" if server.get("token") else ""
    return f"{server['url']}lab{token}"


def answers(server: Server, within: float = 10.0) -> bool:
    """Whether the server gives its JupyterLab page out, waiting for at most `within` seconds."""
    # A proxy that the environment names is for other addresses than this machine's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(address(server), timeout=within).close()
    except urllib.error.HTTPError as problem:
        return problem.code < 500
    except (OSError, ValueError):
        return False
    return True


def running(folder: Path) -> Server | None:
    """The JupyterLab that is already open on `folder`, and answers; None where there is none."""
    from jupyter_core.paths import jupyter_runtime_dir

    for file in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            server: Server = json.loads(file.read_text())
            same = Path(server["root_dir"]).resolve() == folder.resolve()
        except (OSError, ValueError, KeyError, TypeError):
            # Being written just now, or removed.
            continue
        if same and not server.get("sock") and answers(server):
            return server
    return None


def show_in_browser(server: Server) -> None:
    """Opens a browser window where there is one to open. A browser that needs this terminal for itself is left alone, unless $BROWSER names it."""
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
        return
    # This page of Jupyter's leads to the address: the token does not appear among the arguments of a process.
    page = Path(jupyter_runtime_dir()) / f"jpserver-{server['pid']}-open.html"
    with contextlib.suppress(OSError):
        browser.open(page.as_uri() if page.exists() else address(server), new=2)


def lock(folder: Path, wait: Callable[[], None]) -> int:
    """Holds back a second start on the same folder: an open file, locked until it is closed; -1 where the file system has no locks.

    Another start under way is waited for; `wait` hears of it. Raises OSError where the folder cannot be written.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        os.close(file)
        return -1
    return file


def become_jupyterlab(folder: Path, kubeconfig: Path, port: int, browser: bool, farewell: str, lock: int) -> NoReturn:
    """Replaces this process by JupyterLab. `farewell` is what it says when it has stopped; it closes `lock` as soon as it answers."""
    opening = Opening(str(folder.resolve()), port, browser, farewell, time.monotonic(), lock)
    if lock >= 0:
        os.set_inheritable(lock, True)
    os.chdir(folder)
    # Until JupyterLab's process can answer Ctrl-C, it waits there.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a learner's file called json.py or yaml.py must not be taken for the module.
    command = [sys.executable, "-P", "-m", "lab_checks.face.jupyter_server", json.dumps(asdict(opening))]
    os.execve(sys.executable, command, {**os.environ, **environment(kubeconfig)})
