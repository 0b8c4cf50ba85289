"""NodeUnschedulable: a cordoned node takes no Pod that does not tolerate it."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, node_taints, unresolvable
from kubeobjects import node_selection

REASON = "node(s) were unschedulable"
TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    if not node.node["spec"].get("unschedulable"):
        return None
    if node_selection.tolerates(cycle.spec.get("tolerations") or [], TAINT):
        return None
    return unresolvable(REASON)


PLUGIN = Plugin("NodeUnschedulable", filter=filter, events={"nodes": node_taints})
