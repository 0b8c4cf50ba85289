"""Lab 11-scale-and-cost: a batch that works on serving's GPU at night, and gives it back in the morning by its priority.

https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/ describes who gives way to whom.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words

BATCH, RESEARCH = "night-scoring", "research"


def _class_of(ctx: Context, owner: Object, spec: Object) -> tuple[int, str]:
    """(priority, preemptionPolicy) of the Pods of a template, by the class that it names; ends the check where that class is not there."""
    if not (name := spec.get("priorityClassName")):
        return 0, "PreemptLowerPriority"
    found = ctx.api.get("priorityclasses", name)
    if found is None:
        raise words.fail(ctx, "no-such-class", see(owner, "priorityClassName", name), name=name)
    return int(found["value"]), str(found.get("preemptionPolicy") or "PreemptLowerPriority")


def gives_way(ctx: Context, serving: Object, batch: Object) -> None:
    """The API may take a GPU from the batch, and neither of the two takes one from research."""
    for each in ctx.api.list("priorityclasses"):
        if each.get("globalDefault"):
            raise words.fail(ctx, "class-for-everybody", see(each, "globalDefault", "true"), name=each["metadata"]["name"])
    api, policy = _class_of(ctx, serving, serving["spec"]["template"]["spec"])
    below, _ = _class_of(ctx, batch, batch["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    seen = (see(serving, "priority", api), see(batch, "priority", below))
    others = [
        int(pod["spec"].get("priority", 0)) for pod in ctx.all_pods if pod["metadata"]["namespace"] == RESEARCH and asked(pod["spec"], GPU)
    ]
    least = min(others, default=0)
    if max(api, below) > least:
        raise words.fail(ctx, "takes-from-research", *seen, Seen("Pods of research", "priority", str(least)), least=least)
    if api <= below:
        raise words.fail(ctx, "batch-keeps-its-gpu", *seen, credit=0.2)
    if policy == "Never":
        raise words.fail(ctx, "api-takes-nothing", see(serving, "preemptionPolicy", policy), credit=0.2)


def gave_way(ctx: Context, batch: Object) -> tuple[Object, Object]:
    """(event, Job): the scheduler stopped a Pod of a night's Job for the API, and the Job waits for the next night; ends the check before that."""
    uid = batch["metadata"]["uid"]
    jobs = [
        each
        for each in ctx.api.list("jobs", ctx.namespace)
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or [])
        and "deletionTimestamp" not in each["metadata"]
    ]
    told = ctx.told("Preempted")
    if not told:
        raise words.idle(ctx, "no-night-yet", Seen(f"namespace/{ctx.namespace}", "event Preempted", "none"), credit=0.5)
    for job in jobs:
        mine = [each for each in told if each["involvedObject"]["name"].startswith(f"{job['metadata']['name']}-")]
        if not mine:
            continue
        if observe.condition(job, "Failed").get("status") == "True" or observe.condition(job, "Suspended").get("status") == "True":
            raise words.fail(ctx, "batch-lost", see(job, "status.conditions", job["status"].get("conditions")), credit=0.6)
        waiting = [pod for pod in ctx.pods if _is_of(pod, job) and observe.is_pending_for_a_node(pod)]
        if not waiting:
            raise words.wait(
                ctx, "batch-comes-back", see(job, "status.active", job["status"].get("active", 0)), name=named(job), credit=0.8
            )
        return mine[-1], job
    raise words.fail(
        ctx, "batch-lost", Seen(f"cronjob/{BATCH}", "Jobs", ", ".join(each["metadata"]["name"] for each in jobs) or "none"), credit=0.6
    )


def _is_of(pod: Object, job: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return "deletionTimestamp" not in pod["metadata"] and any(owner["uid"] == job["metadata"]["uid"] for owner in owners)
