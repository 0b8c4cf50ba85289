"""One Pod on one node, from its binding to its end: the kubelet's pod worker.

The Pod as the API has it flows in through `update`; processes, events and the Pod's status flow out. The worker looks at everything again
whenever something changed (a new version of the Pod, a container's end, a probe's result, a time that came) and does the next step.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from clusters.embedded import meta
from clusters.embedded.errors import ApiError, told
from clusters.embedded.kubelet import restarts, status
from clusters.embedded.kubelet.admission import Rejection
from clusters.embedded.kubelet.backoff import duration
from clusters.embedded.kubelet.container_config import ConfigMaker, prepare_pod_files
from clusters.embedded.kubelet.container_start import ContainerStarter
from clusters.embedded.kubelet.containers import PodContainer
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.pod_status import StatusWriter
from clusters.embedded.kubelet.volumes import MountFailure, PodVolumes
from kubeobjects import Object

log = logging.getLogger(__name__)


# A failed sync is tried again after 10 s and a little (backOffPeriod and its jitter); the first look after the sandbox is up comes sooner.
RESYNC_SECONDS = 11.0
_FIRST_RESYNC_SECONDS = 1.0
# CrashLoopBackOff is seen this long at least, though the next start is due: the kubelet shows it until its next relist.
_RELIST_SECONDS = 0.5
_MOUNT_RETRY_FIRST = 0.5
_MOUNT_RETRY_LAST = 122.0
_SANDBOX_RETRY = 12.0
_DELETE_RETRY = 1.0


class PodWorker:
    """`admit` decides whether the node takes the Pod and raises Rejection; it is called once."""

    def __init__(self, services: NodeServices, pod: Object, admit: Callable[[Object], Awaitable[None]]):
        self._services = services
        self._admit = admit
        self.pod = pod
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
        )
        self._logs = services.folder.logs(pod)
        self.containers: list[PodContainer] = []
        self._sandbox = False
        self._finished = False
        self._admitted = False
        self._resumed = False
        self._next_look = 0.0
        self._looks = 0
        self._syncs = 0
        self._started_at = (pod.get("status") or {}).get("startTime") or meta.now()
        self._starter = ContainerStarter(services, self, ConfigMaker(services, self.volumes, self.addresses))
        self._status = StatusWriter(services.client, pod)
        self._adopt_containers()

    # What comes in

    def update(self, pod: Object) -> None:
        """The Pod has changed in the API. Its status is the worker's own: a change there is no reason to look again."""
        news = _of_interest(pod) != _of_interest(self.pod)
        self.pod = pod
        self.volumes.update(pod)
        self._adopt_containers()
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
            for container in self.containers:
                if container.is_stopping:
                    container.stop(grace, None)
        self._ending.set()
        self._wake.set()

    def look_again(self) -> None:
        self._wake.set()

    def _adopt_containers(self) -> None:
        """Containers of the spec that are not known yet: all at first, ephemeral ones later."""
        spec = self.pod["spec"]
        known = {container.name: container for container in self.containers}
        for kind, field in (("init", "initContainers"), ("container", "containers"), ("ephemeral", "ephemeralContainers")):
            for each in spec.get(field) or []:
                if each["name"] in known:
                    known[each["name"]].spec = each
                    continue
                folder = self._services.folder.pod(self.uid)
                self.containers.append(PodContainer(each, kind, folder, self._logs, self._wake.set))

    def container(self, name: str) -> PodContainer | None:
        return next((each for each in self.containers if each.name == name), None)

    def emit(self, type: str, reason: str, message: str, container: PodContainer | None = None) -> None:
        self._services.events.emit(self.pod, type, reason, message, container.field_path if container else "")

    @property
    def is_up(self) -> bool:
        """Volumes and address are there, and the Pod is not over."""
        return self._sandbox and not self._finished

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
            for container in self.containers:
                container.kill()
        self._services.images.forget(self.uid)
        self._services.restarts.forget(self.uid)
        self._services.devices.release(self.uid)
        self._services.network.release(self.uid)
        self.volumes.unmount()
        await self._delete_from_api()

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
        self._resume()
        self._start_deadline()
        await self._publish()
        await self._mount_volumes()
        await self._make_sandbox()
        while not await self._sync():
            await self._wait_for_change()
        await self._stop_containers()
        await self._finish()

    def _resume(self) -> None:
        """A Pod that ran before this kubelet did: counts go on where they were."""
        old = self.pod.get("status") or {}
        known = {
            each["name"]: each
            for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
            for each in old.get(field) or []
        }
        for container in self.containers:
            container.resume(known.get(container.name), time.time())
        self._resumed = any(each.get("containerID") for each in known.values())

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

    async def _make_sandbox(self) -> None:
        """The Pod's own address and files; fails where the RuntimeClass names a handler that the node does not have."""
        while (handler := await self._missing_handler()) is not None:
            self.emit(
                "Warning",
                "FailedCreatePodSandBox",
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: "
                f'no runtime for "{handler}" is configured',
            )
            await asyncio.sleep(_SANDBOX_RETRY)
        if self._resumed:
            self.emit("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        node = self._services.node
        if self.pod["spec"].get("hostNetwork"):
            self.addresses["podIP"] = node.address
        else:
            self.addresses["podIP"] = self._services.network.allocate(node.index, self.uid)
        while (problem := self._sandbox_problem()) is not None:
            self.emit("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: rpc error: code = Unknown desc = {problem}")
            await asyncio.sleep(_SANDBOX_RETRY)
        self._sandbox = True

    def _sandbox_problem(self) -> str | None:
        """Makes the Pod's own files; what is in the way of that."""
        try:
            prepare_pod_files(self._services, self.pod, self.addresses["podIP"])
        except OSError as error:
            return f"failed to create the sandbox's files: {told(error)}"
        return None

    async def _missing_handler(self) -> str | None:
        name = self.pod["spec"].get("runtimeClassName")
        if not name:
            return None
        try:
            handler = (await self._services.client.get("runtimeclasses.node.k8s.io", name))["handler"]
        except ApiError:
            return name
        return None if handler in ("", "runc", "test-handler") else handler

    # One look at everything

    async def _sync(self) -> bool:
        """Starts what is due; True when the Pod has finished."""
        self._wake.clear()
        self._syncs += 1
        await self._publish()
        self._next_look = 0.0
        failed = False
        tried: set[str] = set()
        # What has been started may let the next one start, as a sidecar does.
        while due := [name for name in restarts.to_start(self.pod, self._views()) if name not in tried]:
            tried.add(due[0])
            container = self.container(due[0])
            if container is not None and not container.running and not await self._start(container):
                failed = True
        if failed:
            self._looks += 1
            self._next_look = time.monotonic() + (_FIRST_RESYNC_SECONDS if self._looks == 1 else RESYNC_SECONDS)
        finished = restarts.is_finished(self.pod, self._views())
        if not finished:
            await self._publish()
        return finished

    async def _start(self, container: PodContainer) -> bool:
        """Starts the container unless it must wait; False where it is to be tried again."""
        if container.terminated is not None:
            key = f"{self.uid}/{container.name}"
            backoff = self._services.restarts
            if backoff.remaining(key, container.finished_at):
                self._back_off(container, backoff.seconds(key))
                return False
            backoff.next(key, container.finished_at)
            if container.waiting and container.waiting[0] == "CrashLoopBackOff":
                await asyncio.sleep(_RELIST_SECONDS)
        return await self._starter.start(self.pod, container)

    def _back_off(self, container: PodContainer, seconds: float) -> None:
        metadata = self.pod["metadata"]
        named = f"{metadata['name']}_{metadata['namespace']}({self.uid})"
        self.emit("Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {named}", container)
        if container.waiting is None or container.waiting[0] != "CrashLoopBackOff":
            container.waits_since = self._syncs
        container.waiting = ("CrashLoopBackOff", f"back-off {duration(seconds)} restarting failed container={container.name} pod={named}")
        self._looks = max(self._looks, 1)

    async def _wait_for_change(self) -> None:
        timeout = self._next_look - time.monotonic() if self._next_look else None
        await self._woken(None if timeout is None else max(0.0, timeout))
        # Changes come in bunches.
        await asyncio.sleep(0)

    async def _woken(self, seconds: float | None) -> None:
        # Not wait_for: until Python 3.12 it drops a cancellation that arrives together with what it waits for, and the end of a Pod sends both.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _views(self) -> list[status.ContainerView]:
        return [container.view() for container in self.containers]

    async def _publish(self, *, terminal: bool = False) -> None:
        views = self._views()
        for view, container in zip(views, self.containers, strict=True):
            view.devices = self._services.devices.in_use(self.uid, container.name)
            # The kubelet shows how a container ended until it looks the next time; only then that it waits.
            if view.waiting and view.waiting[0] == "CrashLoopBackOff" and container.waits_since == self._syncs:
                view.waiting = None
        await self._status.write(
            lambda pod: status.pod_status(
                pod,
                views,
                sandbox=self._sandbox,
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
        """All at once; sidecars after the containers that they serve, the last one first."""
        grace = self._ending_grace
        if grace is None:
            grace = float(self.pod["spec"].get("terminationGracePeriodSeconds") or 0)
        until = time.monotonic() + grace
        sidecars = [each for each in self.containers if each.kind == "init" and each.spec.get("restartPolicy") == "Always"]
        others = [each for each in self.containers if each not in sidecars]
        for container in others:
            self.stop(container, grace, f"Stopping container {container.name}")
        await asyncio.gather(*(container.ended() for container in others))
        for container in reversed(sidecars):
            self.stop(container, max(0.0, until - time.monotonic()) if grace else 0.0, f"Stopping container {container.name}")
            await container.ended()

    def stop(self, container: PodContainer, grace: float, why: str) -> None:
        """Ends one container; `why` is the Killing event's message."""
        if not container.running or container.is_stopping:
            return
        self.emit("Normal", "Killing", why, container)
        container.stop(grace, self._starter.pre_stop(self.pod, container))

    async def _finish(self) -> None:
        """Nothing runs any more and nothing will: the last word on the Pod's status."""
        self._finished = True
        self._sandbox = False
        self._services.network.release(self.uid)
        self._services.devices.release(self.uid)
        await self._publish()

    async def _terminate(self) -> None:
        await self._stop_containers()
        if not self._finished:
            self._sandbox = False
            await self._publish(terminal=True)

    async def _delete_from_api(self) -> None:
        """Tells the API that the Pod's end is complete."""
        metadata = self.pod["metadata"]
        while not self._removed.is_set():
            try:
                await self._services.client.delete("pods", metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=self.uid)
                return
            except ApiError as error:
                if error.code in (404, 409):
                    return
                log.warning("pod %s: %s", self.key, error.message)
                if error.code < 500:
                    return
            # The disk is full: the Pod stays in the API until the server can write again.
            await asyncio.sleep(_DELETE_RETRY)


def _of_interest(pod: Object) -> tuple[Any, ...]:
    """What of a Pod the kubelet acts on, apart from what it wrote itself."""
    metadata, gates = pod["metadata"], {each["conditionType"] for each in pod["spec"].get("readinessGates") or []}
    conditions = [each for each in (pod.get("status") or {}).get("conditions") or [] if each["type"] in gates]
    fields = ("labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds")
    return (pod["spec"], conditions, *(metadata.get(field) for field in fields))
