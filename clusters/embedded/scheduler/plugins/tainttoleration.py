"""TaintToleration: NoSchedule and NoExecute taints keep Pods off that do not tolerate them; PreferNoSchedule costs points."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, node_taints, normalize_by_most, unresolvable
from kubeobjects import node_selection

REASON = "node(s) had untolerated taint(s)"


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    tolerations = cycle.spec.get("tolerations") or []
    if node_selection.untolerated(node.taints, tolerations, ("NoSchedule", "NoExecute")) is None:
        return None
    return unresolvable(REASON)


def score(cycle: Cycle, node: NodeInfo) -> float:
    """The number of soft taints that the Pod does not tolerate."""
    tolerations = [each for each in cycle.spec.get("tolerations") or [] if each.get("effect") in (None, "", "PreferNoSchedule")]
    return sum(1 for taint in node.taints if taint.get("effect") == "PreferNoSchedule" and not node_selection.tolerates(tolerations, taint))


def normalize(cycle: Cycle, scores: dict[str, float]) -> dict[str, float]:
    return normalize_by_most(scores, reverse=True)


PLUGIN = Plugin("TaintToleration", filter=filter, score=score, normalize=normalize, weight=3, events={"nodes": node_taints})
