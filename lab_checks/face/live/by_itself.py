"""Checking an exercise again whenever its cluster changes: what `ai-lab watch` does in a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kubeobjects import Object
from lab_checks.engine import progress
from lab_checks.engine.api import ApiUnreachable
from lab_checks.engine.course import Exercise
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Verdict
from lab_checks.face.live import reading

_QUIET_FOR = 0.2  # seconds without a change, before a look: what is applied together changes together
_PROGRESS_EVERY = 0.5  # seconds between two looks at the progress file: an answer or a diagnosis is no change of the cluster
_EVENTS = "events"


class _Stirred:
    """Hears of every change and keeps none of it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def replaced(self, kind: str, objects: list[Object]) -> None:
        self.event.set()

    def changed(self, kind: str, how: str, obj: Object) -> None:
        self.event.set()


async def _progress(session: Session, stirred: _Stirred) -> None:
    before = None
    while True:
        stamp = progress.stamp(session.state)
        if stamp != before:
            before = stamp
            stirred.event.set()
        await asyncio.sleep(_PROGRESS_EVERY)


async def _look(session: Session, exercise: Exercise, stirred: _Stirred, tell: Callable[[Verdict], None]) -> Verdict:
    told = ("", "")
    while True:
        await stirred.event.wait()
        await asyncio.sleep(_QUIET_FOR)
        stirred.event.clear()
        found = await asyncio.to_thread(session.look, exercise)
        if (found.mark, found.headline) != told:
            told = (found.mark, found.headline)
            tell(found)
        if found.passed:
            return found


async def until_passed(session: Session, exercise: Exercise, tell: Callable[[Verdict], None]) -> Verdict:
    """The pass, once there is one. `tell` hears every verdict that is another than the one before. Raises NoCluster, StoreError."""
    stirred = _Stirred()
    stirred.event.set()
    also = (each for each in (*reading.SHOWN, *reading.ALSO) if each != _EVENTS)
    looking = asyncio.create_task(_look(session, exercise, stirred, tell))
    tasks: list[asyncio.Task[Any]] = [looking, asyncio.create_task(_progress(session, stirred))]
    if exercise.cluster:
        kubeconfig = (await asyncio.to_thread(lambda: session.api)).kubeconfig
        tasks.append(asyncio.create_task(reading.read(kubeconfig, stirred, stirred.event.set, (), also)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done - {looking}:
            each.result()
        return looking.result()
    except ApiUnreachable as problem:
        raise await asyncio.to_thread(session.away, problem) from None
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
