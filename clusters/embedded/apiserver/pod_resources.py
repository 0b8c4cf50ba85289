"""Sums over a Pod's containers: effective requests and limits, and the QoS class that follows from them.

Rules of k8s.io/component-helpers/resource (AggregateContainerRequests, PodRequests, PodLimits) and of the kubelet's qos package:
ordinary containers and sidecars (init containers that restart always) add up; an init container counts only where it needs more
than what runs beside it; the Pod's overhead comes on top; resources of the Pod as a whole win over those of its containers.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from clusters.embedded import quantity

Object = dict[str, Any]
Amounts = dict[str, str]

_POD_LEVEL = ("cpu", "memory")


def _combine(into: Amounts, more: Amounts, choose: Callable[[str, str], str]) -> None:
    for name, amount in more.items():
        into[name] = choose(into[name], amount) if name in into else str(amount)


def _add(one: str, other: str) -> str:
    return quantity.add(one, other)


def _max(one: str, other: str) -> str:
    return one if quantity.parse(one) >= quantity.parse(other) else str(other)


def _aggregate(spec: Object, field: str) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or []:
        _combine(total, (container.get("resources") or {}).get(field) or {}, _add)
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or []:
        amounts = (container.get("resources") or {}).get(field) or {}
        if container.get("restartPolicy") == "Always":
            _combine(total, amounts, _add)
            _combine(sidecars, amounts, _add)
            needed = sidecars
        else:
            # Sidecars that were started earlier run on while this one does.
            needed = {name: str(amount) for name, amount in amounts.items()}
            _combine(needed, sidecars, _add)
        _combine(starting, needed, _max)
    _combine(total, starting, _max)
    return total


def requests_of_containers(spec: Object) -> Amounts:
    """What the containers of a Pod ask for together, without overhead and resources of the Pod as a whole."""
    return _aggregate(spec, "requests")


def _of_pod(spec: Object, field: str) -> Amounts:
    total = _aggregate(spec, field)
    for name, amount in ((spec.get("resources") or {}).get(field) or {}).items():
        if name in _POD_LEVEL or name.startswith("hugepages-"):
            total[name] = str(amount)
    overhead = spec.get("overhead") or {}
    if field == "limits":
        overhead = {name: amount for name, amount in overhead.items() if name in total}
    _combine(total, overhead, _add)
    return total


def requests(spec: Object) -> Amounts:
    """The Pod's effective requests by resource name, as quantities."""
    return _of_pod(spec, "requests")


def limits(spec: Object) -> Amounts:
    """The Pod's effective limits by resource name, as quantities."""
    return _of_pod(spec, "limits")


def _compute(amounts: Amounts | None) -> dict[str, Decimal]:
    parsed = {name: quantity.parse(amount) for name, amount in (amounts or {}).items() if name in _POD_LEVEL}
    return {name: amount for name, amount in parsed.items() if amount > 0}


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort (ComputePodQOS); only CPU and memory count."""
    if spec.get("resources") and ((spec["resources"].get("requests")) or spec["resources"].get("limits")):
        parts = [spec["resources"]]
    else:
        parts = [each.get("resources") or {} for name in ("containers", "initContainers") for each in spec.get(name) or []]
    asked = [(_compute(part.get("requests")), _compute(part.get("limits"))) for part in parts]
    if not any(request or limit for request, limit in asked):
        return "BestEffort"
    guaranteed = all(len(limit) == len(_POD_LEVEL) and request == limit for request, limit in asked)
    return "Guaranteed" if guaranteed else "Burstable"
