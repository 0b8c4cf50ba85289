"""Lab 02-model-server: what the learner tried in between.

A part that was taken away and put back is gone from the Deployment; its older ReplicaSet and the events of that one's Pods are not.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, see
from lab_checks.judging import guards, said, words
from lab_checks.labs.model_server.written import API, MIB

_ASSIGNED = re.compile(r"Successfully assigned \S+?/(\S+) to (\S+)")
_SCALED_AWAY = re.compile(r"Scaled down replica set (\S+) (?:from \d+ )?to 0")


def revisions(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's ReplicaSets."""
    uid = deployment["metadata"]["uid"]
    found = ctx.api.list("replicasets", deployment["metadata"]["namespace"])
    return [each for each in found if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or [])]


def without(ctx: Context, deployment: Object, part: str) -> list[Object]:
    """The revisions in which the server had no `part`: gpu or readinessProbe."""

    def lacks(each: Object) -> bool:
        container = observe.container(each["spec"]["template"]["spec"], "model-server")
        return not asked({"containers": [container]}, GPU, "limits") if part == "gpu" else not container.get(part)

    return [each for each in revisions(ctx, deployment) if lacks(each)]


def of_revisions(ctx: Context, sets: list[Object], reason: str) -> list[Object]:
    """Events with this reason of the Pods that these ReplicaSets made."""
    found = []
    for each in sets:
        # An earlier start of the exercise made a ReplicaSet of the same name: its events are older than this one.
        name, since = f"{each['metadata']['name']}-", each["metadata"]["creationTimestamp"][:19]
        found += [event for event in _since(ctx, since, reason) if event["involvedObject"].get("name", "").startswith(name)]
    return found


def _since(ctx: Context, since: str, reason: str) -> list[Object]:
    return [
        each for each in ctx.events if each["reason"] == reason and (each.get("lastTimestamp") or each.get("eventTime") or "")[:19] >= since
    ]


def was_rolled_out(ctx: Context, deployment: Object, sets: list[Object]) -> bool:
    """Whether one of these revisions took over: a rollout ends the Pods of the one before only when the new Pod is Ready."""
    mine = {each["metadata"]["name"] for each in sets}
    since = min(each["metadata"]["creationTimestamp"][:19] for each in sets)
    away = (_SCALED_AWAY.search(each.get("message") or "") for each in _since(ctx, since, "ScalingReplicaSet"))
    current = {pod["metadata"]["ownerReferences"][0]["name"] for pod in ctx.pods_of(deployment) if observe.is_ready(pod)}
    return bool(current & mine) or any(each and each[1] not in mine for each in away)


def landed(ctx: Context, sets: list[Object]) -> set[str]:
    """The nodes on which the scheduler put Pods of these ReplicaSets."""
    found = (_ASSIGNED.search(each.get("message") or "") for each in of_revisions(ctx, sets, "Scheduled"))
    return {each[2] for each in found if each}


def devices(sets: list[Object]) -> set[str]:
    """What the log of a server without a GPU names as its device, given its variable DEVICE; cuda ends with an error instead."""
    found = set()
    for each in sets:
        container = observe.container(each["spec"]["template"]["spec"], "model-server")
        wanted = guards.variables(container).get("DEVICE", {})
        found.add("cpu" if not isinstance(wanted, dict) or wanted.get("value", "auto") != "cuda" else "none")
    return found


def limit_mib(replica_set: Object) -> float:
    limit = asked(replica_set["spec"]["template"]["spec"], "memory", "limits")
    return float(limit) / MIB if limit else math.inf


def strategy_words(deployment: Object) -> str:
    strategy = deployment["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return ", ".join([strategy.get("type", "RollingUpdate"), *(f"{key} {value}" for key, value in sorted(rolling.items()))])


def most_replicas(ctx: Context, deployment: Object) -> int:
    """How many Pods of this template the cluster could run at once, by the GPUs of the nodes that it admits."""
    spec = deployment["spec"]["template"]["spec"]
    mine = {pod["metadata"]["uid"] for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == API}
    others = [pod for pod in ctx.all_pods if pod["metadata"]["uid"] not in mine]
    free = (placement.left(node, others, GPU) for node in ctx.nodes if placement.admits(spec, node))
    return int(sum(free, amount("0")) // asked(spec, GPU, "limits"))


def counted(log: str) -> tuple[int, Counter[str]]:
    """(how many requests failed, how often with what), from the load generator's lines, one a second."""
    errors, outcomes = 0, Counter[str]()
    for _stamp, came, row in said.counted(log):
        errors += int(row["errors"])
        outcomes.update({name: count for name, count in came.items() if not re.fullmatch("[123]..", name)})
    return errors, outcomes


def client_log(ctx: Context, name: str) -> str:
    """What the client that the start created has counted since."""
    guards.pods_kept_running(ctx, name, "it counts what failed")
    pods = [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == name]
    if not pods:
        raise words.wait(ctx, "no-client", see(ctx.need("deployments", name), "status.replicas", 0))
    return ctx.api.log(pods[0])
