"""NodeResourcesFit: what a Pod asks for must be free on the node; the emptier node scores higher (LeastAllocated)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.scheduler.framework import (
    MAX_NODE_SCORE,
    Code,
    Cycle,
    NodeInfo,
    Plugin,
    Status,
    pod_gone,
)

TOO_MANY_PODS = "Too many pods"
INSUFFICIENT = "Insufficient {resource}"

# Extended resources follow the ones that every node has, in the order in which the reasons are listed.
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    """Every resource that is short is named. A request above what the node has at all cannot be helped by removing Pods."""
    reasons: list[str] = []
    helpless = False
    most_pods = node.allocatable.get("pods", 0)
    if len(node.pods) + 1 > most_pods:
        reasons.append(TOO_MANY_PODS)
        helpless = most_pods == 0
    asked = cycle.pod.requests
    for resource in [*_NATIVE, *sorted(set(asked) - set(_NATIVE))]:
        wanted = asked.get(resource, 0)
        if wanted == 0:
            continue
        there = node.allocatable.get(resource, 0)
        if wanted > there - node.requested(resource):
            reasons.append(INSUFFICIENT.format(resource=resource))
            helpless = helpless or wanted > there
    if not reasons:
        return None
    return Status(Code.UNRESOLVABLE if helpless else Code.UNSCHEDULABLE, tuple(reasons))


def score(cycle: Cycle, node: NodeInfo) -> float:
    """The mean share of CPU and memory that stays free, in points."""
    cpu = cycle.pod.non_zero_cpu + sum(each.non_zero_cpu for each in node.pods)
    memory = cycle.pod.non_zero_memory + sum(each.non_zero_memory for each in node.pods)
    points = weights = 0
    for wanted, there in ((cpu, node.allocatable.get("cpu", 0)), (memory, node.allocatable.get("memory", 0))):
        if there == 0:
            continue
        weights += 1
        points += 0 if wanted > there else (there - wanted) * MAX_NODE_SCORE // there
    return points // weights if weights else 0


def _frees_something(pod: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None) -> bool:
    """A node that is new or offers other amounts; heartbeats and labels do not matter here."""
    if old is None or new is None:
        return new is not None
    return (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable")


PLUGIN = Plugin("NodeResourcesFit", filter=filter, score=score, weight=1, events={"pods": pod_gone, "nodes": _frees_something})
