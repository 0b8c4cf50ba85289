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
# Exit codes: a wrong setting, any error of a program, and the end of a Pod that did not stop in its time of grace.
_BUG, _OTHER_BUG, _KILLED = 42, 1, 137


def rules(job: Object) -> list[Object]:
    return list((job["spec"].get("podFailurePolicy") or {}).get("rules") or [])


def action(job: Object, code: int, *, disrupted: bool) -> str:
    """What the Job's policy does with a Pod that ended with this exit code: the action of the first rule that fits, or Count."""
    for rule in rules(job):
        condition = any(
            each["type"] == "DisruptionTarget" and each.get("status", "True") == "True" for each in rule.get("onPodConditions") or []
        )
        codes = rule.get("onExitCodes") or {}
        among = code in (codes.get("values") or [])
        if (condition and disrupted) or (codes and among is (codes.get("operator") == "In")):
            return str(rule["action"])
    return "Count"


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
        if action(job, _BUG, disrupted=False) != "FailJob":
            raise words.fail(ctx, "another-rule", *seen)
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
        if ctx.deeds.known and not _evictions(ctx, job):
            raise words.fail(ctx, "not-evicted", seen, credit=0.4)
        raise words.fail(ctx, "disruption-fails-it" if why.get("reason") == "PodFailurePolicy" else "disruption-counted", seen, credit=0.4)
    if ctx.deeds.known:
        _was_tried(ctx, job)
    _for_disruptions_alone(ctx, job)
    trainings.trained(ctx, job, credit=0.6)
    return job


def _was_tried(ctx: Context, job: Object) -> None:
    """Ends the check where none of the Job's Pods was evicted while it trained."""
    found = _evictions(ctx, job)
    if not found:
        raise words.idle(ctx, "never-evicted", Seen(f"job/{GOOD}", "evictions of its Pods", "none"), credit=0.5)
    over = job.get("status", {}).get("completionTime")
    # The API server writes whole seconds.
    if over and min(found) >= observe.moment(over) + 1:
        raise words.fail(ctx, "evicted-too-late", see(job, "status.completionTime", over), credit=0.5)


def _evictions(ctx: Context, job: Object) -> list[float]:
    """When Pods of the Job were evicted, in seconds since the epoch."""
    created = observe.moment(job["metadata"]["creationTimestamp"])
    return [
        deed.at
        for deed in ctx.deeds.changes("pods/eviction")
        if deed.namespace == ctx.namespace and deed.name.startswith(f"{GOOD}-") and deed.at >= created
    ]


def _for_disruptions_alone(ctx: Context, job: Object) -> None:
    """Ends the check where the policy forgives a bug, or a disruption only where the program ends with one exit code."""
    seen = see(job, "spec.podFailurePolicy.rules", rules(job))
    if "Ignore" in [action(job, code, disrupted=False) for code in (_BUG, _OTHER_BUG)]:
        raise words.fail(ctx, "bug-forgiven", seen, credit=0.5)
    if action(job, _KILLED, disrupted=True) != "Ignore":
        raise words.fail(ctx, "one-code-forgiven", seen, credit=0.5)
