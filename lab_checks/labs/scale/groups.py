"""Lab 11-scale-and-cost: what a cluster autoscaler asks before it adds a node: would the Pod fit on a new node of this group, and may the group grow?

It takes the group's template for a node and runs the scheduler's filters on it
(https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md#how-does-scale-up-work).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kubeobjects import Object, placement, quantity
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked

# What may keep a group from growing, and how it is called in an answer.
SIZE, TAINT, SELECTOR, GPUS, MEMORY, CPU = "size", "taint", "selector", "gpus", "memory", "cpu"
BLOCKERS = (SIZE, TAINT, SELECTOR, GPUS, MEMORY, CPU)
GROWS = "grows"
_RESOURCES = {GPUS: GPU, MEMORY: "memory", CPU: "cpu"}


def read(ctx: Context) -> dict[str, Any]:
    """The node groups by name, as the ConfigMap has them."""
    return {name: yaml.safe_load(text) for name, text in ctx.need("configmaps", "node-groups")["data"].items()}


def new_node(name: str, group: Mapping[str, Any]) -> Object:
    """The node that the group's template would make."""
    labels = {key: str(value) for key, value in group["labels"].items()}
    return {
        "metadata": {"name": f"{name}-new", "labels": labels},
        "spec": {"taints": group["taints"]},
        "status": {"allocatable": group["allocatable"]},
    }


def blockers(pod_spec: Object, name: str, group: Mapping[str, Any]) -> list[str]:
    """Everything that keeps this group from growing for this Pod; empty where it would grow."""
    node = new_node(name, group)
    found = [SIZE] if group["size"] >= group["maxSize"] else []
    if placement.untolerated(pod_spec, node):
        found.append(TAINT)
    if not placement.selects(pod_spec, node["metadata"]["labels"], node["metadata"]["name"]):
        found.append(SELECTOR)
    for short, resource in _RESOURCES.items():
        if asked(pod_spec, resource) > quantity.parse(str(group["allocatable"].get(resource, "0"))):
            found.append(short)
    return found


def answer(pod_spec: Object, name: str, group: Mapping[str, Any]) -> str:
    """What is right to say of a Pod and its group: that it grows, or the first thing that keeps it from that."""
    return next(iter(blockers(pod_spec, name, group)), GROWS)


# The Deployments of the exercise, and the one whose own manifest is at fault.
WAITING = ("captions", "embeddings", "reranker", "translator", "vision")
REPAIRED = "reranker"
