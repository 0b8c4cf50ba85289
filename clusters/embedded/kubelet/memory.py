"""Holds containers to their memory limits, and measures what they use.

Every 50 ms the memory of each limited container's processes is added up, and what lies in its memory-backed volumes; over the limit, the
whole tree is killed and the container told that it ran out of memory. Over the limit of a whole Pod, that is its largest container. CPU
time is read only when somebody asks.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from clusters.embedded.kubelet.process import descendants

_INTERVAL = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = os.path.exists("/proc/self/statm")


def resident(pid: int, *, shared: bool) -> int:
    """Bytes of memory that the process holds; 0 for one that is gone. Without `shared`, pages of files and shared memory are left out.

    Where the two cannot be told apart, all of it counts.
    """
    try:
        if _PROC:
            with open(f"/proc/{pid}/statm", "rb") as file:
                _, total, of_files, *_ = file.read().split()
            return (int(total) - (0 if shared else int(of_files))) * _PAGE
        return psutil.Process(pid).memory_info().rss
    except (OSError, psutil.Error):
        return 0


def _shared_memory(pid: int) -> int:
    """Bytes of shared memory that the process has mapped: files in memory among them."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(b"RssShmem:")), 0)
    except OSError:
        return 0


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far."""
    try:
        if _PROC:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    except (OSError, psutil.Error):
        return 0.0


@dataclass(frozen=True)
class Counted:
    """What a container's memory is counted with: `files`, bytes of memory-backed volumes that are its own, and the limit of its whole Pod."""

    files: Callable[[], int]
    pod: str
    pod_limit: int | None


@dataclass
class Watched:
    """One running container: its process trees begin at `pids` (the first process and what was exec'd)."""

    pids: Callable[[], list[int]]
    limit: int | None
    out_of_memory: Callable[[], None]
    counted: Counted
    cpu: float = 0.0
    measured: float = field(default_factory=time.monotonic)
    millicores: int = 0

    def tree(self) -> list[int]:
        return [pid for root in self.pids() for pid in (root, *descendants(root))]

    def memory(self) -> int:
        """Bytes of all processes; what they share (the interpreter, libraries) is charged once, to the first."""
        first, *others = self.tree() or [0]
        processes = resident(first, shared=True) + sum(resident(pid, shared=False) for pid in others)
        files = self.counted.files()
        # What the first process has mapped of them is counted already.
        return processes + (files - min(files, _shared_memory(first)) if files else 0)


class MemoryManager:
    """One for a node; `run` does the looking."""

    def __init__(self) -> None:
        self._watched: dict[str, Watched] = {}
        self._limited: dict[str, Watched] = {}
        self._wake = asyncio.Event()

    def watch(self, container_id: str, watched: Watched) -> None:
        self._watched[container_id] = watched
        if watched.limit is not None or watched.counted.pod_limit is not None:
            self._limited[container_id] = watched
            self._wake.set()

    def forget(self, container_id: str) -> None:
        self._watched.pop(container_id, None)
        self._limited.pop(container_id, None)

    async def run(self) -> None:
        while True:
            if not self._limited:
                self._wake.clear()
                await self._wake.wait()
            self._look()
            await asyncio.sleep(_INTERVAL)

    def _look(self) -> None:
        pods: dict[str, list[tuple[int, str]]] = {}
        for container_id, watched in list(self._limited.items()):
            used = watched.memory()
            if watched.limit is not None and used > watched.limit:
                self._end(container_id)
            elif watched.counted.pod_limit is not None:
                pods.setdefault(watched.counted.pod, []).append((used, container_id))
        for usages in pods.values():
            largest = max(usages)[1]
            limit = self._limited[largest].counted.pod_limit
            if limit is not None and sum(used for used, _ in usages) > limit:
                self._end(largest)

    def _end(self, container_id: str) -> None:
        self._limited.pop(container_id).out_of_memory()

    def usage(self, container_id: str) -> dict[str, int]:
        """{"cpu": millicores since the last question, "memory": bytes, "cpu_milliseconds": of processes that run}; empty for a container that does not run."""
        watched = self._watched.get(container_id)
        if watched is None:
            return {}
        tree = watched.tree()
        now, spent = time.monotonic(), sum(cpu_seconds(pid) for pid in tree)
        # Two questions in a row get the same answer: a rate needs some time to be one.
        if now - watched.measured >= 1.0:
            watched.millicores = max(0, round((spent - watched.cpu) / (now - watched.measured) * 1000))
            watched.cpu, watched.measured = spent, now
        return {"cpu": watched.millicores, "memory": watched.memory(), "cpu_milliseconds": round(spent * 1000)}
