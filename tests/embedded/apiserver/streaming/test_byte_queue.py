"""A queue that holds up who puts too many bytes into it, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from clusters.embedded.apiserver.streaming.byte_queue import ByteQueue


async def settled(task: asyncio.Task[None]) -> bool:
    """Whether the task has ended once everything that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_bytes_are_counted_and_not_messages() -> None:
    queue = ByteQueue(1000)
    for _ in range(1000):
        await queue.put(b"x")
    waiting = asyncio.create_task(queue.put(b"xx"))
    assert not await settled(waiting)
    await queue.get()
    assert not await settled(waiting)
    await queue.get()
    assert await settled(waiting)


async def test_a_message_larger_than_the_limit_waits_alone() -> None:
    queue = ByteQueue(10)
    await queue.put(bytes(100))
    waiting = asyncio.create_task(queue.put(b"x"))
    assert not await settled(waiting)
    assert await queue.get() == bytes(100)
    assert await settled(waiting)
    assert await queue.get() == b"x"


async def test_the_end_comes_after_what_was_sent() -> None:
    queue = ByteQueue()
    await queue.put(b"last")
    await queue.put(None)
    assert [await queue.get(), await queue.get()] == [b"last", None]


@pytest.mark.parametrize("waits", ["who puts", "who takes"])
async def test_nobody_waits_at_a_closed_queue(waits: str) -> None:
    queue = ByteQueue(1)
    if waits == "who puts":
        await queue.put(b"x")
    waiting = asyncio.create_task(queue.put(b"y") if waits == "who puts" else _taken(queue))
    assert not await settled(waiting)
    queue.close()
    assert await settled(waiting)
    await queue.put(bytes(1000))
    assert await queue.get() is None


async def _taken(queue: ByteQueue) -> None:
    assert await queue.get() is None
