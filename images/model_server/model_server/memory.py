"""The memory of this process: taken for real, and measured."""

from __future__ import annotations

import mmap
import resource
import sys
from pathlib import Path

MIB = 1024 * 1024


def take(mebibytes: int) -> bytearray:
    """That much memory, every page of it written, so that it is resident and counts against the container's limit."""
    return bytearray(b"\x5a") * (mebibytes * MIB)


def resident() -> tuple[int, int]:
    """(now, peak) in MiB. Where the system tells only the peak, that is both."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return found["VmRSS"], found["VmHWM"]
    except (OSError, KeyError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = most // MIB if sys.platform == "darwin" else most // 1024
        return peak, peak


def share(mebibytes: int) -> mmap.mmap:
    """A segment of shared memory of that size, every page of it written, as between a server and its workers.

    Where /dev/shm is smaller, the kernel ends this process with SIGBUS while it writes.
    """
    path = Path("/dev/shm/model-server-workers")
    with path.open("w+b") as file:
        file.truncate(mebibytes * MIB)
        segment = mmap.mmap(file.fileno(), mebibytes * MIB)
    path.unlink()
    for start in range(0, mebibytes * MIB, MIB):
        segment[start : start + MIB] = b"\x5a" * MIB
    return segment
