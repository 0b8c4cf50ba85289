"""Lab 15-many-pods: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.labs.many_pods import failures, queues, trainings

_LAB = "15-many-pods"
_JOB = "train-classifier"


@first_hint(f"{_LAB}/nobody-answers")
def which_name(ctx: Context) -> str:
    told = trainings.said(ctx, ctx.need("jobs", _JOB))
    if told.waiting:
        return f"Pod 0 waits for {told.waiting}. Which two objects does that name come from, and what has to be the same in both?"
    return "What do the logs of both Pods say, and which name does each one look for?"


@first_hint(f"{_LAB}/half-placed")
def who_holds(ctx: Context) -> str:
    if refusal := ctx.first_refusal(ctx.pods):
        return f"A Pod waits: {refusal}. Who holds the GPUs that it could have, and for whom are those waiting?"
    return "Both Jobs need two GPUs at once. Which field of a Job makes it give all of its GPUs back, and take them again later?"


@first_hint(f"{_LAB}/first-come")
def what_is_missing(ctx: Context) -> str:
    if ctx.api.raw(f"/apis/{queues.GROUP}/v1") is None:
        return "Nobody starts a suspended Job by itself. Which kinds would an operator add to `kubectl api-resources`, and are they there?"
    found = (ctx.api.raw(f"/apis/{queues.GROUP}/v1/namespaces/{ctx.namespace}/jobqueues") or {}).get("items") or []
    if not found:
        return "The operator is there. What does `kubectl explain jobqueue.spec` ask for, and what would be a true number here?"
    return f"The queue says {observe.shown(found[0].get('status') or {})}. Which Jobs does it know, and how do they tell it that they are its own?"


@first_hint(f"{_LAB}/step-zero")
def where_is_it_kept(ctx: Context) -> str:
    told = trainings.said(ctx, ctx.need("jobs", _JOB))
    if told.resumed is None:
        return "The program saves checkpoints at /checkpoints. What kind of volume is mounted there, and how long does that kind live?"
    return f"It resumed from step {told.resumed}. Which was the last step before it was stopped, and who has the GPUs now?"


@first_hint(f"{_LAB}/six-tries")
def which_end(ctx: Context) -> str:
    job = ctx.need("jobs", failures.BAD)
    failed = [each for pod in trainings.pods(ctx, job) for each in observe.endings(pod)]
    if not failures.rules(job) and failed:
        return f"A Pod ended with {failed[0].told}. Does the log say that another try could end better? Which field of a Job looks at the exit code?"
    return "Which rule fits a Pod that was evicted: its exit code, or a condition in its status? Which rule is looked at first?"


@first_hint(f"{_LAB}/no-new-jobs")
def who_does_not_answer(ctx: Context) -> str:
    deployment = ctx.api.get("deployments", queues.OPERATOR, queues.HOME)
    if deployment and not deployment.get("status", {}).get("readyReplicas"):
        return "A webhook does not answer. Which Service is asked, which Pod is behind it, and what does the log of its last run say?"
    return "The operator answers again. Whose Jobs would be refused the next time that it does not?"
