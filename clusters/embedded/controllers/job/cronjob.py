"""CronJob: a Job at each time of a schedule (pkg/controller/cronjob).

In: CronJobs and the Jobs they own. Out: Jobs created, old ones deleted, and which are active.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller, without_zeros
from clusters.embedded.controllers.job.decision import is_finished
from clusters.embedded.errors import ApiError
from kubeobjects import meta

_CRONJOBS, _JOBS = "cronjobs.batch", "jobs.batch"
_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# So many missed times, and the controller only speaks of many.
_MANY = 100

FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class ScheduleError(ValueError):
    """A schedule or a time zone that cannot be understood."""


def times(cronjob: Object, after: datetime, now: datetime) -> tuple[list[datetime], datetime]:
    """(times of the schedule in (after, now], the latest first and a hundred and one at most, and the first time later than `now`).

    Raises ScheduleError.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from cronsim import CronSim, CronSimError

    expression = _MACROS.get(cronjob["spec"]["schedule"], cronjob["spec"]["schedule"]).replace("?", "*")
    due: list[datetime] = []
    try:
        here = now.astimezone(ZoneInfo(cronjob["spec"].get("timeZone") or "Etc/UTC"))
        # Backwards from now: a schedule that was not looked at for a year has missed too many times to walk through.
        for moment in CronSim(expression, here + timedelta(seconds=1), reverse=True):
            if moment <= after or len(due) > _MANY:
                break
            due.append(moment)
        return due, next(CronSim(expression, here))
    except (CronSimError, ZoneInfoNotFoundError, ValueError, StopIteration) as error:
        raise ScheduleError(str(error)) from None


def job_for(cronjob: Object, scheduled: datetime) -> Object:
    """The Job of one scheduled time; its name holds the minute, so that no time is served twice."""
    template, metadata = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    wanted = template.get("metadata") or {}
    return meta.copy(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{metadata['name']}-{int(scheduled.timestamp()) // 60}",
                "namespace": metadata["namespace"],
                "labels": wanted.get("labels") or {},
                "annotations": {
                    **(wanted.get("annotations") or {}),
                    _SCHEDULED_AT: meta.format_time(scheduled),
                },
                "ownerReferences": [meta.owner_reference(cronjob)],
            },
            "spec": template["spec"],
        }
    )


class CronJobController(Controller):
    name = "cronjob-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._cronjobs = self.watch(_CRONJOBS)
        self._jobs = self.watch_owned(_JOBS, "CronJob")

    async def reconcile(self, key: str) -> None:
        cronjob = self._cronjobs.by_key(key)
        if cronjob is None or meta.is_deleting(cronjob):
            return
        uid = cronjob["metadata"]["uid"]
        mine = [job for job in self._jobs.list(cronjob["metadata"]["namespace"]) if (meta.controller_of(job) or {}).get("uid") == uid]
        status = await self._note_finished(cronjob, mine)
        await self._trim(cronjob, mine)
        await self._start_due(key, cronjob, mine, status)

    async def _note_finished(self, cronjob: Object, mine: list[Object]) -> Object:
        status = dict(cronjob.get("status") or {})
        before = {each["uid"] for each in status.get("active") or []}
        for job in mine:
            if not is_finished(job):
                continue
            condition = "Complete" if meta.is_true(job, "Complete") else "Failed"
            if job["metadata"]["uid"] in before:
                name = job["metadata"]["name"]
                await self.events.event(cronjob, "Normal", "SawCompletedJob", f"Saw completed job: {name}, condition: {condition}")
            ended = (job.get("status") or {}).get("completionTime")
            if condition == "Complete" and ended and ended > status.get("lastSuccessfulTime", ""):
                status["lastSuccessfulTime"] = ended
        status["active"] = [_reference(job) for job in mine if not is_finished(job)]
        return status

    async def _trim(self, cronjob: Object, mine: list[Object]) -> None:
        """Keeps only the latest Jobs of each outcome."""
        spec = cronjob["spec"]
        for kind, limit in (("Complete", spec.get("successfulJobsHistoryLimit", 3)), ("Failed", spec.get("failedJobsHistoryLimit", 1))):
            ended = sorted((job for job in mine if meta.is_true(job, kind)), key=lambda job: (job.get("status") or {}).get("startTime", ""))
            for job in ended[: max(0, len(ended) - limit)]:
                await self._delete(cronjob, job)

    async def _delete(self, cronjob: Object, job: Object) -> None:
        metadata = job["metadata"]
        if meta.is_deleting(job):
            return
        try:
            await self.client.delete(_JOBS, metadata["name"], metadata["namespace"], propagation_policy="Background", uid=metadata["uid"])
        except ApiError as error:
            if error.code == 404:
                return
            raise
        await self.events.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {metadata['name']}")

    async def _start_due(self, key: str, cronjob: Object, mine: list[Object], status: Object) -> None:
        spec, now = cronjob["spec"], datetime.now(UTC)
        last = status.get("lastScheduleTime") or cronjob["metadata"]["creationTimestamp"]
        deadline = spec.get("startingDeadlineSeconds")
        earliest = meta.parse_time(last)
        if deadline is not None:
            earliest = max(earliest, now - timedelta(seconds=deadline))
        try:
            due, upcoming = times(cronjob, earliest, now)
        except ScheduleError as error:
            await self.events.event(cronjob, "Warning", "UnparseableSchedule", f"unparseable schedule: {spec['schedule']} : {error}")
            return
        if due and not spec.get("suspend"):
            status = await self._start(cronjob, mine, status, due)
        await self.update_status(_CRONJOBS, cronjob, without_zeros(status))
        if not spec.get("suspend"):
            self.queue.add_after(key, max(0.0, (upcoming - now).total_seconds()) + 0.1)

    async def _start(self, cronjob: Object, mine: list[Object], status: Object, due: list[datetime]) -> Object:
        if len(due) > _MANY:
            message = f"too many missed start times: {len(due)}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            await self.events.event(cronjob, "Warning", "TooManyMissedTimes", message)
        scheduled = due[0]
        active = [job for job in mine if not is_finished(job)]
        policy = cronjob["spec"].get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and active:
            await self.events.event(cronjob, "Normal", "JobAlreadyActive", FORBIDDEN)
            return status
        if policy == "Replace":
            for job in active:
                await self._delete(cronjob, job)
            status = {**status, "active": []}
        body = job_for(cronjob, scheduled)
        try:
            job = await self.client.create(_JOBS, body, body["metadata"]["namespace"])
        except ApiError as error:
            if error.reason != "AlreadyExists":
                await self.events.event(cronjob, "Warning", "FailedCreate", f"Error creating job: {error.message}")
                raise
            return {**status, "lastScheduleTime": meta.format_time(scheduled)}
        await self.events.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {job['metadata']['name']}")
        references = [*(status.get("active") or []), _reference(job)]
        return {**status, "active": references, "lastScheduleTime": meta.format_time(scheduled)}


def _reference(job: Object) -> Object:
    metadata = job["metadata"]
    return {
        "kind": "Job",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": metadata["resourceVersion"],
    }
