"""The scheduler at work: takes waiting Pods one by one, decides, and writes the decision down (pkg/scheduler/schedule_one.go).

In: Pods without a node whose `schedulerName` is default-scheduler. Out: bindings, `Scheduled` and `FailedScheduling` events,
the PodScheduled condition, nominations and the deletion of preempted Pods.
"""

from __future__ import annotations

import asyncio
import logging

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from clusters.embedded.events import EventRecorder
from clusters.embedded.informer import InformerFactory
from clusters.embedded.scheduler import algorithm, preemption
from clusters.embedded.scheduler.binding import VolumeBinder, VolumeBindingError
from clusters.embedded.scheduler.cache import WATCHED, Cache, is_done
from clusters.embedded.scheduler.claimbinding import ClaimBinder, ClaimBindingError
from clusters.embedded.scheduler.framework import PluginError
from clusters.embedded.scheduler.plugins import dynamicresources, volumebinding
from clusters.embedded.scheduler.plugins.registry import BY_NAME
from clusters.embedded.scheduler.queue import QueuedPod, SchedulingQueue
from kubeobjects import meta

log = logging.getLogger(__name__)

NAME = "default-scheduler"
PREEMPTING = "{scheduler}: preempting to accommodate a higher priority pod"


class Scheduler:
    """`await run()` schedules until it is cancelled."""

    def __init__(self, client: Client):
        self._client = client
        self._events = EventRecorder(client, NAME)
        self._informers = InformerFactory(client)
        self._cache = Cache(self._informers)
        self._volumes = VolumeBinder(client, self._informers)
        self._claims = ClaimBinder(client, self._cache)

    async def run(self) -> None:
        self._queue = SchedulingQueue(asyncio.get_running_loop().time, lambda pod: dynamicresources.is_gated(pod, self._cache.devices()))
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._informers.start(tasks)
            await self._informers.wait_for_sync()
            self._cache.pods.on_change(self._pod_changed)
            for resource in WATCHED:
                self._informers(resource).on_change(lambda old, new, resource=resource: self._changed(resource, old, new))  # type: ignore[misc]
            while True:
                queued = await self._queue.pop()
                try:
                    await self._schedule_one(queued)
                except Exception as error:
                    # One Pod's trouble is not the others': it is tried again after its back-off.
                    log.log(logging.INFO if isinstance(error, ApiError) else logging.ERROR, "%s", meta.key(queued.pod), exc_info=error)
                    self._queue.retry(queued)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        before = old is not None and bool(old["spec"].get("nodeName")) and not is_done(old)
        after = new is not None and bool(new["spec"].get("nodeName")) and not is_done(new)
        if new is None or is_done(new) or new["spec"].get("nodeName"):
            self._queue.delete(meta.key(new or old or {}))
        elif new["spec"].get("schedulerName", NAME) == NAME:
            self._waiting_pod_changed(old, new)
        if before and after:
            if old and new and old["metadata"].get("labels") != new["metadata"].get("labels"):
                self._changed("pods", old, new)
        elif before or after:
            self._changed("pods", old if before else None, new if after else None)

    def _waiting_pod_changed(self, old: Object | None, new: Object) -> None:
        if old is None:
            if not meta.is_deleting(new):
                self._queue.add(new)
            return
        if meta.is_deleting(new):
            self._queue.delete(meta.key(new))
            return
        changed = old["spec"] != new["spec"] or old["metadata"].get("labels") != new["metadata"].get("labels")
        changed = changed or _generated_claims(old) != _generated_claims(new)
        if not self._cache.is_assumed(new):
            self._queue.update(new, changed)

    def _changed(self, resource: str, old: Object | None, new: Object | None) -> None:
        def concerns(queued: QueuedPod) -> bool:
            hints = (BY_NAME[name].events.get(resource) for name in queued.plugins)
            # A Pod that was refused without a plugin having done it (there were no nodes) waits for nodes.
            return any(hint(queued.pod, old, new) for hint in hints if hint) or (not queued.plugins and resource == "nodes")

        self._queue.move(concerns)

    def _changed_for(self, plugin: str) -> None:
        self._queue.move(lambda queued: plugin in queued.plugins)

    async def _schedule_one(self, queued: QueuedPod) -> None:
        pod, key = queued.pod, meta.key(queued.pod)
        snapshot = self._cache.snapshot()
        try:
            result = algorithm.schedule(self._cache.info(pod), snapshot, self._cache.nominated())
        except PluginError as error:
            await self._fail(queued, str(error))
            return
        if result.node is None:
            await self._refuse(queued, result)
            return
        self._cache.assume(pod, result.node)
        binding = volumebinding.binding_for(result.cycle, result.node)
        reservation = dynamicresources.reservation_for(result.cycle, result.node)
        self._claims.assume(reservation)
        self._tasks.create_task(self._bind(queued, result.node, binding, reservation), name=f"bind {key}")

    async def _bind(self, queued: QueuedPod, node: str, volumes: volumebinding.Binding, reservation: dynamicresources.Reservation) -> None:
        pod = queued.pod
        metadata = pod["metadata"]
        try:
            if volumes:
                await self._volumes.bind(pod, volumes, node)
            await self._claims.bind(pod, reservation)
            body = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
                "target": {"kind": "Node", "name": node},
            }
            await self._client.create("pods", body, metadata["namespace"], subresource="binding", name=metadata["name"])
        except (ApiError, VolumeBindingError, ClaimBindingError) as error:
            self._cache.forget(pod)
            await self._claims.release(pod, reservation)
            self._changed_for(dynamicresources.NAME)
            if isinstance(error, ApiError) and error.code == 404:
                self._queue.done(queued)
                return
            self._queue.retry(queued)
            await self._events.event(pod, "Warning", "FailedScheduling", f"running {_stage(error)}: {error}")
            return
        finally:
            self._claims.settle(reservation)
        self._queue.done(queued)
        await self._events.event(pod, "Normal", "Scheduled", f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}")

    async def _refuse(self, queued: QueuedPod, result: algorithm.Result) -> None:
        """Says why the Pod stays Pending, and makes room for it where that is possible."""
        pod = queued.pod
        claims, idle = dynamicresources.post_filter(result.cycle)
        if idle is not None:
            await self._claims.deallocate(idle)
        outcome = preemption.find(
            result.cycle.pod, result.cycle.snapshot, result.diagnosis, self._cache.nominated(), self._cache.budgets.list(), claims
        )
        message = result.diagnosis.message(outcome.message)
        nominated = (pod.get("status") or {}).get("nominatedNodeName") or ""
        if outcome.candidate is not None:
            nominated = outcome.candidate.node
            self._cache.nominate(pod, nominated)
        elif outcome.clear:
            nominated = ""
            self._cache.unnominate(pod)
        await self._events.event(pod, "Warning", "FailedScheduling", message)
        await self._set_unschedulable(pod, message, nominated)
        if outcome.candidate is not None:
            await self._evict(pod, outcome.candidate)
        self._queue.park(queued, result.diagnosis.plugins)

    async def _fail(self, queued: QueuedPod, message: str) -> None:
        """A plugin has failed: the Pod is tried again after its back-off."""
        await self._events.event(queued.pod, "Warning", "FailedScheduling", message)
        nominated = (queued.pod.get("status") or {}).get("nominatedNodeName") or ""
        await self._set_unschedulable(queued.pod, message, nominated, reason="SchedulerError")
        self._queue.retry(queued)

    async def _set_unschedulable(self, pod: Object, message: str, nominated: str, reason: str = "Unschedulable") -> None:
        known = meta.condition(pod, "PodScheduled") or {}
        status: Object = {}
        if (known.get("status"), known.get("reason"), known.get("message")) != ("False", reason, message):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": reason,
                    "message": message,
                    "lastProbeTime": None,
                    "lastTransitionTime": known["lastTransitionTime"] if known.get("status") == "False" else meta.now(),
                    "observedGeneration": pod["metadata"].get("generation", 1),
                }
            ]
        if nominated != ((pod.get("status") or {}).get("nominatedNodeName") or ""):
            status["nominatedNodeName"] = nominated or None
        if status:
            await self._patch_status(pod, status)

    async def _patch_status(self, pod: Object, status: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.patch(
                "pods",
                metadata["name"],
                {"metadata": {"uid": metadata["uid"]}, "status": status},
                metadata["namespace"],
                subresource="status",
                type="strategic",
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _evict(self, pod: Object, candidate: preemption.Candidate) -> None:
        """Ends the victims, and takes the node from weaker Pods that it had been promised to."""
        for rival in self._cache.nominated().get(candidate.node, []):
            if rival.priority < (pod["spec"].get("priority") or 0):
                self._cache.unnominate(rival.pod)
                await self._patch_status(rival.pod, {"nominatedNodeName": None})
        for victim in candidate.victims:
            if meta.is_deleting(victim.pod):
                continue
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": preemption.BY_SCHEDULER,
                "message": PREEMPTING.format(scheduler=pod["spec"].get("schedulerName", NAME)),
                "lastProbeTime": None,
                "lastTransitionTime": meta.now(),
                "observedGeneration": victim.pod["metadata"].get("generation", 1),
            }
            metadata = victim.pod["metadata"]
            await self._patch_status(victim.pod, {"conditions": [condition]})
            try:
                await self._client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            message = f"Preempted by pod {pod['metadata']['uid']} on node {candidate.node}"
            await self._events.event(victim.pod, "Normal", "Preempted", message)


def _generated_claims(pod: Object) -> object:
    return (pod.get("status") or {}).get("resourceClaimStatuses")


def _stage(error: Exception) -> str:
    if isinstance(error, ClaimBindingError):
        return f'PreBind plugin "{dynamicresources.NAME}"'
    return 'PreBind plugin "VolumeBinding"' if isinstance(error, VolumeBindingError) else "Bind plugin"
