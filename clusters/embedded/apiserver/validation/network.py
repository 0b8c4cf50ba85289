"""Validation of Ingresses and NetworkPolicies (networking/validation)."""

from __future__ import annotations

from ipaddress import ip_network

from clusters.embedded.apiserver.validation import addresses, content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END = ("/..", "/.")
_POLICY_TYPES = ("Ingress", "Egress")
_PROTOCOLS = ("TCP", "UDP", "SCTP")


def ingress(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        found.append(field.invalid(_SPEC, spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend") is not None:
        found += _backend(spec["defaultBackend"], _SPEC.child("defaultBackend"))
    for index, rule in enumerate(spec.get("rules") or []):
        found += _rule(rule, _SPEC.child("rules")[index])
    for index, tls in enumerate(spec.get("tls") or []):
        found += _tls(tls, _SPEC.child("tls")[index])
    name = spec.get("ingressClassName")
    if name is not None:
        found += values.all_of(_SPEC.child("ingressClassName"), name, content.dns_subdomain(name))
    return found


def _rule(rule: Object, path: Path) -> Errors:
    found: Errors = []
    host, http = rule.get("host"), rule.get("http")
    if host:
        if not addresses.ip(host):
            found.append(field.invalid(path.child("host"), host, "must be a DNS name, not an IP address"))
        found += _host(host, path.child("host"))
    if http is not None and not http.get("paths"):
        found.append(field.required(path.child("http", "paths")))
    for number, each in enumerate((http or {}).get("paths") or []):
        found += _path(each, path.child("http", "paths")[number])
    return found


def _host(host: str, path: Path) -> Errors:
    return values.all_of(path, host, content.wildcard_subdomain(host) if "*" in host else content.dns_subdomain(host))


def _tls(tls: Object, path: Path) -> Errors:
    found = [error for index, host in enumerate(tls.get("hosts") or []) for error in _host(host or "", path.child("hosts")[index])]
    name = tls.get("secretName")
    return found + values.all_of(path.child("secretName"), name, content.dns_subdomain(name)) if name else found


def _path(each: Object, path: Path) -> Errors:
    found: Errors = []
    kind, text, where = each.get("pathType"), each.get("path", ""), path.child("path")
    if kind is None:
        return [field.required(path.child("pathType"), "pathType must be specified")]
    if kind not in _PATH_TYPES:
        found.append(field.not_supported(path.child("pathType"), kind, _PATH_TYPES))
    elif kind != "ImplementationSpecific" or text:
        if not text.startswith("/"):
            found.append(field.invalid(where, text, "must be an absolute path"))
        if kind != "ImplementationSpecific":
            found += [field.invalid(where, text, f"must not contain '{part}'") for part in _NOT_IN_PATHS if part in text]
            found += [field.invalid(where, text, f"cannot end with '{part}'") for part in _NOT_AT_THE_END if text.endswith(part)]
    return found + _backend(each.get("backend") or {}, path.child("backend"))


def _backend(backend: Object, path: Path) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [field.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return []
    if service is None:
        return [field.invalid(path, "", "resource or service backend is required")]
    found: Errors = []
    name, port = service.get("name", ""), service.get("port") or {}
    where = path.child("service")
    if not name:
        found.append(field.required(where.child("name")))
    else:
        # Names of Services are plain DNS labels since 1.36 (RelaxedServiceNameValidation).
        found += values.all_of(where.child("name"), name, content.dns_label(name))
    if port.get("name") and port.get("number"):
        found.append(field.invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        found += values.all_of(where.child("port", "name"), port["name"], content.port_name(port["name"]))
    elif port.get("number"):
        found += values.port_number(port["number"], where.child("port", "number"))
    else:
        found.append(field.required(path, "port name or number is required"))
    return found


def network_policy(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = metadata.label_selector(spec.get("podSelector"), _SPEC.child("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or []):
            path = _SPEC.child(direction)[index]
            for number, port in enumerate(rule.get("ports") or []):
                found += _policy_port(port, path.child("ports")[number])
            for number, peer in enumerate(rule.get(peers) or []):
                found += _peer(peer, path.child(peers)[number])
    types, where = spec.get("policyTypes") or [], _SPEC.child("policyTypes")
    if len(types) > len(_POLICY_TYPES):
        return [*found, field.invalid(where, types, "may not specify more than two policyTypes")]
    for index, kind in enumerate(types):
        if kind not in _POLICY_TYPES:
            found.append(field.not_supported(where[index], kind, _POLICY_TYPES))
    return found


def _policy_port(each: Object, path: Path) -> Errors:
    found: Errors = []
    port, last = each.get("port"), each.get("endPort")
    if each.get("protocol") not in (None, *_PROTOCOLS):
        found.append(field.not_supported(path.child("protocol"), each["protocol"], _PROTOCOLS))
    if isinstance(port, int):
        found += values.port_number(port, path.child("port"))
        if last is not None:
            if last < port:
                found.append(field.invalid(path.child("endPort"), port, "must be greater than or equal to `port`"))
            found += values.port_number(last, path.child("endPort"))
        return found
    if last is not None:
        why = "may not be specified when `port` is " + ("not specified" if port is None else "non-numeric")
        found.append(field.invalid(path.child("endPort"), last, why))
    return found + values.port_number_or_name(port, path.child("port")) if port is not None else found


def _peer(peer: Object, path: Path) -> Errors:
    found: Errors = []
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in ("podSelector", "namespaceSelector"):
        found += metadata.label_selector(peer.get(name), path.child(name))
    if "ipBlock" in given:
        found += _ip_block(peer["ipBlock"], path.child("ipBlock"))
    if not given:
        found.append(field.required(path, "must specify a peer"))
    elif "ipBlock" in given and len(given) > 1:
        found.append(field.forbidden(path, "may not specify both ipBlock and another peer"))
    return found


def _ip_block(block: Object, path: Path) -> Errors:
    text = block.get("cidr", "")
    if not text:
        return [field.required(path.child("cidr"))]
    found = values.cidr(text, path.child("cidr"))
    if not addresses.is_cidr(text):
        return found
    outer = ip_network(text, strict=False)
    for index, each in enumerate(block.get("except") or []):
        where = path.child("except")[index]
        found += values.cidr(each, where)
        if not addresses.is_cidr(each):
            continue
        inner = ip_network(each, strict=False)
        if inner.version != outer.version or inner.network_address not in outer or outer.prefixlen >= inner.prefixlen:
            found.append(field.invalid(where, each, "must be a strict subset of `cidr`"))
    return found
