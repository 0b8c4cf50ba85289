"""PodTopologySpread: keeps the Pods that a constraint selects evenly spread over zones, hosts or whatever its key names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from clusters.embedded.client import Object
from clusters.embedded.scheduler.framework import (
    MAX_NODE_SCORE,
    Cycle,
    NodeInfo,
    Plugin,
    PodInfo,
    Status,
    always,
    node_shape,
    unresolvable,
    unschedulable,
)
from kubeobjects import meta, node_selection, selectors

NAME = "PodTopologySpread"
REASON = "node(s) didn't match pod topology spread constraints"
MISSING_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"

_HOSTNAME = "kubernetes.io/hostname"
# What a Pod without constraints of its own is scored by (the plugin's system defaults): (topology key, maxSkew).
_DEFAULTS = ((_HOSTNAME, 3), ("topology.kubernetes.io/zone", 5))


@dataclass(frozen=True)
class Constraint:
    topology_key: str
    max_skew: int
    matches: Callable[[dict[str, str]], bool]
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    def counts_node(self, spec: Object, node: NodeInfo) -> bool:
        """Whether the node's Pods count, by nodeAffinityPolicy and nodeTaintsPolicy."""
        if self.honor_affinity and not node_selection.pod_matches_node(spec, node.node):
            return False
        tolerations = spec.get("tolerations") or []
        return not self.honor_taints or node_selection.untolerated(node.taints, tolerations, ("NoSchedule", "NoExecute")) is None

    def count(self, namespace: str, node: NodeInfo) -> int:
        return sum(1 for each in node.pods if each.namespace == namespace and not meta.is_deleting(each.pod) and self.matches(each.labels))


def _constraints(pod: PodInfo, action: str) -> list[Constraint]:
    found = []
    for each in pod.pod["spec"].get("topologySpreadConstraints") or []:
        if each["whenUnsatisfiable"] != action:
            continue
        selector = each.get("labelSelector")
        keys = [key for key in each.get("matchLabelKeys") or [] if key in pod.labels]
        if keys and selector is not None:
            expressions = [{"key": key, "operator": "In", "values": [pod.labels[key]]} for key in keys]
            selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or []), *expressions]}
        found.append(
            Constraint(
                each["topologyKey"],
                each["maxSkew"],
                selectors.from_object(selector),
                each.get("minDomains") or 1,
                each.get("nodeAffinityPolicy", "Honor") == "Honor",
                each.get("nodeTaintsPolicy", "Ignore") == "Honor",
            )
        )
    return found


def _counted(cycle: Cycle, constraints: list[Constraint]) -> list[Counter[str]]:
    """For each constraint: how many matching Pods each of its domains holds, empty domains included."""
    domains: list[Counter[str]] = [Counter() for _ in constraints]
    for node in cycle.snapshot.nodes.values():
        if any(each.topology_key not in node.labels for each in constraints):
            continue
        for each, counter in zip(constraints, domains, strict=True):
            if each.counts_node(cycle.spec, node):
                counter[node.labels[each.topology_key]] += each.count(cycle.pod.namespace, node)
    return domains


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    constraints = _constraints(cycle.pod, "DoNotSchedule")
    cycle.state[NAME] = list(zip(constraints, _counted(cycle, constraints), strict=True))
    return None


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    for constraint, domains in cycle.state[NAME]:
        if constraint.topology_key not in node.labels:
            return unresolvable(MISSING_LABEL)
        fewest = min(domains.values(), default=0) if len(domains) >= constraint.min_domains else 0
        itself = 1 if constraint.matches(cycle.pod.labels) else 0
        if domains[node.labels[constraint.topology_key]] + itself - fewest > constraint.max_skew:
            return unschedulable(REASON)
    return None


def _soft(cycle: Cycle) -> list[tuple[Constraint, Counter[str], float]]:
    """The constraints that score, with what their domains hold and the weight of their key: log(domains + 2)."""
    constraints = _constraints(cycle.pod, "ScheduleAnyway")
    if not cycle.spec.get("topologySpreadConstraints"):
        matchers = cycle.snapshot.default_selectors(cycle.pod.pod)
        if matchers:
            constraints = [Constraint(key, skew, lambda labels: all(each(labels) for each in matchers)) for key, skew in _DEFAULTS]
    scored = []
    for each in constraints:
        counter: Counter[str] = Counter()
        for node in cycle.snapshot.nodes.values():
            if each.topology_key in node.labels and each.counts_node(cycle.spec, node):
                counter[node.labels[each.topology_key]] += each.count(cycle.pod.namespace, node)
        if counter:
            scored.append((each, counter, math.log(len(counter) + 2)))
    return scored


def score(cycle: Cycle, node: NodeInfo) -> float:
    key = f"{NAME}/score"
    if key not in cycle.state:
        cycle.state[key] = _soft(cycle)
    points = 0.0
    for constraint, counter, weight in cycle.state[key]:
        if constraint.topology_key in node.labels:
            points += counter[node.labels[constraint.topology_key]] * weight + constraint.max_skew - 1
    return round(points)


def normalize(cycle: Cycle, scores: dict[str, float]) -> dict[str, float]:
    """Fewer Pods in the node's domains is better."""
    if not cycle.state.get(f"{NAME}/score"):
        return dict.fromkeys(scores, 0.0)
    least, most = min(scores.values()), max(scores.values())
    if most == 0:
        return dict.fromkeys(scores, float(MAX_NODE_SCORE))
    return {name: MAX_NODE_SCORE * (most + least - value) // most for name, value in scores.items()}


PLUGIN = Plugin(
    NAME,
    pre_filter=pre_filter,
    filter=filter,
    score=score,
    normalize=normalize,
    weight=2,
    events={"pods": always, "nodes": node_shape},
)
