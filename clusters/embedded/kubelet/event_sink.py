"""Events in the order in which they were told, written in the background: starting a container does not wait for them."""

from __future__ import annotations

import asyncio

from clusters.embedded.events import EventRecorder
from kubeobjects import Object, meta

# Seconds for which a node that starts keeps its events. It has dozens to write, and its Pods go first.
_SETTLING = 0.5


class EventSink:
    """`emit` never waits; `run` writes, each with the time at which it was told."""

    def __init__(self, recorder: EventRecorder):
        self._recorder = recorder
        self._waiting: asyncio.Queue[tuple[Object, str, str, str, str, str]] = asyncio.Queue()

    def emit(self, obj: Object, type: str, reason: str, message: str, field_path: str = "") -> None:
        self._waiting.put_nowait((obj, type, reason, message, field_path, meta.now()))

    async def run(self) -> None:
        await asyncio.sleep(_SETTLING)
        while True:
            obj, type, reason, message, field_path, stamp = await self._waiting.get()
            await self._recorder.event(obj, type, reason, message, field_path=field_path, stamp=stamp)
