"""Lab 15-many-pods: a Pod failure policy: which end of a Pod ends the Job, and which one does not count."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.many_pods import trainings

GOOD, BAD = "train-classifier", "train-ranker"
# Pods that may fail before the Job has to be over: one fails, and a successor may have been created before that was seen.
_TRIES = 2


def rules(job: Object) -> list[Object]:
    return list((job["spec"].get("podFailurePolicy") or {}).get("rules") or [])


def fails_at_once(ctx: Context) -> Object:
    """The Job that can never end well has failed by its policy, with its first failed Pod."""
    job = ctx.need("jobs", BAD)
    why = observe.condition(job, "Failed")
    failed = [pod for pod in trainings.pods(ctx, job) if pod.get("status", {}).get("phase") == "Failed"]
    tries = see(job, "failed Pods", len(failed))
    if not rules(job):
        raise words.idle(ctx, "no-policy", tries)
    seen = (see(job, "spec.podFailurePolicy.rules", rules(job)), tries)
    if why.get("status") == "True":
        if why.get("reason") != "PodFailurePolicy":
            raise words.fail(ctx, "failed-by-count", see(job, "Failed", f"{why.get('reason')}: {why.get('message')}"))
        return job
    if len(failed) > _TRIES:
        raise words.fail(ctx, "tries-again", *seen)
    raise words.wait(ctx, "not-failed-yet", *seen)


def survives(ctx: Context) -> Object:
    """The good Job was disrupted and is complete: the Pod that was evicted did not count."""
    job = ctx.need("jobs", GOOD)
    if not rules(job):
        raise words.idle(ctx, "no-policy-for-the-good-one", see(job, "spec.backoffLimit", job["spec"].get("backoffLimit")), credit=0.4)
    why = observe.condition(job, "Failed")
    if why.get("status") == "True":
        seen = see(job, "Failed", f"{why.get('reason')}: {why.get('message')}")
        raise words.fail(ctx, "disruption-fails-it" if why.get("reason") == "PodFailurePolicy" else "disruption-counted", seen, credit=0.4)
    if ctx.deeds.known and not _evicted(ctx, job):
        raise words.idle(ctx, "never-evicted", Seen(f"job/{GOOD}", "evictions of its Pods", "none"), credit=0.5)
    trainings.trained(ctx, job, credit=0.6)
    return job


def _evicted(ctx: Context, job: Object) -> bool:
    created = observe.moment(job["metadata"]["creationTimestamp"])
    return any(
        deed.namespace == ctx.namespace and deed.name.startswith(f"{GOOD}-") and deed.at >= created
        for deed in ctx.deeds.changes("pods/eviction")
    )
