"""The Job controller at work. In: Jobs and their Pods. Out: Pods created, deleted and counted, conditions, events."""

from __future__ import annotations

from datetime import UTC, datetime

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller, set_condition, without_zeros
from clusters.embedded.controllers.job import decision, indexes
from clusters.embedded.errors import ApiError
from kubeobjects import meta

_JOBS = "jobs.batch"
# MaxPodCreateDeletePerSync.
_BURST = 500


class JobController(Controller):
    name = "job-controller"
    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._jobs = self.watch(_JOBS)
        self._pods = self.watch_owned("pods", "Job")
        self._control = pods.PodControl(self.client, self.events, self._pods, "Job")
        self._backoffs: dict[str, decision.BackOff] = {}

    async def reconcile(self, key: str) -> None:
        job = self._jobs.by_key(key)
        namespace, name = meta.split_key(key)
        if job is None:
            self._control.expectations.forget(key)
            self._backoffs.pop(key, None)
            await self._release_all(namespace or "", name)
            return
        if job["spec"].get("managedBy") not in (None, "kubernetes.io/job-controller"):
            return
        mine = [pod for pod in self._pods.list(namespace) if (meta.controller_of(pod) or {}).get("uid") == job["metadata"]["uid"]]
        if decision.is_finished(job) or meta.is_deleting(job):
            for pod in mine:
                await self._release(pod)
            return
        await self._sync(key, job, mine)

    async def _sync(self, key: str, job: Object, mine: list[Object]) -> None:
        now = datetime.now(UTC)
        counted = decision.count(job, mine)
        may_change = self._control.expectations.satisfied(key)
        status = {**(job.get("status") or {})}
        self._backoffs.setdefault(key, decision.BackOff()).note(
            counted.newly_failed,
            bool(counted.uncounted_succeeded) or len(counted.completed) > len(indexes.parse(status.get("completedIndexes"))),
        )
        suspended = bool(job["spec"].get("suspend"))
        if "startTime" not in status and not suspended:
            status["startTime"] = meta.now()
        status = await self._note_suspension(job, status, suspended)
        sealed = decision.verdict({**job, "status": status}, counted, now)
        if sealed is not None:
            await self._end(job, counted, status, sealed)
            return
        running = len(counted.active)
        if may_change:
            wanted = 0 if suspended else decision.wanted_active(job, counted)
            running = await self._resize(key, job, counted, wanted, now)
        await self._write(job, counted, status, running)
        left = decision.seconds_to_deadline({**job, "status": status}, now)
        if left is not None:
            self.queue.add_after(key, max(0.0, left))

    async def _note_suspension(self, job: Object, status: Object, suspended: bool) -> Object:
        known = meta.condition(job, "Suspended")
        if suspended == (known is not None and known["status"] == "True"):
            return status
        if not suspended and known is None:
            return status
        reason, message = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
        condition = {"type": "Suspended", "status": "True" if suspended else "False", "reason": reason, "message": message}
        status = {**status, "conditions": _stamped(status, condition)}
        if suspended:
            status.pop("startTime", None)
        else:
            status["startTime"] = meta.now()
        await self.events.event(job, "Normal", "Suspended" if suspended else "Resumed", message)
        return status

    async def _resize(self, key: str, job: Object, counted: decision.Count, wanted: int, now: datetime) -> int:
        """Starts or ends Pods until `wanted` run; how many do afterwards."""
        running = len(counted.active)
        if running > wanted:
            victims = pods.deletion_order(counted.active, [])[: running - wanted]
            for pod in victims:
                # A Pod that the Job itself takes away is no failure: it is released before it ends.
                await self._release(pod)
            await self._control.delete_many(job, victims)
            return wanted
        occupied = counted.terminating if decision.only_replaces_failed(job) else 0
        missing = min(wanted - running - occupied, _BURST)
        if missing <= 0:
            return running
        wait = self._backoffs[key].seconds_left(now)
        if wait > 0:
            self.queue.add_after(key, wait)
            return running
        if indexes.is_indexed(job):
            bodies = [_pod(job, index) for index in decision.missing_indexes(job, counted, missing)]
        else:
            bodies = [_pod(job, None) for _ in range(missing)]
        failure = await self._control.create_many(job, bodies)
        if failure is not None:
            raise failure
        return running + len(bodies)

    async def _end(self, job: Object, counted: decision.Count, status: Object, sealed: tuple[str, decision.Verdict]) -> None:
        """First the verdict is written down and what still runs is ended; when nothing runs any more the Job is over."""
        kind, (reason, message) = sealed
        target = "FailureTarget" if kind == "Failed" else "SuccessCriteriaMet"
        status = {**status, "conditions": _stamped(status, _condition(target, reason, message))}
        if counted.active:
            await self._control.delete_many(job, counted.active)
            # What a failed Job still ran has failed with it; what a successful one still ran is not counted at all.
            if kind == "Failed":
                counted.uncounted_failed += [pod["metadata"]["uid"] for pod in counted.active]
            counted.to_release += counted.active
            await self._write(job, counted, status, 0, terminating=counted.terminating + len(counted.active))
            return
        if counted.to_release or counted.terminating:
            await self._write(job, counted, status, 0)
            return
        if kind == "Complete":
            status["completionTime"] = meta.now()
        status["conditions"] = _stamped(status, _condition(kind, reason, message))
        await self._write(job, counted, status, 0)
        if kind == "Complete":
            await self.events.event(job, "Normal", "Completed", "Job completed")
        else:
            await self.events.event(job, "Warning", reason, message)

    async def _write(self, job: Object, counted: decision.Count, status: Object, active: int, *, terminating: int | None = None) -> None:
        """Writes the counts, then releases the Pods that are in them."""
        uncounted = {
            name: uids for name, uids in (("succeeded", counted.uncounted_succeeded), ("failed", counted.uncounted_failed)) if uids
        }
        new = {
            **status,
            "active": active,
            "ready": counted.ready if active else 0,
            "terminating": counted.terminating if terminating is None else terminating,
            "succeeded": counted.succeeded,
            "failed": counted.failed,
            "uncountedTerminatedPods": uncounted,
        }
        if indexes.is_indexed(job):
            new["completedIndexes"] = indexes.render(counted.completed)
        if counted.failed_indexes or job["spec"].get("backoffLimitPerIndex") is not None:
            new["failedIndexes"] = indexes.render(counted.failed_indexes)
        await self.update_status(_JOBS, job, without_zeros(new, "ready", "terminating", "uncountedTerminatedPods"))
        for pod in counted.to_release:
            await self._release(pod)

    async def _release_all(self, namespace: str, job: str) -> None:
        """A Job that is gone holds no Pod back."""
        for pod in self._pods.list(namespace):
            owner = meta.controller_of(pod)
            if owner and owner["kind"] == "Job" and owner["name"] == job and decision.is_tracked(pod):
                await self._release(pod)

    async def _release(self, pod: Object) -> None:
        if not decision.is_tracked(pod):
            return
        metadata = pod["metadata"]
        left = [each for each in metadata.get("finalizers") or [] if each != decision.TRACKING_FINALIZER]
        try:
            await self.client.patch(
                "pods", metadata["name"], {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}, metadata["namespace"]
            )
        except ApiError as error:
            if error.code not in (404, 409, 422):
                raise


def _condition(kind: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def _stamped(status: Object, condition: Object) -> list[Object]:
    """Job conditions also say when they were last looked at."""
    conditions = set_condition(status.get("conditions") or [], condition)
    return [{"lastProbeTime": each["lastTransitionTime"], **each} for each in conditions]


def _pod(job: Object, index: int | None) -> Object:
    pod = pods.from_template(job["spec"]["template"], job)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["finalizers"] = [*metadata.get("finalizers", []), decision.TRACKING_FINALIZER]
    if index is None:
        return pod
    name = job["metadata"]["name"]
    metadata["generateName"] = f"{name}-{index}-"
    metadata.setdefault("annotations", {})[indexes.ANNOTATION] = str(index)
    metadata.setdefault("labels", {})[indexes.ANNOTATION] = str(index)
    spec["hostname"] = f"{name}-{index}"
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{indexes.ANNOTATION}']"}},
    }
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        if all(each["name"] != variable["name"] for each in container.get("env") or []):
            container.setdefault("env", []).append(variable)
    return pod
