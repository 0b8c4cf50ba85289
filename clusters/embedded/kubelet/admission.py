"""Whether this node takes a Pod that was bound to it (pkg/kubelet/lifecycle): pure, all but the devices.

A Pod that is not admitted ends as Failed, with the rejection's reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeobjects import Object, podresources, quantity
from kubeobjects.node_selection import pod_matches_node


class Rejection(Exception):
    """`reason` and `message` go into the Pod's status and into an event."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason
        self.message = message


def check(pod: Object, node: Object, others: Iterable[Object], allocatable: Mapping[str, str]) -> None:
    """Raises Rejection where node affinity, a NoExecute taint's absence or the resources left do not allow the Pod."""
    if not pod_matches_node(pod["spec"], node):
        raise Rejection("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
    running = list(others)
    if len(running) + 1 > quantity.whole(allocatable.get("pods", "110")):
        count = quantity.whole(allocatable.get("pods", "110"))
        raise Rejection("OutOfpods", f"Node didn't have enough resource: pods, requested: 1, used: {len(running)}, capacity: {count}")
    used: dict[str, str] = {}
    for other in running:
        for name, amount in podresources.requests(other).items():
            used[name] = quantity.add(used[name], amount) if name in used else amount
    for name, amount in podresources.requests(pod).items():
        # Devices are the device manager's to judge, and what no node knows of is left alone.
        if name not in ("cpu", "memory", "ephemeral-storage") or name not in allocatable:
            continue
        measure = quantity.milli if name == "cpu" else quantity.whole
        wanted, taken, capacity = measure(amount), measure(used.get(name, "0")), measure(allocatable[name])
        if wanted and taken + wanted > capacity:
            raise Rejection(
                f"OutOf{name}",
                f"Node didn't have enough resource: {name}, requested: {wanted}, used: {taken}, capacity: {capacity}",
            )
