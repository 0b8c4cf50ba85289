"""Locks on files, which the death of their holder frees: that of `up` and `down`, and that of the running server.

Only the standard library is imported at the top: how soon the server starts decides how soon the cluster is ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from clusters.base import ClusterError

_LOOK = 0.02


@contextlib.contextmanager
def lock(path: Path, patience: float) -> Iterator[None]:
    """Keeps every other `up`, `down` and `wipe` out.

    Raises ClusterError where another does not end within `patience` seconds, OSError where the file cannot be made.
    """
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The folder may have been deleted and made anew meanwhile: a lock on a file that nobody finds keeps nobody out.
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    break
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(descriptor)
                raise ClusterError(
                    f"another ai-lab up or down (process {holder}) is at work on this cluster and does not end",
                    next=f"end it with: kill {holder}",
                ) from None
        os.close(descriptor)
        time.sleep(_LOOK)
    try:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)
