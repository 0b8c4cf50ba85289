"""NodeAffinity: nodeSelector and required node affinity decide, preferred node affinity scores."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, node_labels, normalize_by_most, unresolvable
from kubeobjects import node_selection

REASON = "node(s) didn't match Pod's node affinity/selector"
CONFLICT = "pod affinity terms conflict"


def _named_nodes(term: dict) -> set[str] | None:
    """The node names that a term pins by matchFields, or None where it pins none."""
    names: set[str] | None = None
    for field in term.get("matchFields") or []:
        if field["key"] == "metadata.name" and field["operator"] == "In":
            values = set(field.get("values") or [])
            names = values if names is None else names & values
    return names


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    """Where every term pins nodes by name (as DaemonSet Pods do), only those nodes are looked at."""
    affinity = node_selection.required_affinity(cycle.spec)
    if not affinity or not affinity.get("nodeSelectorTerms"):
        return None
    wanted: set[str] = set()
    for term in affinity["nodeSelectorTerms"]:
        names = _named_nodes(term)
        if names is None:
            return None
        wanted |= names
    return wanted or unresolvable(CONFLICT)


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    return None if node_selection.pod_matches_node(cycle.spec, node.node) else unresolvable(REASON)


def score(cycle: Cycle, node: NodeInfo) -> float:
    affinity = (cycle.spec.get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(each["weight"] for each in preferred if node_selection.term_matches(each.get("preference") or {}, node.node))


def normalize(cycle: Cycle, scores: dict[str, float]) -> dict[str, float]:
    return normalize_by_most(scores)


PLUGIN = Plugin(
    "NodeAffinity", pre_filter=pre_filter, filter=filter, score=score, normalize=normalize, weight=2, events={"nodes": node_labels}
)
