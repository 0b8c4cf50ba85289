"""The Service strategy: cluster addresses and node ports (pkg/registry/core/service/storage/alloc.go).

Addresses come from 10.96.0.0/16 and ports from 30000-32767. What is taken is read off the stored Services: nothing has to be kept in step.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable
from typing import Any

from clusters.embedded.apiserver.strategy.context import Context
from clusters.embedded.apiserver.validation.field import Path, render
from clusters.embedded.errors import ApiError, FieldError, invalid
from kubeobjects import Object

SERVICE_RANGE = ipaddress.IPv4Network("10.96.0.0/16")
NODE_PORTS = range(30000, 32768)
# Addresses that kubeadm gives to fixed Services, free for whoever asks for them by name.
_RESERVED = frozenset({"10.96.0.1", "10.96.0.10"})
# The lower band of both ranges is left to those who choose for themselves (ServiceIPStaticSubrange, ServiceNodePortStaticSubrange).
_STATIC_ADDRESSES = 256
_STATIC_PORTS = 86
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def _others(obj: Object, context: Context) -> list[Object]:
    metadata = obj["metadata"]
    own = (metadata.get("namespace"), metadata.get("name"))
    return [each for each in context.reader.list("services") if (each["metadata"].get("namespace"), each["metadata"]["name"]) != own]


def _addresses(services: Iterable[Object]) -> set[str]:
    return {ip for each in services for ip in each["spec"].get("clusterIPs") or [] if ip != "None"}


def _ports(services: Iterable[Object]) -> set[tuple[str, int]]:
    taken = set()
    for each in services:
        for port in each["spec"].get("ports") or []:
            if port.get("nodePort"):
                taken.add((port.get("protocol", "TCP"), port["nodePort"]))
        if each["spec"].get("healthCheckNodePort"):
            taken.add(("TCP", each["spec"]["healthCheckNodePort"]))
    return taken


def _refuse(obj: Object, path: Path, value: Any, why: str) -> ApiError:
    cause = FieldError(str(path), "FieldValueInvalid", f"Invalid value: {render(value)}: {why}")
    return invalid("Service", "", obj["metadata"].get("name", ""), [cause])


def _allocate_address(obj: Object, taken: set[str]) -> str:
    asked = obj["spec"].get("clusterIP") or next(iter(obj["spec"].get("clusterIPs") or []), "")
    path = Path("spec", "clusterIPs")
    if asked:
        try:
            address = ipaddress.ip_address(asked)
        except ValueError:
            return asked  # validation says what is wrong with it
        usable = address in SERVICE_RANGE and address not in (SERVICE_RANGE.network_address, SERVICE_RANGE.broadcast_address)
        if not usable:
            why = f"the provided network does not match the current range, the range of valid IPs is {SERVICE_RANGE}"
            if isinstance(address, ipaddress.IPv4Address):
                why = f"failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid range. "
                why += f"The range of valid IPs is {SERVICE_RANGE}"
            raise _refuse(obj, path, [asked], why)
        if asked in taken:
            raise _refuse(obj, path, [asked], f"failed to allocate IP {asked}: provided IP is already allocated")
        return asked
    first = int(SERVICE_RANGE.network_address)
    dynamic = range(first + _STATIC_ADDRESSES + 1, first + SERVICE_RANGE.num_addresses - 1)
    for number in random.sample(dynamic, len(taken) + len(_RESERVED) + 1):
        candidate = str(ipaddress.IPv4Address(number))
        if candidate not in taken and candidate not in _RESERVED:
            return candidate
    raise AssertionError("more candidates were drawn than addresses are taken")


def _give_addresses(obj: Object, taken: set[str]) -> None:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "allocateLoadBalancerNodePorts"):
            spec.pop(name, None)
        return
    if not spec.get("ipFamilyPolicy"):
        headless_without_selector = spec.get("clusterIP") == "None" and not spec.get("selector")
        spec["ipFamilyPolicy"] = "RequireDualStack" if headless_without_selector else "SingleStack"
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4", "IPv6"] if spec["ipFamilyPolicy"] == "RequireDualStack" else ["IPv4"]
    if spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"]:
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
        return
    spec["clusterIP"] = _allocate_address(obj, taken)
    spec["clusterIPs"] = [spec["clusterIP"]]


def _free_port(protocol: str, taken: set[tuple[str, int]]) -> int:
    upper = list(NODE_PORTS[_STATIC_PORTS:])
    random.shuffle(upper)
    for candidate in [*upper, *NODE_PORTS[:_STATIC_PORTS]]:
        if (protocol, candidate) not in taken:
            return candidate
    raise ApiError(500, "InternalError", "failed to allocate a nodePort: range is full")


def _give_node_ports(obj: Object, taken: set[tuple[str, int]]) -> None:
    spec = obj["spec"]
    wanted = spec.get("type") == "NodePort" or (spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))
    own: set[tuple[str, int]] = set()
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        if spec.get("type") not in _WITH_NODE_PORTS or not port.get("nodePort"):
            continue
        asked, protocol = port["nodePort"], port.get("protocol", "TCP")
        path = Path("spec", "ports")[index].child("nodePort")
        if asked not in NODE_PORTS:
            why = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
            raise _refuse(obj, path, asked, why)
        if (protocol, asked) in taken | own:
            raise _refuse(obj, path, asked, "provided port is already allocated")
        own.add((protocol, asked))
    if not wanted:
        return
    for port in ports:
        if not port.get("nodePort"):
            protocol = port.get("protocol", "TCP")
            # One port serves both protocols where neither has it yet: DNS-like Services expect the same number.
            same = [each["nodePort"] for each in ports if each.get("nodePort") and each.get("port") == port.get("port")]
            free = [number for number in same if (protocol, number) not in taken | own]
            port["nodePort"] = free[0] if free else _free_port(protocol, taken | own)
            own.add((protocol, port["nodePort"]))
    local = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if local and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = _free_port("TCP", taken | own)


def create(obj: Object, context: Context) -> None:
    others = _others(obj, context)
    _give_addresses(obj, _addresses(others))
    _give_node_ports(obj, _ports(others))


def _needs_address(spec: Object) -> bool:
    return spec.get("type") != "ExternalName"


def update(new: Object, old: Object, context: Context) -> None:
    """Carries over what the client left out (patchAllocatedValues), drops what the new type has no use for, allocates what is missing."""
    spec, before = new["spec"], old["spec"]
    if _needs_address(spec) and _needs_address(before):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
        if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
    if spec.get("type") in _WITH_NODE_PORTS and before.get("type") in _WITH_NODE_PORTS:
        known = {(each.get("protocol", "TCP"), each.get("port")): each.get("nodePort") for each in before.get("ports") or []}
        used = {each.get("nodePort") for each in spec.get("ports") or [] if each.get("nodePort")}
        for port in spec.get("ports") or []:
            stored = known.get((port.get("protocol", "TCP"), port.get("port")))
            if not port.get("nodePort") and stored and stored not in used:
                port["nodePort"] = stored
    if spec.get("type") not in _WITH_NODE_PORTS:
        stored_ports = {each.get("nodePort") for each in before.get("ports") or []}
        for port in spec.get("ports") or []:
            # A port that came from the old type goes; one that the client writes now is for validation to refuse.
            if port.get("nodePort") in stored_ports:
                port.pop("nodePort", None)
        if before.get("type") in _WITH_NODE_PORTS and not spec.get("externalIPs"):
            spec.pop("externalTrafficPolicy", None)
    if spec.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "healthCheckNodePort", "loadBalancerClass"):
            spec.pop(name, None)
    others = _others(new, context)
    if spec.get("clusterIP") and spec.get("clusterIP") == before.get("clusterIP"):
        spec["clusterIPs"] = before.get("clusterIPs") or [spec["clusterIP"]]
    elif before.get("type") == "ExternalName" or spec.get("type") == "ExternalName":
        _give_addresses(new, _addresses(others))
    _give_node_ports(new, _ports(others))


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {("v1", "Service"): create}
UPDATE: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {("v1", "Service"): update}
