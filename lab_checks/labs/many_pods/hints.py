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
        return f"Pod 0 waits for {told.waiting}. From which two objects does that name come, and what has to be the same in both?"
    return "What do the logs of both Pods say, and which name does each one look for?"


@first_hint(f"{_LAB}/half-placed")
def who_holds(ctx: Context) -> str:
    if refusal := ctx.first_refusal(ctx.pods):
        return f"A Pod waits: {refusal}. Which Pods hold the GPUs that it needs, and what do those Pods wait for?"
    return "Both Jobs need two GPUs at once. Which field of a Job makes it give all of its GPUs back, and take them again later?"


@first_hint(f"{_LAB}/first-come")
def what_is_missing(ctx: Context) -> str:
    if ctx.api.raw(f"/apis/{queues.GROUP}/v1") is None:
        return "Kubernetes starts no suspended Job by itself. Which kinds would an operator add to `kubectl api-resources`, and are they there?"
    found = (ctx.api.raw(f"/apis/{queues.GROUP}/v1/namespaces/{ctx.namespace}/jobqueues") or {}).get("items") or []
    if not found:
        return "The operator is installed. What does `kubectl explain jobqueue.spec` ask for, and which number is true here?"
    return f"The queue says {observe.shown(found[0].get('status') or {})}. Which Jobs does it know, and how does a Job say that it belongs in this queue?"


@first_hint(f"{_LAB}/step-zero")
def where_is_it_kept(ctx: Context) -> str:
    told = trainings.said(ctx, ctx.need("jobs", _JOB))
    if told.resumed is None:
        return "The program saves checkpoints at /checkpoints. What kind of volume is mounted there, and how long does that kind live?"
    return f"It resumed from step {told.resumed}. What was the last step before it was stopped, and which Pods have the GPUs now?"


@first_hint(f"{_LAB}/six-tries")
def which_end(ctx: Context) -> str:
    job = ctx.need("jobs", failures.BAD)
    failed = [each for pod in trainings.pods(ctx, job) for each in observe.endings(pod)]
    if not failures.rules(job) and failed:
        return (
            f"A Pod ended with {failed[0].told}. Does the log say that another try could succeed? Which field of a Job reads the exit code?"
        )
    return "Which rule matches an evicted Pod: one on its exit code, or one on a condition in its status? Which rule comes first?"


@first_hint(f"{_LAB}/no-new-jobs")
def who_does_not_answer(ctx: Context) -> str:
    deployment = ctx.api.get("deployments", queues.OPERATOR, queues.HOME)
    if deployment and not deployment.get("status", {}).get("readyReplicas"):
        return "A webhook does not answer. Which Service does it name, which Pod is behind that, and what does the Pod's last log say?"
    return "The operator answers again. Which Jobs would be refused the next time it does not?"
