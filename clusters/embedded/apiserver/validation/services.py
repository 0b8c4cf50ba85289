"""Validation of Services (core/validation ValidateService, ValidateServiceUpdate)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import addresses, content, field, metadata, service_addresses, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_PORTS = _SPEC.child("ports")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_MAX_AFFINITY = 86400
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_SOURCES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_BALANCED_ONLY = "may only be used when `type` is 'LoadBalancer'"


def service(obj: Object) -> Errors:
    spec, annotations = obj.get("spec") or {}, obj["metadata"].get("annotations") or {}
    kind = spec.get("type", "")
    found = _topology(annotations)
    if not spec.get("ports") and not service_addresses.headless(spec) and kind != "ExternalName":
        found.append(field.required(_PORTS))
    found += _of_type(spec, kind) + _ports(spec.get("ports") or [])
    found += metadata.labels(spec.get("selector"), _SPEC.child("selector"))
    found += _affinity(spec) + service_addresses.related(spec)
    for index, address in enumerate(spec.get("externalIPs") or []):
        where = _SPEC.child("externalIPs")[index]
        found += values.ip(address, where) or values.all_of(where, address, addresses.endpoint_ip(address))
    found += values.choice(kind, _SPEC.child("type"), _TYPES)
    found += _node_ports(spec.get("ports") or [], kind) + _duplicates(spec.get("ports") or [])
    found += _source_ranges(spec, annotations, kind) + _balancer(spec, kind)
    return found + _policies(spec, kind)


def _topology(annotations: dict[str, str]) -> Errors:
    mode, hints = annotations.get(_MODE), annotations.get(_HINTS)
    if mode is None or hints is None or mode == hints:
        return []
    why = f"must match annotations[{_HINTS}] when both are specified"
    return [field.invalid(Path("metadata", "annotations").key(_MODE), mode, why)]


def _of_type(spec: Object, kind: str) -> Errors:
    if kind == "ExternalName":
        return _external_name(spec)
    if kind in ("LoadBalancer", "NodePort") and service_addresses.headless(spec):
        return [field.invalid(_SPEC.child("clusterIPs")[0], "None", f"may not be set to 'None' for {kind} services")]
    return []


def _external_name(spec: Object) -> Errors:
    found: Errors = []
    for each in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(each):
            found.append(field.forbidden(_SPEC.child(each), "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if name:
        found += values.all_of(_SPEC.child("externalName"), name, content.dns_subdomain(name))
    else:
        found.append(field.required(_SPEC.child("externalName")))
    return found


def _ports(ports: list[Object]) -> Errors:
    found: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        where, name = _PORTS[index], port.get("name", "")
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


def _affinity(spec: Object) -> Errors:
    """validateClientIPAffinityConfig; defaults fill in what is missing in it, and drop it where there is no affinity."""
    affinity = spec.get("sessionAffinity")
    found = values.choice(affinity, _SPEC.child("sessionAffinity"), ("ClientIP", "None"))
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    if affinity == "ClientIP" and seconds is not None and not 0 < seconds <= _MAX_AFFINITY:
        where = _SPEC.child("sessionAffinityConfig", "clientIP", "timeoutSeconds")
        found.append(field.invalid(where, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY}"))
    return found


def _node_ports(ports: list[Object], kind: str) -> Errors:
    asked = [(index, port) for index, port in enumerate(ports) if port.get("nodePort")]
    found: Errors = []
    if kind == "ClusterIP":
        why = "may not be used when `type` is 'ClusterIP'"
        found += [field.forbidden(_PORTS[index].child("nodePort"), why) for index, _ in asked]
    seen: set[tuple[str, int]] = set()
    for index, port in asked:
        key = (port.get("protocol", ""), port["nodePort"])
        if key in seen:
            found.append(field.duplicate(_PORTS[index].child("nodePort"), port["nodePort"]))
        seen.add(key)
    return found


def _duplicates(ports: list[Object]) -> Errors:
    found: Errors = []
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in seen:
            internal = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1], "TargetPort": 0, "NodePort": 0}
            found.append(field.duplicate(_PORTS[index], internal))
        seen.add(key)
    return found


def _source_ranges(spec: Object, annotations: dict[str, str], kind: str) -> Errors:
    """Who may reach a load balancer: a field, or an annotation of before it. The field's name is spelt as there."""
    listed, found = spec.get("loadBalancerSourceRanges") or [], []
    where = _SPEC.child("LoadBalancerSourceRanges")
    places = [(where[index], each) for index, each in enumerate(listed)]
    if not listed:
        if _SOURCES not in annotations:
            return []
        where = Path("metadata", "annotations").key(_SOURCES)
        written = annotations[_SOURCES].strip()
        places = [(where, each) for each in written.split(",")] if written else []
    if kind != "LoadBalancer":
        found.append(field.forbidden(where, _BALANCED_ONLY))
    for place, each in places:
        found += values.cidr(each.strip(), place)
    return found


def _balancer(spec: Object, kind: str) -> Errors:
    found: Errors = []
    name, balanced = spec.get("loadBalancerClass"), kind == "LoadBalancer"
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balanced:
        found.append(field.forbidden(_SPEC.child("allocateLoadBalancerNodePorts"), _BALANCED_ONLY))
    where = _SPEC.child("loadBalancerClass")
    if name is not None:
        found += values.all_of(where, name, content.qualified_name(name)) if balanced else [field.forbidden(where, _BALANCED_ONLY)]
    return found


def _policies(spec: Object, kind: str) -> Errors:
    """Where traffic goes, from outside (validateServiceExternalTrafficPolicy) and from inside."""
    external, where = spec.get("externalTrafficPolicy"), _SPEC.child("externalTrafficPolicy")
    found: Errors = []
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        found += values.choice(external, where, ("Cluster", "Local"))
    elif external:
        found.append(field.invalid(where, external, "may only be set for externally-accessible services"))
    checked, where = spec.get("healthCheckNodePort"), _SPEC.child("healthCheckNodePort")
    if checked and not (kind == "LoadBalancer" and external == "Local"):
        found.append(field.invalid(where, checked, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
    elif checked:
        found += values.port_number(checked, where)
    internal, where = spec.get("internalTrafficPolicy"), _SPEC.child("internalTrafficPolicy")
    if internal is None and kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        found.append(field.required(where))
    elif internal is not None and internal not in ("Cluster", "Local"):
        found.append(field.not_supported(where, internal, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        found.append(field.not_supported(_SPEC.child("trafficDistribution"), distribution, _DISTRIBUTIONS))
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
