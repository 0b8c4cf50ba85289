"""Where a Pod may go: taints, selectors and affinity of a Pod's spec against nodes, as the scheduler's filters read them, and what nodes have left."""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object, node_selection, quantity
from kubeobjects.podresources import asked

_HARD = ("NoSchedule", "NoExecute")


def tolerates(pod_spec: Object, taint: Object) -> bool:
    """Whether one of the Pod's tolerations lets it onto a node with this taint."""
    return node_selection.tolerates(pod_spec.get("tolerations") or [], taint)


def untolerated(pod_spec: Object, node: Object) -> list[Object]:
    """The node's taints that keep the Pod off."""
    return [taint for taint in node["spec"].get("taints") or [] if taint["effect"] in _HARD and not tolerates(pod_spec, taint)]


def selects(pod_spec: Object, labels: dict[str, str], name: str = "") -> bool:
    """Whether nodeSelector and required node affinity admit a node with these labels."""
    return node_selection.pod_matches_node(pod_spec, {"metadata": {"labels": labels, "name": name}})


def required_terms(pod_spec: Object) -> list[Object]:
    """The alternatives of the Pod's required node affinity."""
    return list((node_selection.required_affinity(pod_spec) or {}).get("nodeSelectorTerms") or [])


def admits(pod_spec: Object, node: Object) -> bool:
    """Whether rules alone, without resources, let the Pod onto the node."""
    open_to_all = not node["spec"].get("unschedulable")
    return open_to_all and not untolerated(pod_spec, node) and node_selection.pod_matches_node(pod_spec, node)


def allocatable(node: Object, resource: str) -> Decimal:
    """What the node's kubelet offers: cores, bytes or devices."""
    return quantity.parse(node.get("status", {}).get("allocatable", {}).get(resource, "0"))


def requested(node: Object, pods: list[Object], resource: str) -> Decimal:
    """What the Pods that are bound to the node and not over ask for together."""
    name = node["metadata"]["name"]
    return sum(
        (
            asked(pod["spec"], resource)
            for pod in pods
            if pod["spec"].get("nodeName") == name and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ),
        Decimal(0),
    )


def left(node: Object, pods: list[Object], resource: str) -> Decimal:
    """What the node could still give to a new Pod: cores, bytes or devices."""
    return allocatable(node, resource) - requested(node, pods, resource)
