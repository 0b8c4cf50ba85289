"""Lab 04-not-ready: the first hint, a question that depends on what the cluster shows now and on what the learner has looked at."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.labs.not_ready import causes, traffic
from lab_checks.labs.not_ready.causes import API as name


def question(ctx: Context) -> str:
    """The next question about the API."""
    now = causes.look(ctx)
    if not causes.ENGINE.holding(ctx):
        return "None of the causes holds any more. What does the check still miss: the diagnosis, an answer, or a request that failed?"
    if not now.pods:
        return f"There is no Pod of {name} at the moment. What do the events of its ReplicaSet say?"
    pod = now.pods[0]
    asked_log = ctx.deeds.looked_at("pods/log")
    endings, restarts = observe.endings(pod), observe.restarts(pod)
    if endings:
        last = endings[0]
        seen = f"The container has ended {restarts or 1} time{'s' if restarts > 1 else ''}, the last time with exit code {last.code}"
        if last.reason == "OOMKilled":
            return f"{seen}: OOMKilled. Which limit did it meet, and how much had it taken until then?"
        if not asked_log:
            return f"{seen}. Did it end itself, or was it ended? What is the last line that it printed: `kubectl -n {ctx.namespace} logs deployment/{name}`?"
        if any("failed liveness probe" in each.get("message", "") for each in now.events):
            load = f"{now.load:g} s" if now.load else "longer"
            return f"{seen}, and an event says who ended it. By its log the load takes {load}; how long does the liveness probe wait?"
        return f"{seen}. You have read its log: does its last line name a file, a device, or a version? Who gave it that?"
    if not observe.is_ready(pod):
        if not ctx.deeds.looked_at("events", "pods"):
            return "The container runs, and the Pod is not Ready. Which probe says no, and what is its answer? Where does Kubernetes write it down?"
        return "The kubelet says one thing about this server, the server's own log another. Whom did the kubelet ask, and where does the server listen?"
    slices = ctx.get("endpoints", name) or {}
    if not slices.get("subsets"):
        return (
            f"The Pod is Ready, and `kubectl -n {ctx.namespace} get endpoints {name}` shows nobody. By what does a Service find its Pods?"
        )
    if clients := ctx.get("deployments", traffic.CLIENTS):
        if not asked_log:
            return f"The Pod is Ready and listed. What did clients get meanwhile? `kubectl -n {ctx.namespace} logs deployment/{clients['metadata']['name']}`"
        return "Clients got errors while the Pod was Ready. Who calls it Ready, by asking whom? Would that one know whether the model is loaded?"
    if not asked_log:
        return "The Pod is Ready. Since when, and since when can its model answer? One of the two stands in its log."
    if now.load:
        return f"By its log the load takes {now.load:g} s. After how many seconds was the Pod Ready, and who was asked?"
    return "Which probes has the container, and which of them decides about traffic?"
