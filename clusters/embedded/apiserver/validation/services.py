"""Validation of Services (core/validation ValidateService, ValidateServiceUpdate)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_AFFINITY = 86400


def service(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    kind, headless = spec.get("type", ""), spec.get("clusterIP") == "None"
    found: Errors = []
    if not spec.get("ports") and not headless and kind != "ExternalName":
        found.append(field.required(_SPEC.child("ports")))
    if kind == "LoadBalancer" and headless:
        found.append(field.invalid(_SPEC.child("clusterIPs")[0], "None", "may not be set to 'None' for LoadBalancer services"))
    if kind == "NodePort" and headless:
        found.append(field.invalid(_SPEC.child("clusterIPs")[0], "None", "may not be set to 'None' for NodePort services"))
    if kind == "ExternalName":
        found += _external_name(spec)
    found += _ports(spec)
    found += metadata.labels(spec.get("selector"), _SPEC.child("selector"))
    affinity = spec.get("sessionAffinity")
    found += values.choice(affinity, _SPEC.child("sessionAffinity"), ("ClientIP", "None"))
    if affinity == "ClientIP":
        seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is not None and not 0 < seconds <= _MAX_AFFINITY:
            where = _SPEC.child("sessionAffinityConfig", "clientIP", "timeoutSeconds")
            found.append(field.invalid(where, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY}"))
    found += _addresses(spec, kind, headless=headless)
    found += values.choice(kind, _SPEC.child("type"), _TYPES)
    if kind not in ("NodePort", "LoadBalancer"):
        for index, port in enumerate(spec.get("ports") or []):
            if port.get("nodePort"):
                where = _SPEC.child("ports")[index].child("nodePort")
                found.append(field.forbidden(where, f"may not be used when `type` is '{kind}'"))
    return found + _duplicates(spec) + _policies(spec, kind)


def _external_name(spec: Object) -> Errors:
    found: Errors = []
    if spec.get("clusterIPs") or spec.get("clusterIP"):
        found.append(field.forbidden(_SPEC.child("clusterIPs"), "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").rstrip(".")
    if name:
        found += values.all_of(_SPEC.child("externalName"), name, content.dns_subdomain(name))
    else:
        found.append(field.required(_SPEC.child("externalName")))
    return found


def _ports(spec: Object) -> Errors:
    found: Errors = []
    names: set[str] = set()
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        where, name = _SPEC.child("ports")[index], port.get("name", "")
        if not name and len(ports) > 1:
            found.append(field.required(where.child("name")))
        elif name:
            found += values.all_of(where.child("name"), name, content.dns_label(name))
            if name in names:
                found.append(field.duplicate(where.child("name"), name))
            names.add(name)
        found += values.port_number(port.get("port", 0), where.child("port"))
        found += values.choice(port.get("protocol"), where.child("protocol"), _PROTOCOLS)
        found += values.port_number_or_name(port.get("targetPort"), where.child("targetPort"))
        if port.get("appProtocol") is not None:
            found += values.all_of(where.child("appProtocol"), port["appProtocol"], content.qualified_name(port["appProtocol"]))
    return found


def _addresses(spec: Object, kind: str, *, headless: bool) -> Errors:
    found: Errors = []
    if kind != "ExternalName" and not headless and spec.get("clusterIP"):
        address = spec["clusterIP"]
        if content.ip(address):
            found += values.ip(address, _SPEC.child("clusterIPs")[0])
        elif spec.get("clusterIPs") and spec["clusterIPs"][0] != address:
            found.append(field.invalid(_SPEC.child("clusterIPs"), spec["clusterIPs"], "first value must match `clusterIP`"))
    for index, address in enumerate(spec.get("externalIPs") or []):
        found += values.ip(address, _SPEC.child("externalIPs")[index])
    families = spec.get("ipFamilies") or []
    if "IPv6" in families and spec.get("ipFamilyPolicy") == "SingleStack":
        found.append(field.invalid(_SPEC.child("ipFamilies")[families.index("IPv6")], "IPv6", "not configured on this cluster"))
    if spec.get("ipFamilyPolicy") == "RequireDualStack" and not headless:
        why = "this cluster is not configured for dual-stack services"
        found.append(field.invalid(_SPEC.child("ipFamilyPolicy"), spec["ipFamilyPolicy"], why))
    return found


def _duplicates(spec: Object) -> Errors:
    found: Errors = []
    node_ports: set[tuple[str, int]] = set()
    ports: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or []):
        where, protocol = _SPEC.child("ports")[index], port.get("protocol", "")
        number = port.get("nodePort")
        if number:
            if (protocol, number) in node_ports:
                found.append(field.duplicate(where.child("nodePort"), number))
            node_ports.add((protocol, number))
    for index, port in enumerate(spec.get("ports") or []):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in ports:
            found.append(field.duplicate(_SPEC.child("ports")[index], {"protocol": key[0], "port": key[1]}))
        ports.add(key)
    return found


def _policies(spec: Object, kind: str) -> Errors:
    found: Errors = []
    external = spec.get("externalTrafficPolicy")
    reachable = kind in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    where = _SPEC.child("externalTrafficPolicy")
    if external and not reachable:
        found.append(field.invalid(where, external, "may only be set for externally-accessible services"))
    elif external:
        found += values.choice(external, where, ("Cluster", "Local"))
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in ("Cluster", "Local"):
        found.append(field.not_supported(_SPEC.child("internalTrafficPolicy"), internal, ("Cluster", "Local")))
    if kind != "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not None:
        found.append(field.forbidden(_SPEC.child("allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'"))
    return found


def service_update(new: Object, old: Object) -> Errors:
    """A Service that keeps an address keeps its own."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    found: Errors = []
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return found
    ips, had = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if had and ips and ips[0] != had[0]:
        found.append(field.invalid(_SPEC.child("clusterIPs")[0], ips, "may not change once set"))
    elif had and not ips:
        found.append(field.invalid(_SPEC.child("clusterIPs")[0], ips, "primary clusterIP can not be unset"))
    if before.get("clusterIP") and spec.get("clusterIP") != before.get("clusterIP"):
        found.append(field.invalid(_SPEC.child("clusterIP"), spec.get("clusterIP"), content.IMMUTABLE))
    return found
