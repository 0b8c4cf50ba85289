"""InterPodAffinity: where a Pod must, must not or would rather run, seen from the Pods that are already there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from clusters.embedded.client import Object
from clusters.embedded.scheduler.framework import (
    MAX_NODE_SCORE,
    Cycle,
    NodeInfo,
    Plugin,
    PodInfo,
    Snapshot,
    Status,
    always,
    node_shape,
    unresolvable,
    unschedulable,
)
from kubeobjects import selectors

NAME = "InterPodAffinity"
AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
# How much a Pod's required affinity to the new Pod counts when nodes are scored (hardPodAffinityWeight).
_HARD_WEIGHT = 1

Pair = tuple[str, str]


@dataclass(frozen=True)
class Term:
    """One affinity term of `owner`, ready to be asked about other Pods."""

    topology_key: str
    matches: selectors.Matcher
    namespaces: frozenset[str] | None
    weight: int = 0

    def admits(self, other: PodInfo) -> bool:
        return (self.namespaces is None or other.namespace in self.namespaces) and self.matches(other.labels)


def _term(term: Object, owner: PodInfo, snapshot: Snapshot, weight: int = 0) -> Term:
    selector = dict(term.get("labelSelector") or {}) if term.get("labelSelector") is not None else None
    if selector is not None:
        expressions = list(selector.get("matchExpressions") or [])
        for keys, operator in ((term.get("matchLabelKeys"), "In"), (term.get("mismatchLabelKeys"), "NotIn")):
            expressions += [{"key": key, "operator": operator, "values": [owner.labels[key]]} for key in keys or [] if key in owner.labels]
        selector["matchExpressions"] = expressions
    names = set(term.get("namespaces") or [])
    chosen = term.get("namespaceSelector")
    everywhere = chosen is not None and not chosen.get("matchLabels") and not chosen.get("matchExpressions")
    if chosen is not None and not everywhere:
        admits = selectors.from_object(chosen)
        names |= {name for name, labels in snapshot.namespace_labels.items() if admits(labels)}
    elif not names:
        names = {owner.namespace}
    return Term(term["topologyKey"], selectors.from_object(selector), None if everywhere else frozenset(names), weight)


def _required(pod: PodInfo, kind: str, snapshot: Snapshot) -> list[Term]:
    terms = ((pod.pod["spec"].get("affinity") or {}).get(kind) or {}).get(_REQUIRED) or []
    return [_term(each, pod, snapshot) for each in terms]


def _preferred(pod: PodInfo, kind: str, snapshot: Snapshot) -> list[Term]:
    terms = ((pod.pod["spec"].get("affinity") or {}).get(kind) or {}).get(_PREFERRED) or []
    return [_term(each["podAffinityTerm"], pod, snapshot, each["weight"]) for each in terms]


def _placed(snapshot: Snapshot) -> Iterator[tuple[NodeInfo, PodInfo]]:
    for node in snapshot.nodes.values():
        for pod in node.pods:
            yield node, pod


@dataclass
class _State:
    affinity: list[Term]
    anti_affinity: list[Term]
    # Topology pairs and how many placed Pods match there: all affinity terms at once, each anti-affinity term, and the other way round.
    friends: Counter[Pair] = field(default_factory=Counter)
    enemies: Counter[Pair] = field(default_factory=Counter)
    existing: Counter[Pair] = field(default_factory=Counter)


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    pod, snapshot = cycle.pod, cycle.snapshot
    state = _State(_required(pod, "podAffinity", snapshot), _required(pod, "podAntiAffinity", snapshot))
    for node, other in _placed(snapshot):
        if state.affinity and all(term.admits(other) for term in state.affinity):
            state.friends.update(
                (term.topology_key, node.labels[term.topology_key]) for term in state.affinity if term.topology_key in node.labels
            )
        for term in state.anti_affinity:
            if term.topology_key in node.labels and term.admits(other):
                state.enemies[term.topology_key, node.labels[term.topology_key]] += 1
        if (other.pod["spec"].get("affinity") or {}).get("podAntiAffinity"):
            for term in _required(other, "podAntiAffinity", snapshot):
                if term.topology_key in node.labels and term.admits(pod):
                    state.existing[term.topology_key, node.labels[term.topology_key]] += 1
    cycle.state[NAME] = state
    return None


def _among_friends(state: _State, pod: PodInfo, node: NodeInfo) -> bool:
    if any(term.topology_key not in node.labels for term in state.affinity):
        return False
    if all(state.friends[term.topology_key, node.labels[term.topology_key]] for term in state.affinity):
        return True
    # The first Pod of a group that wants to be with its own kind may start anywhere.
    return not state.friends and all(term.admits(pod) for term in state.affinity)


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    state: _State = cycle.state[NAME]
    if not _among_friends(state, cycle.pod, node):
        return unresolvable(AFFINITY)
    if any(state.enemies.get((term.topology_key, node.labels.get(term.topology_key, ""))) for term in state.anti_affinity):
        return unschedulable(ANTI_AFFINITY)
    if any(node.labels.get(key) == value for key, value in state.existing):
        return unschedulable(EXISTING_ANTI_AFFINITY)
    return None


def _preferences(cycle: Cycle) -> Counter[Pair]:
    """Points for each topology pair, from the Pod's own preferences and from those of the Pods already placed."""
    pod, snapshot = cycle.pod, cycle.snapshot
    liked, disliked = _preferred(pod, "podAffinity", snapshot), _preferred(pod, "podAntiAffinity", snapshot)
    points: Counter[Pair] = Counter()
    for node, other in _placed(snapshot):
        given = [(term, term.weight) for term in liked if term.admits(other)]
        given += [(term, -term.weight) for term in disliked if term.admits(other)]
        if other.pod["spec"].get("affinity"):
            theirs = [(term, _HARD_WEIGHT) for term in _required(other, "podAffinity", snapshot)]
            theirs += [(term, term.weight) for term in _preferred(other, "podAffinity", snapshot)]
            theirs += [(term, -term.weight) for term in _preferred(other, "podAntiAffinity", snapshot)]
            given += [(term, weight) for term, weight in theirs if term.admits(pod)]
        for term, weight in given:
            if term.topology_key in node.labels:
                points[term.topology_key, node.labels[term.topology_key]] += weight
    return points


def score(cycle: Cycle, node: NodeInfo) -> float:
    key = f"{NAME}/score"
    if key not in cycle.state:
        cycle.state[key] = _preferences(cycle)
    points: Counter[Pair] = cycle.state[key]
    return sum(weight for (label, value), weight in points.items() if node.labels.get(label) == value)


def normalize(cycle: Cycle, scores: dict[str, float]) -> dict[str, float]:
    least, most = min(scores.values()), max(scores.values())
    if most == least:
        return dict.fromkeys(scores, 0.0)
    return {name: int(MAX_NODE_SCORE * (value - least) / (most - least)) for name, value in scores.items()}


PLUGIN = Plugin(
    NAME,
    pre_filter=pre_filter,
    filter=filter,
    score=score,
    normalize=normalize,
    weight=2,
    events={"pods": always, "nodes": node_shape, "namespaces": always},
)
