"""Where a Pod may run: node selectors, affinity, tolerations, taints, topology spread."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Equal", "Exists")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")


def _node_requirement(requirement: Object, path: Path, *, strict: bool) -> Errors:
    found: Errors = []
    operator, given = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not given:
            found.append(field.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if given:
            found.append(field.forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt"):
        if len(given) != 1:
            found.append(field.required(path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        found.append(field.invalid(path.child("operator"), operator, "not a valid selector operator"))
    found += metadata.label_name(requirement.get("key", ""), path.child("key"))
    if strict:
        for index, value in enumerate(given):
            found += values.all_of(path.child("values")[index], value, content.label_value(value))
    return found


def _node_field(requirement: Object, path: Path) -> Errors:
    found: Errors = []
    operator, given, key = requirement.get("operator", ""), requirement.get("values") or [], requirement.get("key", "")
    if operator not in ("In", "NotIn"):
        found.append(field.invalid(path.child("operator"), operator, "not a valid selector operator"))
    elif len(given) != 1:
        found.append(
            field.required(path.child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
        )
    if key != "metadata.name":
        found.append(field.invalid(path.child("key"), key, "not a valid field selector key"))
    else:
        for index, value in enumerate(given):
            found += values.all_of(path.child("values")[index], value, content.dns_subdomain(value))
    return found


def _node_term(term: Object, path: Path, *, strict: bool) -> Errors:
    found: Errors = []
    for index, requirement in enumerate(term.get("matchExpressions") or []):
        found += _node_requirement(requirement, path.child("matchExpressions")[index], strict=strict)
    for index, requirement in enumerate(term.get("matchFields") or []):
        found += _node_field(requirement, path.child("matchFields")[index])
    return found


def node_selector(selector: Object, path: Path) -> Errors:
    terms = selector.get("nodeSelectorTerms") or []
    where = path.child("nodeSelectorTerms")
    if not terms:
        return [field.required(where, "must have at least one node selector term")]
    return [error for index, term in enumerate(terms) for error in _node_term(term, where[index], strict=True)]


def _weight(term: Object, path: Path) -> Errors:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [field.invalid(path.child("weight"), weight, "must be in the range 1-100")]


def _pod_term(term: Object, path: Path) -> Errors:
    found = metadata.label_selector(term.get("labelSelector"), path.child("labelSelector"))
    found += metadata.label_selector(term.get("namespaceSelector"), path.child("namespaceSelector"))
    for name in term.get("namespaces") or []:
        found += values.all_of(path.child("namespace"), name, content.dns_label(name))
    key = term.get("topologyKey", "")
    if not key:
        found.append(field.required(path.child("topologyKey"), "can not be empty"))
    return found + metadata.label_name(key, path.child("topologyKey"))


def affinity(value: Object | None, path: Path) -> Errors:
    if value is None:
        return []
    found: Errors = []
    node = value.get("nodeAffinity") or {}
    where = path.child("nodeAffinity")
    if node.get(_REQUIRED) is not None:
        found += node_selector(node[_REQUIRED], where.child(_REQUIRED))
    for index, term in enumerate(node.get(_PREFERRED) or []):
        here = where.child(_PREFERRED)[index]
        found += _weight(term, here) + _node_term(term.get("preference") or {}, here.child("preference"), strict=False)
    for name in ("podAffinity", "podAntiAffinity"):
        pods, where = value.get(name) or {}, path.child(name)
        for index, term in enumerate(pods.get(_REQUIRED) or []):
            found += _pod_term(term, where.child(_REQUIRED)[index])
        for index, term in enumerate(pods.get(_PREFERRED) or []):
            here = where.child(_PREFERRED)[index]
            found += _weight(term, here) + _pod_term(term.get("podAffinityTerm") or {}, here.child("podAffinityTerm"))
    return found


def effect(value: str | None, path: Path) -> Errors:
    if not value:
        return [field.required(path)]
    return [] if value in _EFFECTS else [field.not_supported(path, value, _EFFECTS)]


def tolerations(items: list[Object], path: Path) -> Errors:
    found: Errors = []
    for index, each in enumerate(items):
        where = path[index]
        key, operator, value = each.get("key", ""), each.get("operator", ""), each.get("value", "")
        if key:
            found += metadata.label_name(key, where.child("key"))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(field.invalid(where.child("operator"), operator, why))
        if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(field.invalid(where.child("effect"), each.get("effect", ""), why))
        if operator in ("Equal", ""):
            reasons = content.label_value(value)
            if reasons:
                found.append(field.invalid(where.child("operator"), value, ";".join(reasons)))
        elif operator == "Exists":
            if value:
                found.append(field.invalid(where.child("operator"), value, "value must be empty when `operator` is 'Exists'"))
        else:
            found.append(field.not_supported(where.child("operator"), operator, _OPERATORS))
        if each.get("effect"):
            found += effect(each["effect"], where.child("effect"))
    return found


def taints(items: list[Object], path: Path) -> Errors:
    """`spec.taints` of a Node: one effect of a kind for each key."""
    found: Errors = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(items):
        where, key = path[index], taint.get("key", "")
        found += metadata.label_name(key, where.child("key"))
        reasons = content.label_value(taint.get("value", ""))
        if reasons:
            found.append(field.invalid(where.child("value"), taint.get("value"), ";".join(reasons)))
        found += effect(taint.get("effect"), where.child("effect"))
        identity = (key, taint.get("effect", ""))
        if identity in seen:
            internal = {"Key": key, "Value": taint.get("value", ""), "Effect": taint.get("effect", ""), "TimeAdded": taint.get("timeAdded")}
            found.append(field.duplicate(where, internal, "taints must be unique by key and effect pair"))
        seen.add(identity)
    return found


def topology_spread(items: list[Object], path: Path) -> Errors:
    found: Errors = []
    pairs = [(each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in items]
    for index, each in enumerate(items):
        where, (key, action) = path[index], pairs[index]
        found += values.positive(each.get("maxSkew", 0), where.child("maxSkew"))
        if not key:
            found.append(field.required(where.child("topologyKey"), "can not be empty"))
        if action not in _UNSATISFIABLE:
            found.append(field.not_supported(where.child("whenUnsatisfiable"), action, _UNSATISFIABLE))
        if pairs[index] in pairs[index + 1 :]:
            found.append(field.duplicate(where.child("{topologyKey, whenUnsatisfiable}"), f"{{{key}, {action}}}"))
        domains = each.get("minDomains")
        found += values.positive(domains, where.child("minDomains"))
        if domains is not None and action != "DoNotSchedule":
            why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            found.append(field.invalid(where.child("minDomains"), domains, why))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if each.get(name) is not None and each[name] not in ("Honor", "Ignore"):
                found.append(field.not_supported(where.child(name), each[name], ("Honor", "Ignore")))
        found += metadata.label_selector(each.get("labelSelector"), where.child("labelSelector"))
    return found
