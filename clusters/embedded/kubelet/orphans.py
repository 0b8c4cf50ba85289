"""Processes of containers that left their parents: a daemon that forked twice and began a session of its own is still the container's.

On Linux the server adopts them (PR_SET_CHILD_SUBREAPER), so they are few and close at hand; elsewhere, all processes of this user are
searched for the container's mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import sys
import time

from clusters.embedded import owned_processes
from clusters.embedded.kubelet import children, process

log = logging.getLogger(__name__)

# linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
# All containers that are measured in one round are told the same.
_FRESH_SECONDS = 0.025
_PATIENCE = 10.0

_adopts = False
_listed: tuple[float, list[int]] = (0.0, [])


def adopt() -> None:
    """From now on, processes that lose their parent become children of this process and are cleared away when they end."""
    global _adopts
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        _adopts = True
        children.reap_adopted = True


def mark(container_id: str) -> str:
    """How a container's processes name it in their environment."""
    return container_id[:16]


def namespace(pid: int) -> str:
    """The process's mount namespace where it is not the server's own; else the empty text."""
    with contextlib.suppress(OSError):
        found = os.readlink(f"/proc/{pid}/ns/mnt")
        if found != os.readlink("/proc/self/ns/mnt"):
            return found
    return ""


def _adopted() -> list[int]:
    global _listed
    now = time.monotonic()
    if now - _listed[0] > _FRESH_SECONDS:
        _listed = now, children.adopted()
    return _listed[1]


def of(container_id: str, mount_namespace: str) -> list[int]:
    """Adopted processes of a container, and what they started. Empty where this process adopts none."""
    if not _adopts:
        return []
    found = []
    for pid in _adopted():
        same_root = mount_namespace and namespace(pid) == mount_namespace
        if same_root or owned_processes.environment(pid).get(owned_processes.CONTAINER) == mark(container_id):
            found += [pid, *process.descendants(pid)]
    return found


def _left(container_id: str, mount_namespace: str) -> list[int]:
    if not _adopts:
        return owned_processes.marked(owned_processes.CONTAINER, mark(container_id))
    global _listed
    _listed = 0.0, []
    return [pid for pid in of(container_id, mount_namespace) if owned_processes.started(pid)]


def kill(container_id: str, mount_namespace: str) -> None:
    """SIGKILL for what the container has left outside its tree, once."""
    owned_processes.kill(_left(container_id, mount_namespace))


async def end(container_id: str, mount_namespace: str) -> None:
    """Ends what the container has left; returns when nothing of it runs."""
    deadline = time.monotonic() + _PATIENCE
    while left := _left(container_id, mount_namespace):
        if time.monotonic() > deadline:
            log.warning("container %s: processes %s do not end", mark(container_id), left)
            return
        owned_processes.kill(left)
        await asyncio.sleep(0.01)


def end_all() -> None:
    """Ends every process below this one, whoever started it: the server goes down."""

    def left() -> list[int]:
        found = [pid for pid in process.descendants(os.getpid()) if owned_processes.started(pid)]
        children.clear_away()
        return found

    if _adopts:
        owned_processes.end(left)
