"""The latest changes of each resource, and the watches on them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import dataclass

from clusters.embedded.store.errors import Expired
from kubeobjects import Object

# How far back a watch may start, for each resource: changes, and bytes of their JSON (about a fifth of what the dicts take).
_HISTORY_CHANGES = 4000
_HISTORY_BYTES = 3_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """`type` is ADDED, MODIFIED or DELETED; `previous` is the object before (None for ADDED)."""

    type: str
    revision: int
    object: Object
    previous: Object | None
    size: int


class History:
    """The latest changes of one resource, and who waits for the next. Watches are positions in it, so a slow one costs nothing."""

    def __init__(self, floor: int):
        self.floor = floor
        self.changes: list[Change] = []
        self.first = 0
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def append(self, change: Change) -> None:
        self.changes.append(change)
        self._bytes += change.size
        if len(self.changes) > _HISTORY_CHANGES or self._bytes > _HISTORY_BYTES:
            self._forget()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _forget(self) -> None:
        # A quarter at a time: cutting the list's head for every change would move the whole list for every change.
        count = max(1, len(self.changes) // 4)
        gone = self.changes[:count]
        self.floor = gone[-1].revision
        self._bytes -= sum(change.size for change in gone)
        self.first += count
        del self.changes[:count]

    def position(self, after: int) -> int:
        if after < self.floor:
            raise Expired(after, self.floor)
        return self.first + bisect_right(self.changes, after, key=lambda change: change.revision)

    async def wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


class Watch:
    """The changes of one resource after a revision. Falls out of the history (Expired) when it is read too slowly."""

    def __init__(self, history: History, after: int):
        self._history = history
        self._position = history.position(after)
        self._last = after

    def ready(self) -> list[Change]:
        """The changes since the last call, without waiting."""
        history = self._history
        if self._position < history.first:
            raise Expired(self._last, history.floor)
        found = history.changes[self._position - history.first :]
        if found:
            self._position += len(found)
            self._last = found[-1].revision
        return found

    async def next(self) -> list[Change]:
        """The next changes, at least one."""
        while True:
            found = self.ready()
            if found:
                return found
            await self._history.wait()
