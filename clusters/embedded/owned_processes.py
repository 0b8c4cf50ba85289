"""Finds the processes of a cluster on this machine, also when its server was killed and its files are gone.

Every process of a container carries two marks in its environment, the cluster's and the container's; the server carries the first.
A process that cleared its environment is still known by its root folder (Linux) or by the pid that its kubelet wrote down.
Only processes of this user are looked at. Only the standard library is imported at the top.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

CLUSTER, CONTAINER = "AI_LAB_CLUSTER", "AI_LAB_CONTAINER"
_PROC = Path("/proc/self/stat").exists()
# A killed process is gone in milliseconds; one that waits for a disk may take longer.
_PATIENCE = 10.0
_LOOK = 0.02
_ROOT = re.compile(r"^(?P<folder>.*)/nodes/[^/]+/run/containers/[0-9a-f]{16}/rootfs$")


def cluster_id(folder: Path) -> str:
    """The cluster that lives in `folder`, as its processes are marked with it."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def started(pid: int) -> str:
    """When the process began, in the system's own count; the empty text where there is no such process (or only what is left of one)."""
    if not _PROC:
        asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        state, _, began = asked.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else began.strip()
    fields = _stat(pid)
    return "" if not fields or fields[0] in "ZX" else fields[19]


def is_stopped(pid: int) -> bool:
    """Whether a signal (SIGSTOP, SIGTSTP) has stopped the process."""
    if not _PROC:
        asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return asked.stdout.startswith("T")
    return _stat(pid)[:1] in (["T"], ["t"])


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _own() -> Iterator[int]:
    """All processes of this user but this one (Linux)."""
    uid, own = os.geteuid(), os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    yield int(name)


def environment(pid: int) -> dict[str, str]:
    """The environment that the process was started with; empty where this cannot be seen."""
    if not _PROC:
        import psutil

        with contextlib.suppress(psutil.Error):
            return psutil.Process(pid).environ()
        return {}
    words = os.fsdecode(_environ(pid)).split("\0")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _environ(pid: int) -> bytes:
    """The same as Linux keeps it: NAME=value, each with a zero byte after it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def marked(name: str, value: str) -> list[int]:
    """The processes whose environment has this variable with this value."""
    if not _PROC:
        import psutil

        own = os.getpid()
        return [pid for pid in psutil.pids() if pid != own and environment(pid).get(name) == value and started(pid)]
    # Searched as one text: a machine may have hundreds of processes, and few of them are meant.
    mark = os.fsencode(f"\0{name}={value}\0")
    return [pid for pid in _own() if mark in b"\0" + _environ(pid) and started(pid)]


def server(folder: Path, *, but: int | None = None) -> int | None:
    """The process that serves the cluster in `folder`, by its mark; None where there is none, or only `but`."""
    for pid in marked(CLUSTER, cluster_id(folder)):
        if pid != but and CONTAINER not in environment(pid):
            return pid
    return None


def _rooted(folder: Path) -> list[int]:
    """The processes whose root is the root of one of the cluster's containers (Linux)."""
    if not _PROC:
        return []
    found = []
    here = str(folder.resolve())
    try:
        device = os.stat(here).st_dev
    except OSError:
        return []
    expected = f"{os.major(device)}:{os.minor(device)}"
    here_too = os.stat("/proc/self/ns/mnt")
    for pid in _own():
        try:
            # Who sees the mounts that are seen here has no root of its own, and its list of them is long.
            if os.path.samestat(os.stat(f"/proc/{pid}/ns/mnt"), here_too):
                continue
            with open(f"/proc/{pid}/mountinfo") as file:
                # Fields: id, parent, major:minor, root within that file system, mount point.
                root = next((fields for fields in map(str.split, file) if fields[4] == "/"), None)
        except OSError:
            continue
        inside = _ROOT.match(root[3]) if root and root[2] == expected else None
        if inside and here.endswith(inside["folder"]):
            found.append(pid)
    return found


def _recorded(folder: Path) -> list[int]:
    """The containers' first processes that kubelets wrote down (pid and time of birth), with all that hangs on them."""
    found = []
    for path in folder.glob("nodes/*/var/lib/kubelet/pods/*/containers/*/pid"):
        found += recorded(path)
    return found


def recorded(path: Path) -> list[int]:
    """The process that a kubelet wrote into `path`, where it still is that one, and what it started."""
    import psutil

    try:
        pid, born = path.read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(born)) < 0.01 and process.status() != psutil.STATUS_ZOMBIE:
            return [process.pid, *(child.pid for child in process.children(recursive=True))]
    except (OSError, ValueError, psutil.Error):
        pass
    return []


def containers(folder: Path) -> list[int]:
    """All processes of the containers of the cluster in `folder`."""
    by_mark = [pid for pid in marked(CLUSTER, cluster_id(folder)) if CONTAINER in environment(pid)]
    return [pid for pid in dict.fromkeys((*by_mark, *_rooted(folder), *_recorded(folder))) if started(pid)]


def family(pid: int) -> dict[int, str]:
    """What the process started, all generations: pid → when it began."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return {child.pid: started(child.pid) for child in psutil.Process(pid).children(recursive=True)}
    return {}


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end(find: Callable[[], list[int]]) -> int:
    """Kills what `find` gives until it gives nothing; returns how many there were. Gives up on what does not end in 10 s."""
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    while (left := find()) and time.monotonic() < deadline:
        ended.update(left)
        kill(left)
        time.sleep(_LOOK)
    return len(ended)
