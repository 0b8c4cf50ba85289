"""Validation of Pods and of the Pod specs in templates (core/validation ValidatePodSpec, ValidatePodCreate)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import (
    containers,
    content,
    field,
    metadata,
    placement,
    resources,
    security,
    values,
    volumes,
)
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, qos

_MAX_INT = 2147483647
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MOST_SEARCHES = 32
_LONGEST_SEARCH = 2048
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_MIRROR = "kubernetes.io/config.mirror"


def _resource_claims(claims: list[Object], path: Path) -> Errors:
    found: Errors = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        where, name = path[index], claim.get("name", "")
        if not name:
            found.append(field.required(where.child("name")))
        elif name in seen:
            found.append(field.duplicate(where.child("name"), name))
        else:
            found += values.all_of(where.child("name"), name, content.dns_label(name))
        seen.add(name)
        sources = [each for each in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(each) is not None]
        if len(sources) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.append(field.invalid(where, claim, why))
        if not sources:
            found.append(field.invalid(where, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
    return found


def _host_network(spec: Object, path: Path, *, is_pod: bool) -> Errors:
    found: Errors = []
    if not spec.get("hostNetwork"):
        return found
    for number, container in enumerate(spec.get("containers") or []):
        for index, port in enumerate(container.get("ports") or []):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != port.get("containerPort"):
                where = path.child("containers")[number].child("ports")[index].child("hostPort")
                found.append(field.invalid(where, host, "must match `containerPort` when `hostNetwork` is true"))
    return found


def _dns_config(spec: Object, path: Path) -> Errors:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [field.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            return [field.required(path.child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    if config is None:
        return []
    found: Errors = []
    servers = config.get("nameservers") or []
    if len(servers) > 3:
        found.append(field.invalid(path.child("nameservers"), servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        found += values.ip(server, path.child("nameservers")[index])
    searches, where = config.get("searches") or [], path.child("searches")
    if len(searches) > _MOST_SEARCHES:
        found.append(field.invalid(where, searches, f"must not have more than {_MOST_SEARCHES} search paths"))
    if len(" ".join(searches)) > _LONGEST_SEARCH:
        why = f"must not have more than {_LONGEST_SEARCH} characters (including spaces) in the search list"
        found.append(field.invalid(where, searches, why))
    for index, search in enumerate(searches):
        if search != ".":
            found += values.all_of(where[index], search.removesuffix("."), content.search_domain(search.removesuffix(".")))
    for index, option in enumerate(config.get("options") or []):
        if not option.get("name"):
            found.append(field.required(path.child("options")[index], "must not be empty"))
    return found


def _gates(items: list[Object], path: Path) -> Errors:
    found: Errors = []
    seen: set[str] = set()
    for index, gate in enumerate(items):
        name = gate.get("name", "")
        found += metadata.label_name(name, path[index])
        if name in seen:
            found.append(field.duplicate(path[index], name))
        seen.add(name)
    return found


def _pod_level_resources(spec: Object, path: Path) -> Errors:
    whole = spec.get("resources")
    if not whole:
        return []
    found: Errors = []
    if whole.get("claims"):
        found.append(field.forbidden(path.child("claims"), "claims cannot be set for Resources at pod-level"))
    found += resources.requirements(whole, path)
    for name, needed in sorted(qos.requests_of_containers(spec).items()):
        given = (whole.get("requests") or {}).get(name)
        need, have = values.amount(needed), values.amount(given or "0")
        if (given is not None or name in ("cpu", "memory")) and need is not None and have is not None and need > have:
            why = f"must be greater than or equal to aggregate container requests of {needed}"
            found.append(field.invalid(path.child("requests").key(name), str(given or "0"), why))
    for index, container in enumerate(spec.get("containers") or []):
        for name, limit in sorted(((container.get("resources") or {}).get("limits") or {}).items()):
            bound = (whole.get("limits") or {}).get(name)
            one, other = values.amount(limit), values.amount(bound) if bound is not None else None
            if one is not None and other is not None and one > other:
                where = path.child("containers")[index].key(name).child("limits")
                found.append(field.invalid(where, str(limit), f"must be less than or equal to pod limits of {bound}"))
    return found


def _names(spec: Object, path: Path) -> Errors:
    found: Errors = []
    for name, rule in (
        ("serviceAccountName", content.dns_subdomain),
        ("nodeName", content.dns_subdomain),
    ):
        if spec.get(name):
            found += values.all_of(path.child(name), spec[name], rule(spec[name]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT:
        found.append(field.invalid(path.child("activeDeadlineSeconds"), deadline, content.between(1, _MAX_INT)))
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            found += values.all_of(path.child(name), spec[name], content.dns_label(spec[name]))
    found += placement.tolerations(spec.get("tolerations") or [], path.child("tolerations"))
    for index, alias in enumerate(spec.get("hostAliases") or []):
        where = path.child("hostAliases")[index]
        found += values.ip(alias.get("ip", ""), where.child("ip"))
        for number, name in enumerate(alias.get("hostnames") or []):
            found += values.all_of(where.child("hostnames")[number], name, content.dns_subdomain(name))
    for name in ("priorityClassName", "runtimeClassName"):
        if spec.get(name):
            found += values.all_of(path.child(name), spec[name], content.dns_subdomain(spec[name]))
    policy = spec.get("preemptionPolicy")
    if policy is not None:
        found += values.choice(policy, path.child("preemptionPolicy"), ("PreemptLowerPriority", "Never"))
    return found


def pod_spec(spec: Object, path: Path, *, is_pod: bool) -> Errors:
    """A Pod's spec, or (`is_pod` false) a template's."""
    known, found = volumes.volumes(spec.get("volumes") or [], path.child("volumes"))
    context = containers.PodContext(spec, known, is_pod=is_pod)
    found += _resource_claims(spec.get("resourceClaims") or [], path.child("resourceClaims"))
    ordinary = spec.get("containers") or []
    found += containers.containers(ordinary, context, path.child("containers"))
    found += containers.init_containers(spec.get("initContainers") or [], ordinary, context, path.child("initContainers"))
    ephemeral = spec.get("ephemeralContainers") or []
    found += containers.ephemeral_containers(ephemeral, spec, context, path.child("ephemeralContainers"))
    found += _pod_level_resources(spec, path.child("resources"))
    found += _host_network(spec, path, is_pod=is_pod)
    found += values.choice(spec.get("restartPolicy"), path.child("restartPolicy"), ("Always", "OnFailure", "Never"))
    found += values.choice(spec.get("dnsPolicy"), path.child("dnsPolicy"), _DNS_POLICIES)
    found += metadata.labels(spec.get("nodeSelector"), path.child("nodeSelector"))
    found += security.pod(spec.get("securityContext"), path.child("securityContext"))
    found += placement.affinity(spec.get("affinity"), path.child("affinity"))
    found += _dns_config(spec, path.child("dnsConfig"))
    for index, gate in enumerate(spec.get("readinessGates") or []):
        found += metadata.label_name(gate.get("conditionType", ""), path.child("readinessGates")[index].child("conditionType"))
    found += _gates(spec.get("schedulingGates") or [], path.child("schedulingGates"))
    found += placement.topology_spread(spec.get("topologySpreadConstraints") or [], path.child("topologySpreadConstraints"))
    found += _names(spec, path)
    if spec.get("overhead"):
        found += resources.requirements({"limits": spec["overhead"]}, path.child("overhead"))
    return found


def _annotations(obj: Object, path: Path) -> Errors:
    given = obj["metadata"].get("annotations") or {}
    found: Errors = []
    if _MIRROR in given and not obj["spec"].get("nodeName"):
        found.append(field.invalid(path.key(_MIRROR), given[_MIRROR], "must set spec.nodeName if mirror pod annotation is set"))
    cost = given.get(_DELETION_COST)
    if cost is not None:
        unsigned = cost.removeprefix("-")
        if not unsigned.isdecimal() or len(unsigned) > 10 or int(unsigned) > _MAX_INT or (len(unsigned) > 1 and unsigned.startswith("0")):
            found.append(field.invalid(path.key(_DELETION_COST), cost, "must be a 32bit integer"))
    return found


def metadata_and_spec(obj: Object) -> Errors:
    found = metadata.object_meta(obj["metadata"], True, content.dns_subdomain)
    found += _annotations(obj, Path("metadata", "annotations"))
    spec, path = obj.get("spec") or {}, Path("spec")
    found += pod_spec(spec, path, is_pod=True)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes") or []):
            for number, source in enumerate((volume.get("projected") or {}).get("sources") or []):
                if source.get("serviceAccountToken") is not None:
                    where = path.child("volumes")[index].child("projected", "sources")[number].child("serviceAccountToken")
                    found.append(field.forbidden(where, "must not be specified when serviceAccountName is not set"))
    return found + containers.only_for_pods(spec, path)


def create(obj: Object) -> Errors:
    found = metadata_and_spec(obj)
    spec, path = obj.get("spec") or {}, Path("spec")
    if spec.get("ephemeralContainers"):
        found.append(field.forbidden(path.child("ephemeralContainers"), "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        found.append(field.forbidden(path.child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
    return found


def template(value: Object, path: Path) -> Errors:
    """A Pod template: labels, annotations and spec."""
    meta = value.get("metadata") or {}
    found = metadata.labels(meta.get("labels"), path.child("labels"))
    found += metadata.annotation_map(meta.get("annotations"), path.child("annotations"))
    spec = value.get("spec") or {}
    found += pod_spec(spec, path.child("spec"), is_pod=False)
    if spec.get("ephemeralContainers"):
        found.append(field.forbidden(path.child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
    return found
