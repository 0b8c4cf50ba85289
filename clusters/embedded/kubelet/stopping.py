"""Ending one run of a container: the preStop hook, SIGTERM, and SIGKILL when its time is over (kuberuntime killContainer)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from clusters.embedded.kubelet.instance import Instance

PreStop = Callable[[], Awaitable[None]]

# A preStop hook may eat the grace period, but SIGTERM always comes this long before SIGKILL.
_LEAST_GRACE = 2.0


class Stopping:
    """Begins at once. `grace` is in seconds; `pre_stop` runs the hook, where there is one."""

    def __init__(self, instance: Instance, grace: float, pre_stop: PreStop | None):
        self._instance = instance
        self._kill_at = time.monotonic() + grace
        self._shortened = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._stop(pre_stop), name=f"stop {instance.id}")

    @property
    def done(self) -> bool:
        return self._task.done()

    def shorten(self, grace: float) -> None:
        """SIGKILL comes in `grace` seconds, if it would have come later."""
        kill_at = time.monotonic() + grace
        if kill_at < self._kill_at:
            self._kill_at = kill_at
            self._shortened.set()

    async def _stop(self, pre_stop: PreStop | None) -> None:
        process = self._instance.process
        assert process is not None
        if self._kill_at > time.monotonic():
            if pre_stop is not None:
                hook = asyncio.ensure_future(pre_stop())
                await self._wait_for(hook)
                hook.cancel()
                self._kill_at = max(self._kill_at, time.monotonic() + _LEAST_GRACE)
            process.terminate()
            await self._wait_for(asyncio.ensure_future(self._instance.ended.wait()))
        process.kill()
        await self._instance.ended.wait()

    async def _wait_for(self, what: asyncio.Future[Any]) -> None:
        """Returns when `what` is done or the time to kill has come, which may move nearer meanwhile."""
        while not what.done():
            left = self._kill_at - time.monotonic()
            if left <= 0:
                what.cancel()
                return
            sooner = asyncio.ensure_future(self._shortened.wait())
            await asyncio.wait([what, sooner], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            sooner.cancel()
            self._shortened.clear()
