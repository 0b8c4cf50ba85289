"""Validation of what governs others: quotas, limit ranges, disruption budgets, autoscalers, priority and runtime classes."""

from __future__ import annotations

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation import content, field, metadata, resources, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
_HIGHEST_USER_PRIORITY = 1_000_000_000
_METRIC_SOURCES = {
    "Resource": "resource", "Pods": "pods", "Object": "object", "External": "external", "ContainerResource": "containerResource",
}  # fmt: skip


def resource_quota(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    for name, value in sorted((spec.get("hard") or {}).items()):
        where = _SPEC.child("hard").key(name)
        found += resources.quota_resource_name(name, where)
        # What counts devices is named requests.<device>.
        found += resources.amount(name.removeprefix("requests.") if "/" in name else name, value, where)
    for scope in spec.get("scopes") or []:
        if scope not in _SCOPES:
            found.append(field.invalid(_SPEC.child("scopes"), spec["scopes"], "unsupported scope"))
    return found


def resource_quota_update(new: Object, old: Object) -> Errors:
    before = sorted((old.get("spec") or {}).get("scopes") or [])
    after = (new.get("spec") or {}).get("scopes") or []
    return [] if sorted(after) == before else [field.invalid(_SPEC.child("scopes"), after, content.IMMUTABLE)]


def limit_range(obj: Object) -> Errors:
    found: Errors = []
    seen: set[str] = set()
    for index, limit in enumerate((obj.get("spec") or {}).get("limits") or []):
        path, kind = _SPEC.child("limits")[index], limit.get("type", "")
        if kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            found += values.all_of(path.child("type"), kind, content.qualified_name(kind))
        if kind in seen:
            found.append(field.duplicate(path.child("type"), kind))
        seen.add(kind)
        found += _limit(limit, kind, path)
    return found


def _limit(limit: Object, kind: str, path: Path) -> Errors:
    found: Errors = []
    parts = {name: limit.get(name) or {} for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")}
    names = sorted({name for part in parts.values() for name in part})
    if kind == "Pod":
        for name in ("default", "defaultRequest"):
            if parts[name]:
                found.append(field.forbidden(path.child(name), "may not be specified when `type` is 'Pod'"))
    if kind == "PersistentVolumeClaim" and not (parts["max"].get("storage") or parts["min"].get("storage")):
        found.append(field.required(path, "either minimum or maximum storage value is required, but neither was provided"))
    for name in names:
        found += resources.limit_range_resource_name(name, path.key(name))
        found += _order(name, parts, path)
    return found


# (smaller, larger, where the message stands)
_ORDERED = (
    ("min", "max", "min"),
    ("min", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest"),
    ("min", "default", "default"),
    ("default", "max", "default"),
)
_WORDS = {
    ("min", "max"): "min value {} is greater than max value {}",
    ("min", "defaultRequest"): "min value {} is greater than default request value {}",
    ("defaultRequest", "max"): "default request value {} is greater than max value {}",
    ("defaultRequest", "default"): "default request value {} is greater than default limit value {}",
    ("min", "default"): "min value {} is greater than default value {}",
    ("default", "max"): "default value {} is greater than max value {}",
}


def _order(name: str, parts: dict[str, Object], path: Path) -> Errors:
    found: Errors = []
    for small, large, where in _ORDERED:
        if name not in parts[small] or name not in parts[large]:
            continue
        one, other = values.amount(parts[small][name]), values.amount(parts[large][name])
        if one is not None and other is not None and one > other:
            why = _WORDS[small, large].format(parts[small][name], parts[large][name])
            found.append(field.invalid(path.child(where).key(name), str(parts[where][name]), why))
    ratio = parts["maxLimitRequestRatio"].get(name)
    amount = values.amount(ratio) if ratio is not None else None
    if amount is not None and amount < 1:
        found.append(field.invalid(path.child("maxLimitRequestRatio").key(name), str(ratio), f"ratio {ratio} is less than 1"))
    return found


def pod_disruption_budget(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        found.append(field.invalid(_SPEC, spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            found += values.int_or_percent(spec[name], _SPEC.child(name))
            found += values.not_over_hundred(spec[name], _SPEC.child(name))
    found += metadata.label_selector(spec.get("selector"), _SPEC.child("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        found.append(field.not_supported(_SPEC.child("unhealthyPodEvictionPolicy"), policy, ("AlwaysAllow", "IfHealthyBudget")))
    return found


def horizontal_pod_autoscaler(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        found.append(field.invalid(_SPEC.child("minReplicas"), low, "must be greater than or equal to 1"))
    if high < 1:
        found.append(field.invalid(_SPEC.child("maxReplicas"), high, "must be greater than 0"))
    if low is not None and high < low:
        found.append(field.invalid(_SPEC.child("maxReplicas"), high, "must be greater than or equal to `minReplicas`"))
    target, where = spec.get("scaleTargetRef") or {}, _SPEC.child("scaleTargetRef")
    for name in ("kind", "name"):
        if not target.get(name):
            found.append(field.required(where.child(name)))
        else:
            found += values.all_of(where.child(name), target[name], content.path_segment(target[name]))
    for index, metric in enumerate(spec.get("metrics") or []):
        found += _metric(metric, _SPEC.child("metrics")[index])
    for name in ("scaleUp", "scaleDown"):
        found += _scaling((spec.get("behavior") or {}).get(name), _SPEC.child("behavior", name))
    return found


def _metric(metric: Object, path: Path) -> Errors:
    kind = metric.get("type", "")
    if not kind:
        return [field.required(path.child("type"), "must specify a metric source type")]
    if kind not in _METRIC_SOURCES:
        return [field.not_supported(path.child("type"), kind, sorted(_METRIC_SOURCES))]
    name = _METRIC_SOURCES[kind]
    source = metric.get(name)
    if source is None:
        return [field.required(path.child(name), "must populate information for the given metric source")]
    found: Errors = []
    where = path.child(name)
    if "esource" in name and not source.get("name"):
        found.append(field.required(where.child("name"), "must specify a resource name"))
    target = source.get("target") or {}
    if target.get("type") not in ("Utilization", "Value", "AverageValue"):
        why = "must be either Utilization, Value, or AverageValue"
        found.append(field.invalid(where.child("target", "type"), target.get("type", ""), why))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        found.append(field.invalid(where.child("target", "averageUtilization"), utilization, "must be greater than 0"))
    for amount in ("value", "averageValue"):
        parsed = values.amount(target[amount]) if target.get(amount) is not None else None
        if parsed is not None and parsed <= 0:
            found.append(field.invalid(where.child("target", amount), target[amount], "must be positive"))
    if name in ("resource", "containerResource") and utilization is None and target.get("averageValue") is None:
        why = "must set either a target raw value or a target utilization"
        found.append(field.required(where.child("target", "averageUtilization"), why))
    return found


def _scaling(rules: Object | None, path: Path) -> Errors:
    if rules is None:
        return []
    found = values.nonnegative(rules.get("stabilizationWindowSeconds"), path.child("stabilizationWindowSeconds"))
    if (rules.get("stabilizationWindowSeconds") or 0) > 3600:
        where = path.child("stabilizationWindowSeconds")
        found.append(field.invalid(where, rules["stabilizationWindowSeconds"], "must be less than or equal to 3600"))
    if rules.get("selectPolicy") not in ("Max", "Min", "Disabled"):
        found.append(field.not_supported(path.child("selectPolicy"), rules.get("selectPolicy"), ("Disabled", "Max", "Min")))
    if not rules.get("policies"):
        found.append(field.required(path.child("policies"), "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or []):
        where = path.child("policies")[index]
        if policy.get("type") not in ("Pods", "Percent"):
            found.append(field.not_supported(where.child("type"), policy.get("type", ""), ("Percent", "Pods")))
        found += values.positive(policy.get("value", 0), where.child("value"))
        found += values.positive(policy.get("periodSeconds", 0), where.child("periodSeconds"))
        if policy.get("periodSeconds", 0) > 1800:
            found.append(field.invalid(where.child("periodSeconds"), policy["periodSeconds"], "must be less than or equal to 1800"))
    return found


def priority_class(obj: Object) -> Errors:
    found: Errors = []
    name = obj["metadata"].get("name", "")
    if name.startswith("system-"):
        if name not in ("system-node-critical", "system-cluster-critical"):
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            found.append(field.forbidden(Path("metadata", "name"), f"{why}{name} is not a known system priority class"))
    elif (obj.get("value") or 0) > _HIGHEST_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        found.append(field.forbidden(Path("value"), why))
    policy = obj.get("preemptionPolicy")
    if policy is not None:
        found += values.choice(policy, Path("preemptionPolicy"), ("PreemptLowerPriority", "Never"))
    return found


def priority_class_update(new: Object, old: Object) -> Errors:
    found: Errors = []
    if new.get("value") != old.get("value"):
        found.append(field.forbidden(Path("value"), "may not be changed in an update."))
    return found + metadata.immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), Path("preemptionPolicy"))


def runtime_class(obj: Object) -> Errors:
    handler = obj.get("handler", "")
    if not handler:
        return [field.required(Path("handler"))]
    return values.all_of(Path("handler"), handler, content.dns_label(handler))


def runtime_class_update(new: Object, old: Object) -> Errors:
    return [] if same(new.get("handler"), old.get("handler")) else [field.invalid(Path("handler"), new.get("handler"), content.IMMUTABLE)]
