"""Priority: the name of a priority class becomes a number, and there is at most one default class."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest, Object

_CLASSES = "priorityclasses.scheduling.k8s.io"
_SYSTEM_CRITICAL = "system-"


def admit(request: AdmissionRequest) -> None:
    if request.resource.name != "pods" or request.subresource or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    if request.operation == "UPDATE":
        # What was resolved when the Pod was made stays.
        before = (request.old or {}).get("spec") or {}
        for name in ("priority", "preemptionPolicy"):
            if spec.get(name) is None and before.get(name) is not None:
                spec[name] = before[name]
        return
    if request.operation != "CREATE":
        return
    name = spec.get("priorityClassName")
    found: Object | None
    if name:
        found = request.reader.get(_CLASSES, name)
        if found is None:
            raise request.forbid(f"no PriorityClass with name {name} was found")
    else:
        found = _default(request)
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    value = (found or {}).get("value") or 0
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    if spec.get("priority") is not None and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission controller computed "
        )
        raise request.forbid(f"{why}{value} from the given PriorityClass name")
    if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
        why = f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; priority admission "
        raise request.forbid(f"{why}controller computed {policy} from the given PriorityClass name")
    spec["priority"], spec["preemptionPolicy"] = value, policy


def _default(request: AdmissionRequest) -> Object | None:
    """The default class; the lowest of them where several call themselves that."""
    defaults = [each for each in request.reader.list(_CLASSES) if each.get("globalDefault")]
    return min(defaults, key=lambda each: each.get("value", 0), default=None)


def validate(request: AdmissionRequest) -> None:
    if request.resource.name != _CLASSES or request.object is None or not request.object.get("globalDefault"):
        return
    name = request.object["metadata"].get("name")
    for other in request.reader.list(_CLASSES):
        if other.get("globalDefault") and other["metadata"]["name"] != name:
            why = f"PriorityClass {other['metadata']['name']} is already marked as default. Only one default can exist"
            raise request.forbid(why)
