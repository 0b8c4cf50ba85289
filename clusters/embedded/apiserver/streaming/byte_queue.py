"""What a client has sent and a Pod has not taken yet, bounded by its bytes: a client that sends faster than the Pod reads is held up."""

from __future__ import annotations

import asyncio
from collections import deque

# Bytes of one connection that may wait.
LIMIT = 256 * 1024


class ByteQueue:
    """No more waits than `limit` bytes or one message, whichever is more."""

    def __init__(self, limit: int = LIMIT):
        self._limit = limit
        self._messages: deque[bytes | None] = deque()
        self._size = 0
        self._closed = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, data: bytes | None) -> None:
        """Waits until there is room; None is the end. Into a closed queue it goes at once, and is lost."""
        while self._size and self._size + len(data or b"") > self._limit and not self._closed:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            return
        self._messages.append(data)
        self._size += len(data or b"")
        self._more.set()

    async def get(self) -> bytes | None:
        """The next message once there is one; None at the end, and of a closed queue."""
        while not self._messages and not self._closed:
            self._more.clear()
            await self._more.wait()
        if self._closed:
            return None
        data = self._messages.popleft()
        self._size -= len(data or b"")
        self._room.set()
        return data

    def close(self) -> None:
        """Nobody will take anything any more: who waits for room goes on."""
        self._closed = True
        self._messages.clear()
        self._size = 0
        self._more.set()
        self._room.set()
