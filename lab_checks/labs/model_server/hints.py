"""Lab 02-model-server: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.labs.model_server import live, past
from lab_checks.labs.model_server.written import API

_LAB = "02-model-server"


@first_hint(f"{_LAB}/write-the-deployment")
def what_is_missing(ctx: Context) -> str:
    deployment = ctx.get("deployments", API)
    if deployment is None:
        return "Nothing is written yet. What did the trial Pod's log say it needs: how much memory, which device? And what do the GPU nodes ask of a Pod?"
    pods = ctx.pods_of(deployment)
    if not pods:
        return "The Deployment has no Pod. What do the events of its ReplicaSet say?"
    line, _reasons = ctx.why_pending(pods[0])
    if not pods[0]["spec"].get("nodeName") and line:
        return f"The scheduler says: {line} Which of these words belongs to a GPU node, and which line of your YAML answers it?"
    if not ctx.deeds.looked_at("pods/log"):
        return f"The Pod is on {pods[0]['spec'].get('nodeName')}. Which device did its server take? The second line of its log says so."
    return "Four questions to your YAML: what may it use, what must it have, where may it go, and who says that it can answer?"


@first_hint(f"{_LAB}/open-inside")
def who_finds_it(ctx: Context) -> str:
    service = ctx.get("services", API)
    if service is None:
        return "By what does a Service find its Pods, and what do these Pods carry? `kubectl -n ai-platform get pods --show-labels`"
    endpoints = ctx.get("endpoints", API) or {}
    if not any(part.get("addresses") for part in endpoints.get("subsets") or []):
        return f"The Service selects {service['spec'].get('selector') or 'nothing'}, and nobody Ready stands behind it. Which labels do the Pods have?"
    if service["spec"].get("type") != "ClusterIP":
        return f"The Service is a {service['spec'].get('type')}. Who can reach it now that should not?"
    return "The Service stands. What is in the ConfigMap incident, and which path takes it? `kubectl -n ai-platform get configmap incident -o yaml`"


@first_hint(f"{_LAB}/without-the-gpu")
def where_did_it_land(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    if not past.without(ctx, deployment, "gpu"):
        return "Before you take it away: what besides the limit could keep the Pod on a GPU node, and what could keep it off?"
    if not ctx.deeds.looked_at("pods/log"):
        return "It ran without the limit. Which device did its log name, and why?"
    return "A GPU is free when a node offers it and no Pod there has it as a limit. Which Pods of the whole cluster have one?"


@first_hint(f"{_LAB}/without-readiness")
def who_asks(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    if not past.without(ctx, deployment, "readinessProbe"):
        return "How long does this model load (log), and what will the Service know about it when no probe asks?"
    if not observe.container(deployment["spec"]["template"]["spec"], "model-server").get("readinessProbe"):
        return "The probe is away. When did the new Pod become Ready, and when did its log say that the model was loaded?"
    return "The probe is back. Over which seconds do the errors in the client's log stretch, and what do `outcomes` name there?"


@first_hint(f"{_LAB}/too-little-memory")
def who_ended_it(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    for pod in ctx.pods_of(deployment):
        for ending in observe.endings(pod):
            return (
                f"The new Pod's container ended with {ending.code}. Who ended it: the program, or somebody else? And who answers meanwhile?"
            )
    if min(map(past.limit_mib, past.revisions(ctx, deployment))) > 256:
        return "What would you expect of a limit that is smaller than what the model takes: an error in the log, or something else?"
    return "How much did the server take at most while it loaded? Which word in its log says so?"


@first_hint(f"{_LAB}/one-gpu-left")
def who_waits_for_whom(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    if refusal := ctx.first_refusal(ctx.pods_of(deployment)):
        return f"A Pod waits: {refusal}. Who holds the GPU that it waits for, and what is that one waiting for?"
    if not live.lets_go_first(deployment):
        return "A rollout makes new Pods and ends old ones. In which order, and how many may there be in between? What does `.spec.strategy` say?"
    return "How many GPUs of the product that this server selects does the cluster have, and who else holds one?"
