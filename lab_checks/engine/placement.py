"""Where a Pod may go: taints, selectors and affinity of a Pod's spec against nodes, as the scheduler's filters read them.

Functions from objects to answers; nothing here asks a cluster.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lab_checks.engine.observe import amount, asked

Object = dict[str, Any]

_HARD = ("NoSchedule", "NoExecute")


def tolerates(pod_spec: Object, taint: Object) -> bool:
    """Whether one of the Pod's tolerations lets it onto a node with this taint."""
    for each in pod_spec.get("tolerations") or []:
        if each.get("effect") and each["effect"] != taint["effect"]:
            continue
        if each.get("key") and each["key"] != taint["key"]:
            continue
        if each.get("operator", "Equal") == "Exists" or (each.get("key") and each.get("value", "") == taint.get("value", "")):
            return True
    return False


def untolerated(pod_spec: Object, node: Object) -> list[Object]:
    """The node's taints that keep the Pod off."""
    return [taint for taint in node["spec"].get("taints") or [] if taint["effect"] in _HARD and not tolerates(pod_spec, taint)]


def selects(pod_spec: Object, labels: dict[str, str], name: str = "") -> bool:
    """Whether nodeSelector and required node affinity admit a node with these labels."""
    if any(labels.get(key) != value for key, value in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    terms = required_terms(pod_spec)
    return not terms or any(_term(term, labels, name) for term in terms)


def required_terms(pod_spec: Object) -> list[Object]:
    """The alternatives of the Pod's required node affinity."""
    affinity = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return list(affinity.get("nodeSelectorTerms") or [])


def _term(term: Object, labels: dict[str, str], name: str) -> bool:
    expressions = [(labels.get(each["key"]), each) for each in term.get("matchExpressions") or []]
    expressions += [(name, each) for each in term.get("matchFields") or []]
    return bool(expressions) and all(_expression(value, each) for value, each in expressions)


def _expression(value: str | None, each: Object) -> bool:
    operator, values = each["operator"], each.get("values") or []
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    try:
        return value is not None and (int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0]))
    except ValueError:
        return False


def admits(pod_spec: Object, node: Object) -> bool:
    """Whether rules alone, without resources, let the Pod onto the node."""
    labels = node["metadata"].get("labels") or {}
    open_to_all = not node["spec"].get("unschedulable")
    return open_to_all and not untolerated(pod_spec, node) and selects(pod_spec, labels, node["metadata"]["name"])


def allocatable(node: Object, resource: str) -> Decimal:
    return amount(node.get("status", {}).get("allocatable", {}).get(resource, "0"))


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
