"""How the event loop learns that a child has ended: by SIGCHLD, or by looking every 50 ms in a loop that hears no signals.

Children are those that `process.ChildProcess` started, and orphans that this process has adopted (`orphans.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import weakref
from typing import Protocol

_POLL_SECONDS = 0.05

# The first processes of all children that run, so that adopted ones can be told from them.
started: set[int] = set()
# Set where this process adopts orphans: their remains are then its to clear away.
reap_adopted = False


def adopted() -> list[int]:
    """Children of this process that it did not start: they lost their own parents."""
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children", "rb") as file:
                found += [int(word) for word in file.read().split()]
    return [pid for pid in found if pid not in started]


def clear_away() -> None:
    """Takes the exit codes of adopted children that have ended, which nobody else waits for."""
    for pid in adopted():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class Child(Protocol):
    pid: int

    def has_ended(self) -> bool: ...

    def reap(self) -> None: ...


class Children:
    """The running children of one event loop, and how it learns that one has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._running: set[Child] = set()
        self._loop = loop
        try:
            loop.add_signal_handler(signal.SIGCHLD, self._look)
            # Whoever started this program may have blocked it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            self._is_told = True
        except (ValueError, RuntimeError, NotImplementedError):
            self._is_told = False

    def add(self, child: Child) -> None:
        self._running.add(child)
        if not self._is_told and len(self._running) == 1:
            self._loop.call_later(_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        self._look()
        if self._running:
            self._loop.call_later(_POLL_SECONDS, self._poll)

    def _look(self) -> None:
        # One signal may stand for several ends.
        for child in list(self._running):
            if child.has_ended():
                self._running.discard(child)
                child.reap()
        if reap_adopted:
            clear_away()


_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Children] = weakref.WeakKeyDictionary()


def of(loop: asyncio.AbstractEventLoop) -> Children:
    """The loop's children; it listens for their ends from the first call on."""
    if loop not in _by_loop:
        _by_loop[loop] = Children(loop)
    return _by_loop[loop]
