"""Keeps the parts of the cluster running: one that fails is logged and started again, more and more slowly, and takes no other with it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

log = logging.getLogger(__name__)

_FIRST_SECONDS, _LAST_SECONDS = 0.5, 30.0
# A part that ran this long before it failed is not one that fails at every start.
_HEALTHY_SECONDS = 60.0


async def keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Awaits `run()`, and again whenever it fails, until cancelled. Returns where `run` returns by itself."""
    wait = _FIRST_SECONDS
    while True:
        began = time.monotonic()
        try:
            await run()
            return
        except Exception:
            if time.monotonic() - began > _HEALTHY_SECONDS:
                wait = _FIRST_SECONDS
            log.exception("%s failed and is started again in %.1f s", name, wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LAST_SECONDS)


class Component(Protocol):
    async def run(self) -> None: ...


def made_anew(make: Callable[[], Component]) -> Callable[[], Awaitable[None]]:
    """`run` of what `make` gives: made at once the first time, so that what cannot start says so, and anew for each later run."""
    waiting = [make()]

    async def run() -> None:
        await (waiting.pop() if waiting else make()).run()

    return run
