"""Lab 15-many-pods: what a training did: its Job's end, its Pods, and what Pod 0 says in its log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from kubeobjects.podresources import asked
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.judging import words

INDEX = "batch.kubernetes.io/job-completion-index"
_STEP = re.compile(r"^step (\d+) of (\d+)", re.M)
_RESUMED = re.compile(r"^resumed from step (\d+)", re.M)
_DONE = re.compile(r"^done: (\d+) steps, runs (.+)$", re.M)
_WAITING = re.compile(r"^waiting for (.+)$", re.M)
_TOGETHER = re.compile(r"^all (\d+) Pods are here", re.M)


@dataclass(frozen=True)
class Said:
    """What Pod 0 has printed: the steps that it saw, the step that it resumed from, the runs of the whole training once it is done."""

    steps: tuple[int, ...] = ()
    of: int = 0
    resumed: int | None = None
    done: int = 0
    runs: tuple[tuple[int, int], ...] = ()
    waiting: str = ""
    together: int = 0


def read(log: str) -> Said:
    """The log of Pod 0 (images/training_job/training_job/training.py) as facts."""
    steps = _STEP.findall(log)
    resumed, done, waiting, together = (found.findall(log) for found in (_RESUMED, _DONE, _WAITING, _TOGETHER))
    runs = [part.split("-") for part in done[-1][1].split(", ")] if done else []
    return Said(
        steps=tuple(int(step) for step, _ in steps),
        of=int(steps[-1][1]) if steps else 0,
        resumed=int(resumed[-1]) if resumed else None,
        done=int(done[-1][0]) if done else 0,
        runs=tuple((int(first), int(last)) for first, last in runs),
        waiting=waiting[-1] if waiting else "",
        together=int(together[-1]) if together else 0,
    )


def pods(ctx: Context, job: Object) -> list[Object]:
    """The Job's Pods, by owner reference, without those on their way out."""
    uid = job["metadata"]["uid"]
    return [
        pod
        for pod in ctx.pods
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or []) and "deletionTimestamp" not in pod["metadata"]
    ]


def end(job: Object) -> str:
    """Complete, Failed, or empty while it is neither."""
    return next((kind for kind in ("Complete", "Failed") if observe.condition(job, kind).get("status") == "True"), "")


def said(ctx: Context, job: Object) -> Said:
    """What the newest Pod 0 of the Job says; nothing where there is none."""
    leader = observe.newest(pod for pod in pods(ctx, job) if (pod["metadata"].get("labels") or {}).get(INDEX) == "0")
    return read(ctx.api.log(leader)) if leader else Said()


def needs(job: Object) -> int:
    """GPUs of all its Pods together."""
    return int(job["spec"].get("parallelism", 1)) * int(asked(job["spec"]["template"]["spec"], GPU))


def trained(ctx: Context, job: Object, *, credit: float = 0.0) -> Said:
    """What Pod 0 says of a training that is complete; ends the check with where it stands until then."""
    told, name = said(ctx, job), job["metadata"]["name"]
    ended = end(job)
    if ended == "Failed":
        why = observe.condition(job, "Failed")
        raise words.fail(ctx, "job-failed", see(job, "Failed", f"{why.get('reason')}: {why.get('message')}"), name=name, credit=credit)
    if ended == "Complete":
        return told
    if job["spec"].get("suspend"):
        raise words.idle(ctx, "suspended", see(job, "spec.suspend", True), name=name, credit=credit)
    mine = pods(ctx, job)
    for pod in mine:
        if observe.is_pending_for_a_node(pod):
            raise words.wait(ctx, "without-a-node", see(pod, "status.phase", "Pending"), name=name, credit=credit)
    if told.waiting and not told.together:
        raise words.wait(ctx, "waits-for-peers", see(job, "the log of Pod 0", f"waiting for {told.waiting}"), name=name, credit=credit)
    raise words.wait(ctx, "still-training", see(job, "last step", told.steps[-1] if told.steps else 0), name=name, credit=credit)


def ran_apart(first: Object, second: Object) -> bool:
    """Whether one of two complete Jobs had ended before the other one started."""
    started, ended = (
        [observe.moment(job["status"][field]) if job["status"].get(field) else 0.0 for job in (first, second)]
        for field in ("startTime", "completionTime")
    )
    return started[1] >= ended[0] or started[0] >= ended[1]
