"""ImageLocality: prefers nodes that already hold the Pod's large images."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import MAX_NODE_SCORE, Cycle, NodeInfo, Plugin

_MEGABYTE = 1024 * 1024
_LEAST = 23 * _MEGABYTE
_MOST_PER_CONTAINER = 1000 * _MEGABYTE


def _normalized(image: str) -> str:
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _sizes(node: NodeInfo) -> dict[str, int]:
    images = (node.node.get("status") or {}).get("images") or []
    return {name: image.get("sizeBytes", 0) for image in images for name in image.get("names") or []}


def score(cycle: Cycle, node: NodeInfo) -> float:
    """Sizes are scaled by the share of nodes that hold the image, so that Pods do not pile up on the one node that has it."""
    containers = cycle.spec.get("containers") or []
    sizes = _sizes(node)
    total = 0.0
    for container in containers:
        image = _normalized(container.get("image") or "")
        if image in sizes:
            holders = sum(1 for each in cycle.snapshot.nodes.values() if image in _sizes(each))
            total += sizes[image] * holders / len(cycle.snapshot.nodes)
    most = _MOST_PER_CONTAINER * len(containers)
    if total < _LEAST:
        return 0
    return MAX_NODE_SCORE * (min(total, most) - _LEAST) // (most - _LEAST)


PLUGIN = Plugin("ImageLocality", score=score, weight=1)
