"""The Service strategy: what the server gives to a Service, and what it keeps of it (pkg/registry/core/service).

Addresses and ports come before validation: where they cannot be had, nothing else is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy import cluster_ips, node_ports
from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object

_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _others(obj: Object, context: Context) -> list[Object]:
    metadata = obj["metadata"]
    own = (metadata.get("namespace"), metadata.get("name"))
    return [each for each in context.reader.list("services") if (each["metadata"].get("namespace"), each["metadata"]["name"]) != own]


def create(obj: Object, context: Context) -> None:
    others, spec = _others(obj, context), obj["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    cluster_ips.set_families(obj)
    cluster_ips.allocate(obj, cluster_ips.taken_by(others))
    node_ports.create(obj, node_ports.Ports(others, trial=context.dry_run))


def is_overtaken(obj: Object, context: Context) -> bool:
    """Whether another Service was given an address or a node port of `obj` after they were allocated to it."""
    others = _others(obj, context)
    mine = {each for each in obj["spec"].get("clusterIPs") or [] if each != "None"}
    return not mine.isdisjoint(cluster_ips.taken_by(others)) or any(_node_ports(obj) & _node_ports(each) for each in others)


def _node_ports(service: Object) -> set[tuple[str, int]]:
    return {(each.get("protocol", "TCP"), each["nodePort"]) for each in service["spec"].get("ports") or [] if each.get("nodePort")}


def _needs_address(spec: Object) -> bool:
    return spec.get("type") != "ExternalName"


def update(new: Object, old: Object, context: Context) -> None:
    """Carries over what the client left out (patchAllocatedValues), drops what the new type has no use for, allocates what is missing."""
    spec, before = new["spec"], old["spec"]
    if _needs_address(spec) and _needs_address(before):
        for name in _ADDRESSES:
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
        if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
    if spec.get("type") in node_ports.TYPES and before.get("type") in node_ports.TYPES:
        known = {(each.get("protocol", "TCP"), each.get("port")): each.get("nodePort") for each in before.get("ports") or []}
        used = {each.get("nodePort") for each in spec.get("ports") or [] if each.get("nodePort")}
        for port in spec.get("ports") or []:
            stored = known.get((port.get("protocol", "TCP"), port.get("port")))
            if not port.get("nodePort") and stored and stored not in used:
                port["nodePort"] = stored
    if spec.get("type") not in node_ports.TYPES:
        stored_ports = {each.get("nodePort") for each in before.get("ports") or []}
        for port in spec.get("ports") or []:
            # A port that came from the old type goes; one that the client writes now is for validation to refuse.
            if port.get("nodePort") in stored_ports:
                port.pop("nodePort", None)
        if before.get("type") in node_ports.TYPES and not spec.get("externalIPs"):
            spec.pop("externalTrafficPolicy", None)
    if spec.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass"):
            spec.pop(name, None)
    others = _others(new, context)
    if spec.get("type") == "ExternalName":
        for name in _ADDRESSES:
            # An address that came from the old type goes; one that the client writes now is for validation to refuse.
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
    elif spec.get("clusterIP") and spec.get("clusterIP") == before.get("clusterIP"):
        spec["clusterIPs"] = before.get("clusterIPs") or [spec["clusterIP"]]
    cluster_ips.set_families(new)
    if before.get("type") == "ExternalName":
        cluster_ips.allocate(new, cluster_ips.taken_by(others))
    node_ports.update(new, old, node_ports.Ports(others, trial=context.dry_run))


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {("v1", "Service"): create}
UPDATE: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {("v1", "Service"): update}
