"""A queue of keys to reconcile: each key once, retried with back-off (client-go's rate limiting workqueue)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from clusters.embedded.errors import ApiError

log = logging.getLogger(__name__)

_FIRST_RETRY = 0.005
_LAST_RETRY = 30.0


class WorkQueue:
    """Keys that wait for `reconcile(key)`; a key added while it is worked on is worked on once more afterwards."""

    def __init__(self, name: str, reconcile: Callable[[str], Awaitable[None]], workers: int = 1):
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def add(self, key: str) -> None:
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Adds the key `seconds` from now; the earlier of two such wishes wins."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        pending = self._timers.get(key)
        if pending is not None and not pending.cancelled() and loop.time() < pending.when() <= due:
            return
        if pending is not None:
            pending.cancel()
        self._timers[key] = loop.call_later(seconds, self._fire, key)

    def _fire(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._active.add(key)
            try:
                await self._reconcile(key)
                self._failures.pop(key, None)
            except ApiError as error:
                if error.reason not in ("Conflict", "NotFound", "AlreadyExists"):
                    log.info("%s: %s: %s", self._name, key, error.message)
                self._retry(key)
            except Exception:
                log.exception("%s: %s", self._name, key)
                self._retry(key)
            finally:
                self._active.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    def _retry(self, key: str) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(_FIRST_RETRY * 2**failures, _LAST_RETRY))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._workers):
                tasks.create_task(self._work(), name=f"{self._name} worker")
