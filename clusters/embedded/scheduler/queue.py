"""The Pods that wait for a node (pkg/scheduler/backend/queue): ready now, backing off, or parked until something changes.

A Pod that no node takes is parked with the names of the plugins that refused it, and comes back when a change concerns one of them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from clusters.embedded.client import Object
from clusters.embedded.scheduler.plugins import dynamicresources, schedulinggates
from kubeobjects import meta

# podInitialBackoffSeconds, podMaxBackoffSeconds, podMaxInUnschedulablePodsDuration.
_FIRST_BACKOFF = 1.0
_LAST_BACKOFF = 10.0
_MOST_PARKED = 300.0


@dataclass
class QueuedPod:
    """A Pod with what the queue knows of its earlier attempts. Times are the event loop's, in seconds."""

    pod: Object
    added: float
    attempts: int = 0
    parked_at: float = 0.0
    plugins: set[str] = field(default_factory=set)

    @property
    def backoff(self) -> float:
        return min(_FIRST_BACKOFF * 2 ** max(0, self.attempts - 1), _LAST_BACKOFF) if self.attempts else 0.0


class SchedulingQueue:
    """Keys are `namespace/name`. `pop` waits for the next Pod: higher priority first, then first come.

    A Pod of which `waits_for_claims` is true is not tried at all, and says nothing of it (DynamicResources' PreEnqueue).
    """

    def __init__(self, clock: Callable[[], float], waits_for_claims: Callable[[Object], bool] = lambda pod: False):
        self._clock = clock
        self._waits_for_claims = waits_for_claims
        self._ready: list[tuple[int, float, int, str]] = []
        self._pods: dict[str, QueuedPod] = {}
        self._in_ready: set[str] = set()
        self._backing_off: dict[str, float] = {}
        self._unschedulable: set[str] = set()
        self._gated: set[str] = set()
        self._in_flight: dict[str, QueuedPod] = {}
        # Changes seen while a Pod is being scheduled: it must not be parked without having heard of them.
        self._changes: dict[str, list[Callable[[QueuedPod], bool]]] = {}
        self._order = itertools.count()
        self._wake = asyncio.Event()

    def add(self, pod: Object) -> None:
        key = meta.key(pod)
        self._pods[key] = QueuedPod(pod, self._clock())
        self._place(key)

    def update(self, pod: Object, schedulable: bool) -> None:
        """A waiting Pod has changed; `schedulable` says that the change may matter to the plugins that refused it."""
        key = meta.key(pod)
        queued = self._pods.get(key)
        if queued is None or queued.pod["metadata"]["uid"] != pod["metadata"]["uid"]:
            self.delete(key)
            self.add(pod)
            return
        queued.pod = pod
        if key in self._in_flight:
            if schedulable:
                self._changes.setdefault(key, []).append(lambda _: True)
        elif key in self._gated or (key in self._unschedulable and schedulable):
            self._gated.discard(key)
            self._unschedulable.discard(key)
            self._place(key)

    def delete(self, key: str) -> None:
        for place in (self._in_ready, self._unschedulable, self._gated):
            place.discard(key)
        for table in (self._pods, self._backing_off, self._in_flight, self._changes):
            table.pop(key, None)

    def _place(self, key: str) -> None:
        queued = self._pods[key]
        if schedulinggates.is_gated(queued.pod):
            self._gated.add(key)
            return
        if self._waits_for_claims(queued.pod):
            queued.plugins, queued.parked_at = {dynamicresources.NAME}, self._clock()
            self._unschedulable.add(key)
            self._wake.set()
            return
        if key not in self._in_ready:
            self._in_ready.add(key)
            priority = queued.pod["spec"].get("priority") or 0
            heapq.heappush(self._ready, (-priority, queued.added, next(self._order), key))
        self._wake.set()

    async def pop(self) -> QueuedPod:
        """The next Pod; the caller must `done` or `park` or `retry` it."""
        while True:
            self._release_due()
            while self._ready:
                _, _, _, key = heapq.heappop(self._ready)
                if key not in self._in_ready:
                    continue
                self._in_ready.discard(key)
                queued = self._pods[key]
                queued.attempts += 1
                self._in_flight[key] = queued
                self._changes[key] = []
                return queued
            self._wake.clear()
            try:
                async with asyncio.timeout(self._next_due()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _next_due(self) -> float | None:
        now = self._clock()
        dues = list(self._backing_off.values())
        dues += [self._pods[key].parked_at + _MOST_PARKED for key in self._unschedulable]
        return max(0.0, min(dues) - now) + 0.001 if dues else None

    def _release_due(self) -> None:
        now = self._clock()
        for key in [key for key, due in self._backing_off.items() if due <= now]:
            del self._backing_off[key]
            self._place(key)
        for key in [key for key in self._unschedulable if self._pods[key].parked_at + _MOST_PARKED <= now]:
            self._unschedulable.discard(key)
            self._place(key)

    def done(self, queued: QueuedPod) -> None:
        """The Pod has its node, or is no more."""
        if self._is_current(queued):
            self.delete(meta.key(queued.pod))

    def park(self, queued: QueuedPod, plugins: set[str]) -> None:
        """No node took the Pod: it waits for a change that concerns one of `plugins`."""
        if not self._is_current(queued):
            return
        key = meta.key(queued.pod)
        del self._in_flight[key]
        queued.plugins = plugins
        queued.parked_at = self._clock()
        if any(concerns(queued) for concerns in self._changes.pop(key, [])):
            self._place(key)
        else:
            self._unschedulable.add(key)
            self._wake.set()

    def retry(self, queued: QueuedPod) -> None:
        """The attempt itself failed: the Pod comes back after its back-off."""
        if self._is_current(queued):
            key = meta.key(queued.pod)
            del self._in_flight[key]
            self._changes.pop(key, None)
            self._backing_off[key] = self._clock() + queued.backoff
            self._wake.set()

    def _is_current(self, queued: QueuedPod) -> bool:
        """False once the Pod was deleted, even where another of the same name waits by now."""
        return self._in_flight.get(meta.key(queued.pod)) is queued

    def move(self, concerns: Callable[[QueuedPod], bool]) -> None:
        """Something changed: parked Pods that it concerns are ready again.

        They do not sit out their back-off: the scheduler takes Pods from the back-off queue when it has nothing else to do.
        """
        for changes in self._changes.values():
            changes.append(concerns)
        for key in [key for key in self._unschedulable if concerns(self._pods[key])]:
            self._unschedulable.discard(key)
            self._place(key)
