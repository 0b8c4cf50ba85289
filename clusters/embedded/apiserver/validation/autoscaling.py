"""Validation of HorizontalPodAutoscalers (autoscaling/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, resources, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
# In the order in which the sources are looked at.
_SOURCES = {
    "Object": "object", "External": "external", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource",
}  # fmt: skip
_TARGETS = ("Utilization", "Value", "AverageValue")
_LONGEST_WINDOW = 3600
_LONGEST_PERIOD = 1800


def horizontal_pod_autoscaler(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        found.append(field.invalid(_SPEC.child("minReplicas"), low, "must be greater than or equal to 1"))
    if high == 0:
        found.append(field.required(_SPEC.child("maxReplicas"), "must be set and greater than 0"))
    elif high < 0:
        found.append(field.invalid(_SPEC.child("maxReplicas"), high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        found.append(field.invalid(_SPEC.child("maxReplicas"), high, "must be greater than or equal to `minReplicas`"))
    found += _reference(spec.get("scaleTargetRef") or {}, _SPEC.child("scaleTargetRef"), core=False)
    metrics = spec.get("metrics") or []
    for index, metric in enumerate(metrics):
        found += _metric(metric, _SPEC.child("metrics")[index])
    if low == 0 and not any(each.get("type") in ("Object", "External") for each in metrics):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(field.forbidden(_SPEC.child("metrics"), why))
    for name in ("scaleUp", "scaleDown"):
        found += _scaling((spec.get("behavior") or {}).get(name), _SPEC.child("behavior", name))
    return found


def _reference(target: Object, path: Path, *, core: bool) -> Errors:
    """Another object; one of the core group counts only where `core` says so."""
    found: Errors = []
    for name in ("kind", "name"):
        if not target.get(name):
            found.append(field.required(path.child(name)))
        else:
            found += values.all_of(path.child(name), target[name], content.path_segment(target[name]))
    version = target.get("apiVersion", "")
    if version.count("/") > 1:
        found.append(field.invalid(path.child("apiVersion"), version, f"unexpected GroupVersion string: {version}"))
    elif not core and not version.rpartition("/")[0]:
        found.append(field.invalid(path.child("apiVersion"), version, "apiVersion must specify API group"))
    return found


def _metric(metric: Object, path: Path) -> Errors:
    kind = metric.get("type", "")
    found: Errors = []
    if not kind:
        found.append(field.required(path.child("type"), "must specify a metric source type"))
    unknown = [] if kind in _SOURCES else [field.not_supported(path.child("type"), kind, sorted(_SOURCES))]
    found += unknown
    given = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if given:
        found += _source(given[0], metric[given[0]], path.child(given[0]))
    # The original looks at the type twice.
    found += unknown
    wanted = _SOURCES.get(kind, "")
    if wanted and wanted not in given:
        found.append(field.required(path.child(wanted), "must populate information for the given metric source"))
    if len(given) != 1:
        found += [field.forbidden(path.child(name), "must populate the given metric source only") for name in given if name != wanted]
    return found


def _source(name: str, source: Object, path: Path) -> Errors:
    target, where = source.get("target") or {}, path.child("target")
    found: Errors = []
    if name == "object":
        found += _reference(source.get("describedObject") or {}, path.child("describedObject"), core=True)
    if name in ("object", "external", "pods"):
        found += _identifier(source.get("metric") or {}, path.child("metric", "name"))
    elif not source.get("name"):
        found.append(field.required(path.child("name"), "must specify a resource name"))
    elif name == "containerResource":
        found += resources.container_resource_name(source["name"], path.child("name"))
    if name == "containerResource":
        container = source.get("container", "")
        if container:
            found += values.all_of(path.child("container"), container, content.dns_label(container))
        else:
            found.append(field.required(path.child("container"), "must specify a container"))
    return found + _target(target, where) + _combination(name, target, where)


def _identifier(metric: Object, path: Path) -> Errors:
    name = metric.get("name", "")
    return values.all_of(path, name, content.path_segment(name)) if name else [field.required(path, "must specify a metric name")]


def _target(target: Object, path: Path) -> Errors:
    found: Errors = []
    if not target.get("type"):
        found.append(field.required(path.child("type"), "must specify a metric target type"))
    if target.get("type") not in _TARGETS:
        found.append(field.invalid(path.child("type"), target.get("type", ""), "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        parsed = values.amount(target[name]) if target.get(name) is not None else None
        if parsed is not None and parsed <= 0:
            found.append(field.invalid(path.child(name), target[name], "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        found.append(field.invalid(path.child("averageUtilization"), utilization, "must be greater than 0"))
    return found


def _combination(name: str, target: Object, path: Path) -> Errors:
    """Which of the target's values belong together, for each kind of source."""
    value, average, utilization = (target.get(each) is not None for each in ("value", "averageValue", "averageUtilization"))
    if name == "object" and not value and not average:
        return [field.required(path.child("averageValue"), "must set either a target value or averageValue")]
    if name == "external":
        if not value and not average:
            return [field.required(path.child("averageValue"), "must set either a target value for metric or a per-pod target")]
        if value and average:
            return [field.forbidden(path.child("value"), "may not set both a target value for metric and a per-pod target")]
    if name == "pods" and not average:
        return [field.required(path.child("averageValue"), "must specify a positive target averageValue")]
    if name in ("resource", "containerResource"):
        if not utilization and not average:
            return [field.required(path.child("averageUtilization"), "must set either a target raw value or a target utilization")]
        if utilization and average:
            return [field.forbidden(path.child("averageValue"), "may not set both a target raw value and a target utilization")]
    return []


def _scaling(rules: Object | None, path: Path) -> Errors:
    if rules is None:
        return []
    window, where = rules.get("stabilizationWindowSeconds"), path.child("stabilizationWindowSeconds")
    found: Errors = []
    if window is not None and window < 0:
        found.append(field.invalid(where, window, "must be greater than or equal to zero"))
    if window is not None and window > _LONGEST_WINDOW:
        found.append(field.invalid(where, window, f"must be less than or equal to {_LONGEST_WINDOW}"))
    if rules.get("selectPolicy") not in ("Max", "Min", "Disabled"):
        found.append(field.not_supported(path.child("selectPolicy"), rules.get("selectPolicy"), ("Disabled", "Max", "Min")))
    if not rules.get("policies"):
        found.append(field.required(path.child("policies"), "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or []):
        each = path.child("policies")[index]
        if policy.get("type") not in ("Pods", "Percent"):
            found.append(field.not_supported(each.child("type"), policy.get("type", ""), ("Percent", "Pods")))
        found += values.positive(policy.get("value", 0), each.child("value"))
        found += values.positive(policy.get("periodSeconds", 0), each.child("periodSeconds"))
        if policy.get("periodSeconds", 0) > _LONGEST_PERIOD:
            why = f"must be less than or equal to {_LONGEST_PERIOD}"
            found.append(field.invalid(each.child("periodSeconds"), policy["periodSeconds"], why))
    if rules.get("tolerance") is not None:
        found += values.nonnegative_quantity(rules["tolerance"], path.child("tolerance"))
    return found
