"""One Pod on one node, from its binding to its end: the kubelet's pod worker (pkg/kubelet/pod_workers.go, kubelet.go SyncPod).

The Pod as the API has it flows in through `update`; processes, events and the Pod's status flow out. The worker looks at everything again
whenever something changed (a new version of the Pod, a container's end, a probe's result, a time that came) and does the next step:
volumes, sandbox (`pod_sandbox`), containers (`pod_runtime`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from clusters.embedded.kubelet import status
from clusters.embedded.kubelet.admission import Rejection
from clusters.embedded.kubelet.container_config import ConfigMaker
from clusters.embedded.kubelet.containers import PodContainer
from clusters.embedded.kubelet.dra_state import DraError
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.pod_runtime import PodRuntime
from clusters.embedded.kubelet.pod_sandbox import PodSandbox
from clusters.embedded.kubelet.pod_status import StatusManager
from clusters.embedded.kubelet.volumes import MountFailure, PodVolumes
from kubeobjects import Object, meta

log = logging.getLogger(__name__)

_MOUNT_RETRY_FIRST = 0.5
_MOUNT_RETRY_LAST = 122.0
# When a Pod is looked at again after a sync that the kubelet takes for a good one (SyncFrequency), and after one that failed (backOffPeriod).
_RESYNC_SECONDS = 60.0
_BACK_OFF_SECONDS = 10.0


class PodWorker:
    """`admit` decides whether the node takes the Pod and raises Rejection; it is called once."""

    def __init__(self, services: NodeServices, pod: Object, admit: Callable[[Object], Awaitable[None]]):
        self._services = services
        self._admit = admit
        self.uid: str = pod["metadata"]["uid"]
        self.key = meta.key(pod)
        self._wake = asyncio.Event()
        self._removed = asyncio.Event()
        self._ending = asyncio.Event()
        self._ending_grace: float | None = None
        self.failure: tuple[str, str] | None = None
        self.addresses = {"hostIP": services.node.address}
        self.volumes = PodVolumes(
            pod,
            client=services.client,
            reader=services,
            folder=services.folder,
            addresses=self.addresses,
            allocatable=services.allocatable,
            launcher=services.launcher,
        )
        self._runtime = PodRuntime(services, pod, self.addresses, ConfigMaker(services, self.volumes, self.addresses), self._wake.set)
        self._sandbox = PodSandbox(services, pod, self.addresses, self._runtime.emit)
        self._finished = False
        self._admitted = False
        self._started_at = (pod.get("status") or {}).get("startTime") or meta.now()
        self._status = StatusManager(services.client, pod)

    @property
    def pod(self) -> Object:
        """As the API has it."""
        return self._runtime.pod

    @property
    def containers(self) -> list[PodContainer]:
        return self._runtime.containers

    # What comes in

    def update(self, pod: Object) -> None:
        """The Pod has changed in the API. Its status is the worker's own: a change there is no reason to look again."""
        news = _of_interest(pod) != _of_interest(self.pod)
        self._runtime.update(pod)
        self.volumes.update(pod)
        if meta.is_deleting(pod):
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            self.end(float(grace if grace is not None else 30))
        if news:
            self._wake.set()

    def remove(self) -> None:
        """The Pod is gone from the API (it was deleted by force)."""
        self._removed.set()
        self.end(float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def end(self, grace: float, failure: tuple[str, str] | None = None) -> None:
        """Everything of the Pod is to stop within `grace` seconds; `failure` (reason, message) is why, where the kubelet decided it."""
        if failure and self.failure is None:
            self.failure = failure
        if self._ending_grace is None or grace < self._ending_grace:
            self._ending_grace = grace
            self._runtime.shorten(grace)
        self._ending.set()
        self._wake.set()

    def look_again(self) -> None:
        self._wake.set()

    def container(self, name: str) -> PodContainer | None:
        return self._runtime.container(name)

    def emit(self, type: str, reason: str, message: str) -> None:
        self._runtime.emit(type, reason, message)

    @property
    def is_up(self) -> bool:
        """Volumes and address are there, and the Pod is not over."""
        return self._sandbox.is_up and not self._finished

    @property
    def holds_resources(self) -> bool:
        """Whether the Pod counts against what the node has."""
        return self._admitted and not self._finished

    # The Pod's life

    async def run(self) -> None:
        """Until the Pod is gone from the API and nothing of it is left on the node."""
        try:
            if (self.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                self._finished = True
            else:
                if meta.is_deleting(self.pod):
                    self.update(self.pod)
                await self._live()
            await self._ending.wait()
            await self._terminate()
        finally:
            self._runtime.kill()
        self._services.images.forget(self.uid)
        self._services.restarts.forget(self.uid)
        self._services.devices.release(self.uid)
        self._services.network.release(self.uid)
        self.volumes.unmount()
        await self._status.delete_pod(self._removed)

    async def _live(self) -> None:
        """Ends when the Pod is to end, or when all its containers have ended for good."""
        living = asyncio.create_task(self._bring_up_and_watch(), name=f"pod {self.key}")
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait([living, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            if not living.done():
                living.cancel()
                await asyncio.wait([living])
        if living.done() and not living.cancelled() and living.exception():
            raise living.exception()  # type: ignore[misc]
        if self.failure and not meta.is_deleting(self.pod):
            # The kubelet itself ended the Pod (deadline, eviction): it stays in the API as Failed.
            await self._stop_containers()
            await self._finish()
            if not self._removed.is_set() and not meta.is_deleting(self.pod):
                self._ending.clear()
                self._ending_grace = None

    async def _bring_up_and_watch(self) -> None:
        try:
            await self._admit(self.pod)
        except Rejection as rejection:
            await self._reject(rejection)
            return
        self._admitted = True
        had_sandbox = self._runtime.resume()
        self._start_deadline()
        await self._publish()
        await self._mount_volumes()
        await self._prepare_claims()
        await self._sandbox.make(anew=had_sandbox)
        if not self.pod["spec"].get("hostNetwork"):
            await self._publish()
            await self._services.network.until_judged(self.addresses["podIP"])
        await self._sync_until_finished()
        await self._stop_containers()
        await self._finish()

    async def _reject(self, rejection: Rejection) -> None:
        self.emit("Warning", rejection.reason, rejection.message)
        generation = self.pod["metadata"].get("generation")
        await self._status.write_rejected(status.rejected(rejection.reason, rejection.message, now=meta.now(), generation=generation))
        self._finished = True

    def _start_deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        left = meta.parse_time(self._started_at).timestamp() + seconds - time.time()
        asyncio.get_running_loop().call_later(max(0.0, left), self._deadline_exceeded)

    def _deadline_exceeded(self) -> None:
        if not self._finished and not self._ending.is_set():
            message = "Pod was active on the node longer than the specified deadline"
            self.emit("Normal", "DeadlineExceeded", message)
            self.end(float(self.pod["spec"].get("terminationGracePeriodSeconds") or 30), ("DeadlineExceeded", message))

    async def _mount_volumes(self) -> None:
        """Tries until all volumes are there, more and more slowly, and at once when a ConfigMap or Secret of the namespace changes."""
        wait = _MOUNT_RETRY_FIRST
        while True:
            self._wake.clear()
            try:
                await self.volumes.mount()
                return
            except MountFailure as failure:
                self.emit("Warning", "FailedMount", str(failure))
            await self._woken(wait)
            wait = min(wait * 2, _MOUNT_RETRY_LAST)

    async def _prepare_claims(self) -> None:
        """Tries until the Pod's ResourceClaims are prepared: at every resync, and when the Pod or the node's drivers have changed."""
        while True:
            self._wake.clear()
            try:
                await self._services.claims.prepare(self.pod)
                return
            except DraError as error:
                self.emit("Warning", "FailedPrepareDynamicResources", f"Failed to prepare dynamic resources: {error}")
            await self._woken(_RESYNC_SECONDS * random.uniform(1.0, 1.5))

    async def _unprepare_claims(self) -> None:
        """Tries until it has worked: until then the status does not say that the Pod is over, so that nobody else gets the devices."""
        while True:
            self._wake.clear()
            try:
                await self._services.claims.unprepare(self.pod)
                return
            except DraError as error:
                log.warning("pod %s: %s", self.key, error)
            await self._woken(_BACK_OFF_SECONDS * random.uniform(1.0, 1.5))

    async def _sync_until_finished(self) -> None:
        """Looks at everything again and again; each look starts what is due."""
        while True:
            self._wake.clear()
            self._runtime.begin_sync()
            await self._publish()
            seconds = await self._runtime.sync()
            until = None if seconds is None else time.monotonic() + seconds
            if self._runtime.is_finished:
                return
            await self._publish()
            await self._woken(None if until is None else max(0.0, until - time.monotonic()))
            # Changes come in bunches.
            await asyncio.sleep(0)

    async def _woken(self, seconds: float | None) -> None:
        # Not wait_for: until Python 3.12 it drops a cancellation that arrives together with what it waits for, and the end of a Pod sends both.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _publish(self, *, terminal: bool = False) -> None:
        views = self._runtime.shown()
        await self._status.write(
            lambda pod: status.pod_status(
                pod,
                views,
                sandbox=self._sandbox.is_up,
                host_ip=self.addresses["hostIP"],
                pod_ip=self.addresses.get("podIP", ""),
                now=meta.now(),
                start_time=self._started_at,
                failure=self.failure if self._finished else None,
                terminal=terminal,
                may_end=self._finished or terminal,
            )
        )

    # The end

    async def _stop_containers(self) -> None:
        grace = self._ending_grace
        if grace is None:
            grace = float(self.pod["spec"].get("terminationGracePeriodSeconds") or 0)
        await self._runtime.stop_all(grace)

    async def _finish(self) -> None:
        """Nothing runs any more and nothing will: the last word on the Pod's status."""
        await self._unprepare_claims()
        self._finished = True
        self._sandbox.is_up = False
        self._services.network.release(self.uid)
        self._services.devices.release(self.uid)
        await self._publish()

    async def _terminate(self) -> None:
        await self._stop_containers()
        await self._unprepare_claims()
        if not self._finished:
            self._sandbox.is_up = False
            await self._publish(terminal=True)


def _of_interest(pod: Object) -> tuple[Any, ...]:
    """What of a Pod the kubelet acts on, apart from what it wrote itself."""
    metadata, gates = pod["metadata"], {each["conditionType"] for each in pod["spec"].get("readinessGates") or []}
    conditions = [each for each in (pod.get("status") or {}).get("conditions") or [] if each["type"] in gates]
    fields = ("labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds")
    claims = [(pod.get("status") or {}).get(field) for field in status.CLAIM_FIELDS]
    return (pod["spec"], conditions, claims, *(metadata.get(field) for field in fields))
