"""What a program has written and a client has not taken yet: a queue that says when it is full, so that the program is held up.

As on a pipe: who writes faster than the other side reads waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

# Bytes that may wait. Beyond this the program is held up; what its pipe holds already still comes.
LIMIT = 256 * 1024


class OutputQueue:
    """`changed` is called when the queue becomes full and when there is room again."""

    def __init__(self, changed: Callable[[], None]):
        self._changed = changed
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._ended = False
        self._more = asyncio.Event()

    @property
    def full(self) -> bool:
        return self._size >= LIMIT

    def put(self, stream: int, data: bytes) -> None:
        """What was written to stdout (1) or stderr (2). It is taken even where the queue is full: it has been read already."""
        if self._ended:
            return
        was_full = self.full
        self._chunks.append((stream, data))
        self._size += len(data)
        self._more.set()
        if self.full and not was_full:
            self._changed()

    def end(self) -> None:
        """Nothing more will come; what is there can still be taken."""
        self._ended = True
        self._more.set()

    def drop(self) -> None:
        """Ends the queue and forgets what is in it: nobody will take it."""
        was_full = self.full
        self._chunks.clear()
        self._size = 0
        self.end()
        if was_full:
            self._changed()

    async def take(self) -> AsyncIterator[tuple[int, bytes]]:
        """(stream, bytes) until the end."""
        while True:
            while self._chunks:
                was_full = self.full
                stream, data = self._chunks.popleft()
                self._size -= len(data)
                if was_full and not self.full:
                    self._changed()
                yield stream, data
            if self._ended:
                return
            self._more.clear()
            await self._more.wait()
