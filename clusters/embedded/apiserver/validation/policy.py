"""Validation of disruption budgets, priority classes and runtime classes."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, metadata, placement, resources, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def pod_disruption_budget(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        names = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
        internal = {f"{name[0].upper()}{name[1:]}": spec.get(name) for name in names}
        found.append(field.invalid(_SPEC, internal, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            found += values.int_or_percent(spec[name], _SPEC.child(name))
            found += values.not_over_hundred(spec[name], _SPEC.child(name))
    found += metadata.label_selector(spec.get("selector"), _SPEC.child("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        found.append(field.not_supported(_SPEC.child("unhealthyPodEvictionPolicy"), policy, ("AlwaysAllow", "IfHealthyBudget")))
    return found


def priority_class(obj: Object) -> Errors:
    found: Errors = []
    name = obj["metadata"].get("name", "")
    if name.startswith("system-"):
        unlike = _unlike_system_class(name, obj)
        if unlike:
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            found.append(field.forbidden(Path("metadata", "name"), f"{why}{unlike}"))
    elif (obj.get("value") or 0) > _HIGHEST_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
        found.append(field.forbidden(Path("value"), why))
    policy = obj.get("preemptionPolicy")
    if policy is not None:
        found += values.choice(policy, Path("preemptionPolicy"), ("PreemptLowerPriority", "Never"))
    return found


def _unlike_system_class(name: str, obj: Object) -> str:
    """Why this is none of the classes that Kubernetes has itself (scheduling/v1 IsKnownSystemPriorityClass); "" where it is one."""
    value = _SYSTEM_CLASSES.get(name)
    if value is None:
        return f"{name} is not a known system priority class"
    if (obj.get("value") or 0) != value:
        return f"value of {name} PriorityClass must be {value}"
    return f"globalDefault of {name} PriorityClass must be false" if obj.get("globalDefault") else ""


def priority_class_update(new: Object, old: Object) -> Errors:
    found: Errors = []
    if new.get("value") != old.get("value"):
        found.append(field.forbidden(Path("value"), "may not be changed in an update."))
    return found + metadata.immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), Path("preemptionPolicy"))


def runtime_class(obj: Object) -> Errors:
    """node/validation ValidateRuntimeClass."""
    handler, path = obj.get("handler", ""), Path("handler")
    found = values.all_of(path, handler, content.dns_label(handler)) if handler else [field.required(path)]
    if obj.get("overhead") is not None:
        found += resources.requirements({"limits": obj["overhead"].get("podFixed")}, Path("overhead"))
    if obj.get("scheduling") is not None:
        found += _scheduling(obj["scheduling"], Path("scheduling"))
    return found


def _scheduling(scheduling: Object, path: Path) -> Errors:
    found = metadata.labels(scheduling.get("nodeSelector"), path.child("nodeSelector"))
    tolerations, path = scheduling.get("tolerations") or [], path.child("tolerations")
    found += placement.tolerations(tolerations, path)
    seen = set()
    for index, each in enumerate(tolerations):
        identity = tuple(each.get(name) or "" for name in ("key", "operator", "value", "effect"))
        if identity in seen:
            found.append(field.duplicate(path[index], _internal(each)))
        seen.add(identity)
    return found


def _internal(toleration: Object) -> Object:
    """A toleration as the server's own type serialises it: by the names of Go's fields, with what is empty."""
    texts = {name: toleration.get(name.lower(), "") for name in ("Key", "Operator", "Value", "Effect")}
    return {**texts, "TolerationSeconds": toleration.get("tolerationSeconds")}


def runtime_class_update(new: Object, old: Object) -> Errors:
    return [] if same(new.get("handler"), old.get("handler")) else [field.invalid(Path("handler"), new.get("handler"), content.IMMUTABLE)]
