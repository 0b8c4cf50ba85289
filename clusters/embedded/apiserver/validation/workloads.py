"""Validation of Deployments, ReplicaSets, DaemonSets and ReplicationControllers (apps/validation, core/validation)."""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded.apiserver.validation import content, field, metadata, pods, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.errors import FieldError
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_EMPTY_SELECTOR = "empty selector is invalid for {}"


def selector_field(spec: Object, what: str) -> Errors:
    """Required, whole, and not empty; `what` is the kind in lower case as messages have it."""
    path, selector = _SPEC.child("selector"), spec.get("selector")
    if selector is None:
        return [field.required(path)]
    found = metadata.label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(field.invalid(path, selector, _EMPTY_SELECTOR.format(what)))
    return found


def _matching_template(spec: Object, what: str, invalid_selector: str) -> Errors:
    """The template, and whether the selector matches it; a selector that is none hides the template (LabelSelectorAsSelector)."""
    selector = spec.get("selector")
    if metadata.label_selector(selector, _SPEC.child("selector")):
        return [field.invalid(_SPEC.child("selector"), selector, invalid_selector)]
    return mismatch(spec, selector) + _template(spec, what)


def mismatch(spec: Object, selector: Object | None) -> Errors:
    labels = metadata.template_labels(spec)
    if metadata.selects(selector, labels):
        return []
    where = _SPEC.child("template", "metadata", "labels")
    return [field.invalid(where, labels or None, "`selector` does not match template `labels`")]


def _template(spec: Object, what: str) -> Errors:
    """The template is valid, and restarts as a workload needs it; `what` is the kind in messages."""
    template = spec.get("template") or {}
    return pods.template(template, _SPEC.child("template")) + runs_forever(template.get("spec") or {}, what)


def runs_forever(pod: Object, what: str) -> Errors:
    where, found = _SPEC.child("template", "spec"), list[FieldError]()
    if pod.get("restartPolicy") != "Always":
        found.append(field.not_supported(where.child("restartPolicy"), pod.get("restartPolicy", ""), ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        found.append(field.forbidden(where.child("activeDeadlineSeconds"), f"activeDeadlineSeconds in {what} is not Supported"))
    return found


def amount_of(value: Any) -> int:
    """A count, or the number before the percent sign; 0 for text that is neither (getIntOrPercentValue)."""
    percentage = values.share(value)
    if percentage is not None:
        return percentage
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?[0-9]+", value) else 0
    return int(value or 0)


def _rolling_deployment(rolling: Object, path: Path) -> Errors:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = values.int_or_percent(unavailable, path.child("maxUnavailable"))
    found += values.int_or_percent(surge, path.child("maxSurge"))
    if not amount_of(unavailable) and not amount_of(surge):
        found.append(field.invalid(path.child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
    return found + values.not_over_hundred(unavailable, path.child("maxUnavailable"))


def internal_strategy(strategy: Object, *names: str) -> Object:
    """A strategy as the internal type shows itself."""
    rolling = strategy.get("rollingUpdate")
    shown = None if rolling is None else {f"{name[0].upper()}{name[1:]}": rolling.get(name) for name in names}
    return {"Type": strategy.get("type", ""), "RollingUpdate": shown}


def _deployment_strategy(strategy: Object, path: Path) -> Errors:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [field.forbidden(path.child("rollingUpdate"), why)] if rolling is not None else []
    if kind == "RollingUpdate":
        if rolling is None:
            return [field.required(path.child("rollingUpdate"), "this should be defaulted and never be nil")]
        return _rolling_deployment(rolling, path.child("rollingUpdate"))
    return [field.not_supported(path, internal_strategy(strategy, "maxUnavailable", "maxSurge"), ("Recreate", "RollingUpdate"))]


def deployment(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += selector_field(spec, "deployment")
    found += _matching_template(spec, "ReplicaSet", "invalid label selector")
    found += _deployment_strategy(spec.get("strategy") or {}, _SPEC.child("strategy"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += values.nonnegative(spec.get("revisionHistoryLimit"), _SPEC.child("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        found += values.nonnegative(deadline, _SPEC.child("progressDeadlineSeconds"))
        if deadline <= (spec.get("minReadySeconds") or 0):
            found.append(field.invalid(_SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds"))
    return found


def immutable_selector(new: Object, old: Object) -> Errors:
    """Deployment, ReplicaSet and DaemonSet keep the selector they were made with."""
    selector, before = new["spec"].get("selector"), old["spec"].get("selector")
    return [] if same(selector, before) else [field.invalid(_SPEC.child("selector"), selector, content.IMMUTABLE)]


def replica_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    return found + selector_field(spec, "deployment") + _matching_template(spec, "ReplicaSet", "invalid label selector")


def replication_controller(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    selector = spec.get("selector") or {}
    if not selector:
        found.append(field.required(_SPEC.child("selector")))
    found += values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    if spec.get("template") is None:
        return [*found, field.required(_SPEC.child("template"))]
    return found + mismatch(spec, {"matchLabels": selector}) + _template(spec, "ReplicationController")


def daemon_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    path, selector = _SPEC.child("selector"), spec.get("selector")
    found = metadata.label_selector(selector, path)
    if not found:
        found += mismatch(spec, selector)
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(field.invalid(path, selector, _EMPTY_SELECTOR.format("daemonset")))
    found += _template(spec, "DaemonSet")
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += _daemon_strategy(spec.get("updateStrategy") or {}, _SPEC.child("updateStrategy"))
    return found + values.nonnegative(spec.get("revisionHistoryLimit"), _SPEC.child("revisionHistoryLimit"))


def _daemon_strategy(strategy: Object, path: Path) -> Errors:
    kind = strategy.get("type")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = internal_strategy(strategy, "maxUnavailable", "maxSurge")
        return [field.not_supported(path, shown, ("RollingUpdate", "OnDelete"))]
    rolling, where = strategy.get("rollingUpdate"), path.child("rollingUpdate")
    if rolling is None:
        return [field.required(where)]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found: Errors = []
    for check in (values.int_or_percent, values.not_over_hundred):
        found += check(unavailable, where.child("maxUnavailable")) + check(surge, where.child("maxSurge"))
    if amount_of(unavailable) and amount_of(surge):
        found.append(field.invalid(where.child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero"))
    elif not amount_of(unavailable) and not amount_of(surge):
        found.append(field.required(where.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
    return found
