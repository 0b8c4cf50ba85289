"""What a Job needs next, from its spec, its status and its Pods. Decides only; `controller.py` acts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.job import failurepolicy, indexes
from kubeobjects import meta

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"

# DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff, in seconds.
_FIRST_BACKOFF = 10.0
_LAST_BACKOFF = 600.0

BACKOFF_LIMIT = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
FAILED_INDEXES = ("FailedIndexes", "Job has failed indexes")
MAX_FAILED_INDEXES = ("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
SUCCESS_POLICY = "SuccessPolicy"
COMPLETIONS_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")

Verdict = tuple[str, str]


def is_finished(job: Object) -> bool:
    return meta.is_true(job, "Complete") or meta.is_true(job, "Failed")


def is_tracked(pod: Object) -> bool:
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or [])


def only_replaces_failed(job: Object) -> bool:
    """Pods that are on their way out are waited for before they are replaced."""
    return job["spec"].get("podReplacementPolicy") == "Failed" or bool(job["spec"].get("podFailurePolicy"))


def has_failed(job: Object, pod: Object) -> bool:
    if pods.phase(pod) == "Failed":
        return True
    return not only_replaces_failed(job) and meta.is_deleting(pod) and pods.phase(pod) != "Succeeded"


def finish_time(pod: Object) -> datetime:
    """When the last container ended; else when the Pod stopped being ready, or began to be deleted."""
    ends = [
        ended
        for each in (pod.get("status") or {}).get("containerStatuses") or []
        if (ended := ((each.get("state") or {}).get("terminated") or {}).get("finishedAt"))
    ]
    if ends:
        return meta.parse_time(max(ends))
    ready = meta.condition(pod, "Ready") or {}
    stamp = ready.get("lastTransitionTime") or pod["metadata"].get("deletionTimestamp") or pod["metadata"]["creationTimestamp"]
    return meta.parse_time(stamp)


@dataclass
class Count:
    """A Job's Pods sorted out. `succeeded` and `failed` include those that were counted before and are gone."""

    active: list[Object] = field(default_factory=list)
    terminating: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    uncounted_succeeded: list[str] = field(default_factory=list)
    uncounted_failed: list[str] = field(default_factory=list)
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    index_failures: Counter[int] = field(default_factory=Counter)
    newly_failed: list[Object] = field(default_factory=list)
    # Pods that are counted and may go: their finalizer is to be taken away.
    to_release: list[Object] = field(default_factory=list)
    fail_job: Verdict | None = None


def count(job: Object, mine: list[Object]) -> Count:
    """Counts each Pod that has ended exactly once: first it is noted in the status by uid, then released, then it is a number."""
    status = job.get("status") or {}
    noted = status.get("uncountedTerminatedPods") or {}
    by_uid = {pod["metadata"]["uid"]: pod for pod in mine}
    result = Count(succeeded=status.get("succeeded", 0), failed=status.get("failed", 0))
    result.completed = indexes.parse(status.get("completedIndexes"))
    result.failed_indexes = indexes.parse(status.get("failedIndexes"))
    for kind, kept in (("succeeded", result.uncounted_succeeded), ("failed", result.uncounted_failed)):
        for uid in noted.get(kind) or []:
            pod = by_uid.get(uid)
            if pod is not None and is_tracked(pod):
                kept.append(uid)
                result.to_release.append(pod)
            elif kind == "succeeded":
                result.succeeded += 1
            else:
                result.failed += 1
    known = {*result.uncounted_succeeded, *result.uncounted_failed}
    counted = {*(noted.get("succeeded") or []), *(noted.get("failed") or [])}
    for pod in mine:
        _sort(job, pod, pod["metadata"]["uid"] in known | counted, result)
    if indexes.is_indexed(job):
        result.succeeded = len(result.completed)
        result.uncounted_succeeded = []
    return result


def _sort(job: Object, pod: Object, is_noted: bool, result: Count) -> None:
    uid, index = pod["metadata"]["uid"], indexes.index_of(pod)
    indexed = indexes.is_indexed(job)
    if meta.is_deleting(pod) and not pods.is_terminal(pod):
        # Also where it counts as failed already: the Job is not over before it is gone.
        result.terminating += 1
    if pods.phase(pod) == "Succeeded":
        if not is_tracked(pod) or is_noted:
            return
        if indexed:
            if index is not None and index < (job["spec"].get("completions") or 0):
                result.completed.add(index)
        else:
            result.uncounted_succeeded.append(uid)
        result.to_release.append(pod)
    elif has_failed(job, pod):
        action, message = failurepolicy.judge(job["spec"].get("podFailurePolicy"), pod) if pods.phase(pod) == "Failed" else ("Count", "")
        if index is not None and action != "Ignore":
            result.index_failures[index] += 1
            if action == "FailIndex":
                result.failed_indexes.add(index)
        if action == "FailJob":
            result.fail_job = ("PodFailurePolicy", message)
        if not is_tracked(pod) or is_noted:
            return
        result.newly_failed.append(pod)
        if action != "Ignore":
            result.uncounted_failed.append(uid)
        result.to_release.append(pod)
    elif not meta.is_deleting(pod):
        result.active.append(pod)
        result.ready += pods.is_ready(pod)


def verdict(job: Object, counted: Count, now: datetime | None = None) -> tuple[str, Verdict] | None:
    """("Failed" or "Complete", (reason, message)) where the Job's fate is sealed, else None."""
    for kind in ("SuccessCriteriaMet", "FailureTarget"):
        sealed = meta.condition(job, kind)
        if sealed is not None and sealed["status"] == "True":
            return ("Failed" if kind == "FailureTarget" else "Complete", (sealed["reason"], sealed.get("message", "")))
    spec = job["spec"]
    failed = counted.failed + len(counted.uncounted_failed)
    succeeded = counted.succeeded + len(counted.uncounted_succeeded)
    if counted.fail_job is not None:
        return "Failed", counted.fail_job
    per_index = spec.get("backoffLimitPerIndex")
    if per_index is not None:
        counted.failed_indexes |= {index for index, failures in counted.index_failures.items() if failures > per_index} - counted.completed
    limit = spec.get("backoffLimit", 6)
    if failed > limit or _restarted_too_often(spec, counted, limit):
        return "Failed", BACKOFF_LIMIT
    if _deadline_passed(job, now or datetime.now(UTC)):
        return "Failed", DEADLINE
    if spec.get("maxFailedIndexes") is not None and len(counted.failed_indexes) > spec["maxFailedIndexes"]:
        return "Failed", MAX_FAILED_INDEXES
    completions = spec.get("completions")
    if completions is None:
        return ("Complete", COMPLETIONS_REACHED) if succeeded and not counted.active else None
    if counted.failed_indexes and succeeded + len(counted.failed_indexes) >= completions:
        return "Failed", FAILED_INDEXES
    rule = _success_rule(job, counted.completed)
    if rule is not None:
        return "Complete", (SUCCESS_POLICY, f"Matched rules at index {rule}")
    if succeeded >= completions and (completions or not counted.active):
        return "Complete", COMPLETIONS_REACHED
    return None


def _success_rule(job: Object, completed: set[int]) -> int | None:
    """The number of the first rule of spec.successPolicy that the completed indexes satisfy (pkg/controller/job/success_policy.go)."""
    if not completed or not indexes.is_indexed(job):
        return None
    every = set(range(job["spec"].get("completions") or 0))
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or []):
        asked, many = rule.get("succeededIndexes"), rule.get("succeededCount")
        wanted = every if asked is None else indexes.parse(asked) & every
        done = len(wanted & completed)
        if (many is not None and done >= many) or (asked is not None and wanted and done == len(wanted)):
            return number
    return None


def _restarted_too_often(spec: Object, counted: Count, limit: int) -> bool:
    """With restartPolicy OnFailure, restarts of containers count as failures."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    total = sum(
        each.get("restartCount", 0)
        for pod in counted.active
        for each in [
            *((pod.get("status") or {}).get("containerStatuses") or []),
            *((pod.get("status") or {}).get("initContainerStatuses") or []),
        ]
    )
    return total > 0 if limit == 0 else total >= limit


def _deadline_passed(job: Object, now: datetime) -> bool:
    left = seconds_to_deadline(job, now)
    return left is not None and left <= 0


def seconds_to_deadline(job: Object, now: datetime) -> float | None:
    seconds, start = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if seconds is None or not start or job["spec"].get("suspend"):
        return None
    return (meta.parse_time(start) + timedelta(seconds=seconds) - now).total_seconds()


def wanted_active(job: Object, counted: Count) -> int:
    """How many Pods should run now."""
    spec = job["spec"]
    parallelism = spec.get("parallelism", 1)
    succeeded = counted.succeeded + len(counted.uncounted_succeeded)
    if spec.get("completions") is None:
        # A work queue: when one Pod has succeeded no new ones are started.
        return len(counted.active) if succeeded else parallelism
    return max(0, min(parallelism, spec["completions"] - succeeded - len(counted.failed_indexes)))


def missing_indexes(job: Object, counted: Count, many: int) -> list[int]:
    """The lowest completion indexes that nobody works on."""
    taken = {indexes.index_of(pod) for pod in counted.active} | counted.completed | counted.failed_indexes
    return [index for index in range(job["spec"].get("completions") or 0) if index not in taken][:many]


@dataclass
class BackOff:
    """How often a Job's Pods have failed in a row, and when the last of them did."""

    failures: int = 0
    last: datetime | None = None
    noted: set[str] = field(default_factory=set)

    def note(self, failed: list[Object], any_success: bool) -> None:
        if any_success:
            self.failures = 0
        for pod in failed:
            if pod["metadata"]["uid"] in self.noted:
                continue
            self.noted.add(pod["metadata"]["uid"])
            self.failures += 1
            ended = finish_time(pod)
            self.last = ended if self.last is None or ended > self.last else self.last

    def seconds_left(self, now: datetime) -> float:
        if not self.failures or self.last is None:
            return 0.0
        wait = min(_FIRST_BACKOFF * 2 ** (self.failures - 1), _LAST_BACKOFF)
        return (self.last + timedelta(seconds=wait) - now).total_seconds()
