"""A Pod's QoS class, which follows from what its containers ask for (pkg/apis/core/v1/helper/qos ComputePodQOS)."""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object, podresources, quantity

_COMPUTE = ("cpu", "memory")


def requests_of_containers(spec: Object) -> podresources.ResourceList:
    """What the containers ask for together, without overhead and without resources of the Pod as a whole."""
    return podresources.requests({"spec": {name: spec.get(name) for name in ("containers", "initContainers")}})


def _amounts(resources: dict[str, str] | None) -> dict[str, Decimal]:
    parsed = {name: quantity.parse(amount) for name, amount in (resources or {}).items() if name in _COMPUTE}
    return {name: amount for name, amount in parsed.items() if amount > 0}


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort; only CPU and memory count."""
    whole = spec.get("resources") or {}
    if whole.get("requests") or whole.get("limits"):
        parts = [whole]
    else:
        parts = [each.get("resources") or {} for name in ("containers", "initContainers") for each in spec.get(name) or []]
    asked = [(_amounts(part.get("requests")), _amounts(part.get("limits"))) for part in parts]
    if not any(request or limit for request, limit in asked):
        return "BestEffort"
    guaranteed = all(len(limit) == len(_COMPUTE) and request == limit for request, limit in asked)
    return "Guaranteed" if guaranteed else "Burstable"
