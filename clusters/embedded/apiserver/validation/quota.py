"""Validation of ResourceQuotas and LimitRanges (core/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, resources, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_OF_PODS = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
# What each scope can be put on (core/helper, IsResourceQuotaScopeValidForResource).
_SCOPES = {
    "Terminating": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS,
    "CrossNamespacePodAffinity": _OF_PODS,
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
_ONLY_EXIST = frozenset({"Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity"})
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def resource_quota(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    hard = spec.get("hard") or {}
    for name, value in sorted(hard.items()):
        where = _SPEC.child("hard").key(name)
        found += resources.quota_resource_name(name, where)
        found += resources.amount(name, value, where)
    return found + _scopes(spec, hard) + _scope_selector(spec, hard)


def _scopes(spec: Object, hard: Object) -> Errors:
    found: Errors = []
    path, scopes = _SPEC.child("scopes"), spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            found.append(field.invalid(path, scopes, "unsupported scope"))
        found += [field.invalid(path, scopes, "unsupported scope applied to resource") for _ in _out_of_scope(scope, hard)]
    return found + [field.invalid(path, scopes, "conflicting scopes") for pair in _CONFLICTS if pair <= set(scopes)]


def _out_of_scope(scope: str, hard: Object) -> list[str]:
    """The resources that are counted and that the scope does not apply to."""
    return [name for name in sorted(hard) if resources.is_quota(name) and scope in _SCOPES and name not in _SCOPES[scope]]


def _scope_selector(spec: Object, hard: Object) -> Errors:
    selector = spec.get("scopeSelector")
    if selector is None:
        return []
    found: Errors = []
    path = _SPEC.child("scopeSelector", "matchExpressions")
    expressions = selector.get("matchExpressions") or []
    for each in expressions:
        scope, operator, given = each.get("scopeName", ""), each.get("operator", ""), each.get("values") or []
        if scope not in _SCOPES:
            found.append(field.invalid(path.child("scopeName"), scope, "unsupported scope"))
        internal = {"MatchExpressions": [_internal(one) for one in expressions]}
        found += [field.invalid(path, internal, "unsupported scope applied to resource") for _ in _out_of_scope(scope, hard)]
        if scope in _ONLY_EXIST and operator != "Exists":
            why = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            found.append(field.invalid(path.child("operator"), operator, why))
        found += _operator(operator, given, path)
    scopes = {each.get("scopeName") for each in expressions}
    return found + [field.invalid(path, spec.get("scopes") or None, "conflicting scopes") for pair in _CONFLICTS if pair <= scopes]


def _internal(expression: Object) -> Object:
    """An expression as the internal type shows itself."""
    return {"ScopeName": expression.get("scopeName", ""), "Operator": expression.get("operator", ""), "Values": expression.get("values")}


def _operator(operator: str, given: list[str], path: Path) -> Errors:
    if operator in ("In", "NotIn"):
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [] if given else [field.required(path.child("values"), why)]
    if operator in ("Exists", "DoesNotExist"):
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [field.invalid(path.child("values"), given, why)] if given else []
    return [field.invalid(path.child("operator"), operator, "not a valid selector operator")]


def resource_quota_update(new: Object, old: Object) -> Errors:
    before = sorted((old.get("spec") or {}).get("scopes") or [])
    after = (new.get("spec") or {}).get("scopes") or []
    return [] if sorted(after) == before else [field.invalid(_SPEC.child("scopes"), after, content.IMMUTABLE)]


def limit_range(obj: Object) -> Errors:
    found: Errors = []
    seen: set[str] = set()
    for index, limit in enumerate((obj.get("spec") or {}).get("limits") or []):
        path, kind = _SPEC.child("limits")[index], limit.get("type", "")
        found += _limit_type(kind, path.child("type"))
        if kind in seen:
            found.append(field.duplicate(path.child("type"), kind))
        seen.add(kind)
        found += _limit(limit, kind, path)
    return found


def _limit_type(kind: str, path: Path) -> Errors:
    found = values.all_of(path, kind, content.qualified_name(kind))
    if not found and "/" not in kind and kind not in _LIMIT_TYPES:
        found.append(field.invalid(path, kind, "must be a standard limit type or fully qualified"))
    return found


def _limit(limit: Object, kind: str, path: Path) -> Errors:
    found: Errors = []
    parts = {name: limit.get(name) or {} for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")}
    for part in ("max", "min"):
        found += _names(parts[part], kind, path.child(part))
    for part in ("default", "defaultRequest"):
        if kind != "Pod":
            found += _names(parts[part], kind, path.child(part))
        elif parts[part]:
            found.append(field.forbidden(path.child(part), "may not be specified when `type` is 'Pod'"))
            parts[part] = {}
    if kind == "PersistentVolumeClaim" and "storage" not in parts["max"] and "storage" not in parts["min"]:
        why = "either minimum or maximum storage value is required, but neither was provided"
        found.append(field.required(path.child("limits"), why))
    found += _names(parts["maxLimitRequestRatio"], kind, path.child("maxLimitRequestRatio"))
    for name in sorted({name for part in parts.values() for name in part}):
        found += _order(name, parts, path) + _ratio(name, parts, path.child("maxLimitRequestRatio").key(name))
        one, other = parts["default"].get(name), parts["defaultRequest"].get(name)
        if one is not None and other is not None and not resources.is_overcommitted(name) and values.amount(one) != values.amount(other):
            why = f"default value {one} must equal to defaultRequest value {other} in {name}"
            found.append(field.invalid(path.child("defaultRequest").key(name), other, why))
    return found


def _names(amounts: Object, kind: str, path: Path) -> Errors:
    check = resources.container_resource_name if kind in ("Pod", "Container") else resources.plain_resource_name
    return [error for name in sorted(amounts) for error in check(name, path.key(name))]


# (smaller, larger, where the message stands, whose value it shows, words)
_ORDERED = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value {} is greater than max value {}"),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _order(name: str, parts: dict[str, Object], path: Path) -> Errors:
    found: Errors = []
    for small, large, where, shown, words in _ORDERED:
        if name not in parts[small] or name not in parts[large]:
            continue
        one, other = values.amount(parts[small][name]), values.amount(parts[large][name])
        if one is not None and other is not None and one > other:
            why = words.format(parts[small][name], parts[large][name])
            found.append(field.invalid(path.child(where).key(name), str(parts[shown][name]), why))
    return found


def _ratio(name: str, parts: dict[str, Object], path: Path) -> Errors:
    ratio = parts["maxLimitRequestRatio"].get(name)
    amount = values.amount(ratio) if ratio is not None else None
    if amount is None:
        return []
    found: Errors = []
    if amount < 1:
        found.append(field.invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    low, high = values.amount(parts["min"].get(name, "")), values.amount(parts["max"].get(name, ""))
    if low is not None and high is not None:
        most = float(high) / float(low) if low else float("nan") if not high else float("inf")
        if float(amount) > most:
            found.append(field.invalid(path, str(ratio), f"ratio {ratio} is greater than max/min = {most:f}"))
    return found
