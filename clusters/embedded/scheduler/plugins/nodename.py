"""NodeName: a Pod that names its node fits no other."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, node_labels, unresolvable

REASON = "node(s) didn't match the requested node name"


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    wanted = cycle.spec.get("nodeName")
    return unresolvable(REASON) if wanted and wanted != node.name else None


PLUGIN = Plugin("NodeName", filter=filter, events={"nodes": node_labels})
