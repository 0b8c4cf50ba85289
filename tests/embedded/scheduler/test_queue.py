"""Who is next, who waits, and what wakes the waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clusters.embedded.scheduler.queue import QueuedPod, SchedulingQueue

from .conftest import make_pod


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> SchedulingQueue:
    return SchedulingQueue(clock)


async def next_name(queue: SchedulingQueue) -> str:
    return (await pop(queue)).pod["metadata"]["name"]


async def pop(queue: SchedulingQueue) -> QueuedPod:
    async with asyncio.timeout(1):
        return await queue.pop()


async def is_empty(queue: SchedulingQueue) -> bool:
    try:
        async with asyncio.timeout(0.01):
            await queue.pop()
    except TimeoutError:
        return True
    return False


def about(plugin: str) -> Any:
    return lambda queued: plugin in queued.plugins


async def test_higher_priority_comes_first_then_first_come(queue: SchedulingQueue, clock: Clock) -> None:
    for name, priority in (("early", 0), ("late", 0), ("urgent", 10)):
        queue.add(make_pod(name, priority=priority))
        clock.now += 1
    assert [await next_name(queue) for _ in range(3)] == ["urgent", "early", "late"]


async def test_a_parked_pod_comes_back_for_what_refused_it(queue: SchedulingQueue) -> None:
    queue.add(make_pod("api"))
    queue.park(await pop(queue), {"NodeResourcesFit"})
    queue.move(about("TaintToleration"))
    assert await is_empty(queue)
    queue.move(about("NodeResourcesFit"))
    assert await next_name(queue) == "api"


async def test_a_change_during_the_attempt_is_not_missed(queue: SchedulingQueue) -> None:
    queue.add(make_pod("api"))
    attempt = await pop(queue)
    queue.move(about("NodeResourcesFit"))
    queue.park(attempt, {"NodeResourcesFit"})
    assert await next_name(queue) == "api"


async def test_a_parked_pod_is_tried_again_after_five_minutes(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(make_pod("api"))
    queue.park(await pop(queue), {"NodeResourcesFit"})
    clock.now = 301.0
    assert await next_name(queue) == "api"


async def test_a_failed_attempt_backs_off_longer_each_time(queue: SchedulingQueue, clock: Clock) -> None:
    queue.add(make_pod("api"))
    for wait in (1, 2, 4, 8, 10, 10):
        queue.retry(await pop(queue))
        clock.now += wait - 0.1
        assert await is_empty(queue)
        clock.now += 0.2


async def test_a_pod_that_was_deleted_and_made_anew_starts_afresh(queue: SchedulingQueue) -> None:
    queue.add(make_pod("api"))
    old = await pop(queue)
    queue.delete("lab/api")
    queue.add(make_pod("api"))
    queue.park(old, {"NodeResourcesFit"})
    queue.done(old)
    assert (await pop(queue)).attempts == 1


async def test_a_gated_pod_waits_for_its_gates(queue: SchedulingQueue) -> None:
    queue.add(make_pod("api", schedulingGates=[{"name": "example.com/approved"}]))
    queue.move(lambda queued: True)
    assert await is_empty(queue)
    queue.update(make_pod("api"), True)
    assert await next_name(queue) == "api"
