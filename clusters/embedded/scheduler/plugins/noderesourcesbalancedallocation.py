"""NodeResourcesBalancedAllocation: prefers the node on which CPU and memory end up used to a similar degree."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import MAX_NODE_SCORE, Cycle, NodeInfo, Plugin


def score(cycle: Cycle, node: NodeInfo) -> float:
    """100 less the spread of the two shares; a Pod that asks for neither is not scored, as the real plugin skips it."""
    if not any(cycle.pod.requests.get(resource) for resource in ("cpu", "memory")):
        return 0
    shares = []
    for resource in ("cpu", "memory"):
        there = node.allocatable.get(resource, 0)
        if there:
            shares.append(min(1.0, (node.requested(resource) + cycle.pod.requests.get(resource, 0)) / there))
    spread = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
    return int((1 - spread) * MAX_NODE_SCORE)


PLUGIN = Plugin("NodeResourcesBalancedAllocation", score=score, weight=1)
