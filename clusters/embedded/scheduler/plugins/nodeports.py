"""NodePorts: a host port can be held by one Pod on a node."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, node_labels, pod_gone, unschedulable

REASON = "node(s) didn't have free ports for the requested pod ports"
_ANY = "0.0.0.0"


def _conflict(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or _ANY in (one[0], other[0]))


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    if not cycle.pod.host_ports:
        return None
    held = [port for each in node.pods for port in each.host_ports]
    if any(_conflict(wanted, port) for wanted in cycle.pod.host_ports for port in held):
        return unschedulable(REASON)
    return None


PLUGIN = Plugin("NodePorts", filter=filter, events={"pods": pod_gone, "nodes": node_labels})
