"""Lab 11-scale-and-cost: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.labs.scale import autoscaler, groups, shift
from lab_checks.labs.scale.autoscaler import API

_LAB = "11-scale-and-cost"


@first_hint(f"{_LAB}/two-offers")
def what_does_each_cost(ctx: Context) -> str:
    if not ctx.answers:
        return "Of 100 requests, how many does each offer answer within a second? Its /metrics count them, by le."
    chosen = (ctx.need("services", API)["spec"].get("selector") or {}).get("offer")
    return f"The users' Service selects offer {chosen}. Which offers keep the objective, and which of those costs less for a thousand requests?"


@first_hint(f"{_LAB}/no-faster")
def who_waits(ctx: Context) -> str:
    replicas = ctx.need("deployments", API)["spec"].get("replicas", 1)
    return f"There are {replicas} Pods. How many requests run at the same moment (model_in_flight), and how many wait (model_queue_depth)? Who sends them?"


@first_hint(f"{_LAB}/long-queue")
def what_grows(ctx: Context) -> str:
    found = ctx.api.list("horizontalpodautoscalers", ctx.namespace)
    if not found:
        return "What grows while more requests come than one Pod can answer: its CPU, its GPU, or its queue? Where can an autoscaler read that?"
    active = observe.condition(found[0], "ScalingActive")
    return f"The autoscaler says: {active.get('message') or 'nothing yet'}. How many Pods may it make, and how many GPUs are there ({autoscaler.gpus(ctx)})?"


@first_hint(f"{_LAB}/all-too-late")
def what_comes_too_late(ctx: Context) -> str:
    pending = [pod for pod in ctx.pods if observe.is_pending_for_a_node(pod)]
    if pending:
        return f"{len(pending)} Pods wait for a node. Which number made them, and what could ever place them?"
    return "Every Pod runs. How long does a request wait in a queue of 400, if a Pod answers three a second? When does its client give up?"


@first_hint(f"{_LAB}/asleep")
def what_did_the_first_user_get(ctx: Context) -> str:
    if not ctx.need("deployments", API)["spec"].get("replicas", 1):
        return "Nobody serves now. What do the clients get meanwhile, and when does the first good answer come after you wake it?"
    return (
        "Was the Deployment at zero since the start? Read the clients' log with timestamps: which line is the first good one after the gap?"
    )


@first_hint(f"{_LAB}/card-not-back")
def who_gives_way(ctx: Context) -> str:
    batch = ctx.need("cronjobs", shift.BATCH)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    if not batch.get("priorityClassName"):
        return "Three teams hold GPUs. Which priority has each Pod (`kubectl get pods -A -o custom-columns=NAME:.metadata.name,PRIORITY:.spec.priority`)?"
    if any(each["metadata"]["name"] == "last-night" for each in ctx.api.list("jobs", ctx.namespace)):
        return "The CronJob's template has a class now. Was the Job last-night made before that, and does a Job's template change?"
    return "Has the batch been at work on the GPU since then, and has the API come back while it was?"


@first_hint(f"{_LAB}/free-and-refused")
def what_is_full(ctx: Context) -> str:
    if refusal := ctx.first_refusal(ctx.pods):
        return f"The scheduler says: {refusal}. Which node has a free GPU, and what is full on it? Who asked for that?"
    return "Every Pod has a node. Could the indexer come back to the GPU node tomorrow?"


@first_hint(f"{_LAB}/no-new-node")
def what_would_a_new_node_offer(ctx: Context) -> str:
    missing = [each for each in groups.WAITING if not ctx.answers.get(each)]
    if missing:
        return f"Take {missing[0]} and the template of its group: would the scheduler place the Pod on a new node, and may the group have one more?"
    return "Four of the five are decided by money or by the group's template. Which one can its own manifest repair?"
