"""Validation of RBAC, Ingress, NetworkPolicy and CustomResourceDefinitions."""

from __future__ import annotations

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_RBAC = "rbac.authorization.k8s.io"
_SPEC = Path("spec")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def _rules(rules: list[Object], *, namespaced: bool) -> Errors:
    found: Errors = []
    for index, rule in enumerate(rules):
        path = Path("rules")[index]
        if not rule.get("verbs"):
            found.append(field.required(path.child("verbs"), "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs") or []
        if urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                found.append(field.invalid(path.child("nonResourceURLs"), urls, why))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(field.invalid(path.child("nonResourceURLs"), urls, why))
            continue
        if not rule.get("apiGroups"):
            found.append(field.required(path.child("apiGroups"), "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(field.required(path.child("resources"), "resource rules must supply at least one resource"))
    return found


def role(obj: Object) -> Errors:
    return _rules(obj.get("rules") or [], namespaced=True)


def cluster_role(obj: Object) -> Errors:
    return _rules(obj.get("rules") or [], namespaced=False)


def _binding(obj: Object, kinds: tuple[str, ...]) -> Errors:
    found: Errors = []
    reference, path = obj.get("roleRef") or {}, Path("roleRef")
    if reference.get("apiGroup") != _RBAC:
        found.append(field.not_supported(path.child("apiGroup"), reference.get("apiGroup", ""), (_RBAC,)))
    if reference.get("kind") not in kinds:
        found.append(field.not_supported(path.child("kind"), reference.get("kind", ""), kinds))
    if not reference.get("name"):
        found.append(field.required(path.child("name")))
    else:
        found += values.all_of(path.child("name"), reference["name"], content.path_segment(reference["name"]))
    for index, subject in enumerate(obj.get("subjects") or []):
        found += _subject(subject, Path("subjects")[index])
    return found


def _subject(subject: Object, path: Path) -> Errors:
    found: Errors = []
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        found.append(field.required(path.child("name")))
    if kind == "ServiceAccount":
        if name:
            found += values.all_of(path.child("name"), name, content.dns_subdomain(name))
        if group:
            found.append(field.not_supported(path.child("apiGroup"), group, ("",)))
        if not subject.get("namespace"):
            found.append(field.required(path.child("namespace")))
    elif kind in ("User", "Group"):
        if group != _RBAC:
            found.append(field.not_supported(path.child("apiGroup"), group, (_RBAC,)))
    else:
        found.append(field.not_supported(path.child("kind"), kind, ("ServiceAccount", "User", "Group")))
    return found


def role_binding(obj: Object) -> Errors:
    return _binding(obj, ("Role", "ClusterRole"))


def cluster_role_binding(obj: Object) -> Errors:
    return _binding(obj, ("ClusterRole",))


def binding_update(new: Object, old: Object) -> Errors:
    if same(new.get("roleRef"), old.get("roleRef")):
        return []
    return [field.invalid(Path("roleRef"), new.get("roleRef"), "cannot change roleRef")]


def _backend(backend: Object, path: Path) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [field.invalid(path, "", "cannot set both resource and service backends")]
    if service is None and resource is None:
        return [field.required(path, "either service or resource must be specified")] if backend == {} else []
    found: Errors = []
    if service is not None:
        name, port = service.get("name", ""), service.get("port") or {}
        where = path.child("service")
        if not name:
            found.append(field.required(where.child("name")))
        else:
            found += values.all_of(where.child("name"), name, content.dns_1035_label(name))
        if port.get("name") and port.get("number"):
            found.append(field.invalid(where, "", "cannot set both port name & port number"))
        elif port.get("name"):
            found += values.all_of(where.child("port", "name"), port["name"], content.port_name(port["name"]))
        elif port.get("number"):
            found += values.port_number(port["number"], where.child("port", "number"))
        else:
            found.append(field.required(where, "port name or number is required"))
    return found


def ingress(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        found.append(field.invalid(_SPEC, spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend") is not None:
        found += _backend(spec["defaultBackend"], _SPEC.child("defaultBackend"))
    for index, rule in enumerate(spec.get("rules") or []):
        path, host = _SPEC.child("rules")[index], rule.get("host")
        if host:
            if not content.ip(host):
                found.append(field.invalid(path.child("host"), host, "must be a DNS name, not an IP address"))
            else:
                rule_of_host = content.wildcard_subdomain if "*" in host else content.dns_subdomain
                found += values.all_of(path.child("host"), host, rule_of_host(host))
        http = rule.get("http")
        if http is not None and not http.get("paths"):
            found.append(field.required(path.child("http", "paths")))
        for number, each in enumerate((http or {}).get("paths") or []):
            found += _ingress_path(each, path.child("http", "paths")[number])
    return found


def _ingress_path(each: Object, path: Path) -> Errors:
    found: Errors = []
    kind, text = each.get("pathType"), each.get("path", "")
    if kind is None:
        return [field.required(path.child("pathType"), "pathType must be specified")]
    if kind not in _PATH_TYPES:
        return [field.not_supported(path.child("pathType"), kind, _PATH_TYPES)]
    if kind != "ImplementationSpecific" or text:
        if not text.startswith("/"):
            found.append(field.invalid(path.child("path"), text, "must be an absolute path"))
        elif kind != "ImplementationSpecific":
            for part in ("//", "/./", "/../", "%2f", "%2F"):
                if part in text:
                    found.append(field.invalid(path.child("path"), text, f"must not contain '{part}'"))
    return found + _backend(each.get("backend") or {}, path.child("backend"))


def network_policy(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = metadata.label_selector(spec.get("podSelector"), _SPEC.child("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or []):
            path = _SPEC.child(direction)[index]
            for number, port in enumerate(rule.get("ports") or []):
                where = path.child("ports")[number]
                if port.get("protocol") not in (None, "TCP", "UDP", "SCTP"):
                    found.append(field.not_supported(where.child("protocol"), port["protocol"], ("TCP", "UDP", "SCTP")))
                if port.get("port") is not None:
                    found += values.port_number_or_name(port["port"], where.child("port"))
            for number, peer in enumerate(rule.get(peers) or []):
                found += _peer(peer, path.child(peers)[number])
    for index, kind in enumerate(spec.get("policyTypes") or []):
        if kind not in ("Ingress", "Egress"):
            found.append(field.not_supported(_SPEC.child("policyTypes")[index], kind, ("Egress", "Ingress")))
    return found


def _peer(peer: Object, path: Path) -> Errors:
    found: Errors = []
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in ("podSelector", "namespaceSelector"):
        found += metadata.label_selector(peer.get(name), path.child(name))
    if not given:
        found.append(field.required(path, "must specify a peer"))
    elif "ipBlock" in given and len(given) > 1:
        found.append(field.forbidden(path, "may not specify both ipBlock and another peer"))
    return found


def custom_resource_definition(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    found: Errors = []
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") != wanted:
        found.append(field.invalid(Path("metadata", "name"), obj["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group'))
    if not spec.get("group"):
        found.append(field.required(_SPEC.child("group")))
    elif "." not in spec["group"]:
        found.append(field.invalid(_SPEC.child("group"), spec["group"], "should be a domain with at least one dot"))
    found += values.choice(spec.get("scope"), _SPEC.child("scope"), ("Cluster", "Namespaced"))
    stored = [each for each in spec.get("versions") or [] if each.get("storage")]
    if len(stored) != 1:
        found.append(
            field.invalid(_SPEC.child("versions"), spec.get("versions"), "must have exactly one version marked as storage version")
        )
    for index, version in enumerate(spec.get("versions") or []):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            found.append(field.required(_SPEC.child("versions")[index].child("schema", "openAPIV3Schema"), "schemas are required"))
    for name in ("plural", "kind"):
        if not names.get(name):
            found.append(field.required(_SPEC.child("names", name)))
    return found
