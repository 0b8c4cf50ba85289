"""LimitRanger: a namespace's LimitRanges complete and bound what containers, Pods and claims ask for (plugin/pkg/admission/limitranger)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from clusters.embedded.apiserver.admission.request import AdmissionRequest, Object
from clusters.embedded.errors import ApiError
from kubeobjects import podresources, quantity

_ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = dict[str, str]


def _limits(request: AdmissionRequest) -> Iterator[Object]:
    """The items of all LimitRanges in the request's namespace."""
    for each in request.reader.list("limitranges", request.namespace):
        yield from each["spec"].get("limits") or []


def _concerns(request: AdmissionRequest) -> bool:
    """Pods when they are made; claims when they are made or ask for more."""
    if request.subresource or request.object is None:
        return False
    if request.resource.name == "pods":
        return request.operation == "CREATE"
    return request.resource.name == "persistentvolumeclaims" and request.operation in ("CREATE", "UPDATE")


def admit(request: AdmissionRequest) -> None:
    """Fills in default requests and limits, and notes in an annotation which."""
    if request.resource.name != "pods" or not _concerns(request) or request.object is None:
        return
    limits: Amounts = {}
    requests: Amounts = {}
    for item in _limits(request):
        if item.get("type") == "Container":
            limits.update(item.get("default") or {})
            requests.update(item.get("defaultRequest") or {})
    if not limits and not requests:
        return
    spec, notes = request.object["spec"], []
    for field, kind in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or []:
            notes += _complete(container, kind, requests, limits)
    if notes:
        annotations = request.object["metadata"].get("annotations") or {}
        request.object["metadata"]["annotations"] = {**annotations, _ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}


def _complete(container: Object, kind: str, requests: Amounts, limits: Amounts) -> list[str]:
    resources = container.setdefault("resources", {})
    notes = []
    for field, word, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
        given = resources.get(field) or {}
        missing = {name: amount for name, amount in defaults.items() if name not in given}
        if missing:
            resources[field] = {**given, **missing}
            notes.append(f"{', '.join(sorted(missing))} {word} for {kind} {container.get('name', '')}")
    return notes


def validate(request: AdmissionRequest) -> None:
    """Raises ApiError 403 with everything that is outside the bounds."""
    if not _concerns(request) or request.object is None:
        return
    found: list[str] = []
    for item in _limits(request):
        if request.resource.name == "persistentvolumeclaims":
            if item.get("type") == "PersistentVolumeClaim":
                found += _claim(request.object, item)
        elif item.get("type") == "Container":
            for name in ("containers", "initContainers"):
                for container in request.object["spec"].get(name) or []:
                    resources = container.get("resources") or {}
                    found += _bounds(item, "Container", resources.get("requests") or {}, resources.get("limits") or {})
        elif item.get("type") == "Pod":
            found += _bounds(item, "Pod", podresources.requests(request.object), podresources.limits(request.object))
    if found:
        raise _refusal(request, found)


def _refusal(request: AdmissionRequest, found: list[str]) -> ApiError:
    return request.forbid(found[0] if len(found) == 1 else "[" + ", ".join(dict.fromkeys(found)) + "]")


def _claim(claim: Object, item: Object) -> list[str]:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    kind, found = "PersistentVolumeClaim", []
    for name, bound in sorted((item.get("min") or {}).items()):
        found += _minimum(kind, name, bound, requests, {})
    for name, bound in sorted((item.get("max") or {}).items()):
        # A claim has no limit: what it asks for is what is bounded above.
        if name in requests and quantity.parse(requests[name]) > quantity.parse(bound):
            found.append(f"maximum {name} usage per {kind} is {bound}, but request is {requests[name]}")
    return found


def _bounds(item: Object, kind: str, requests: Amounts, limits: Amounts) -> list[str]:
    found = []
    for name, bound in sorted((item.get("min") or {}).items()):
        found += _minimum(kind, name, bound, requests, limits)
    for name, bound in sorted((item.get("max") or {}).items()):
        found += _maximum(kind, name, bound, requests, limits)
    for name, ratio in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        found += _ratio(kind, name, ratio, requests, limits)
    return found


def _minimum(kind: str, name: str, bound: str, requests: Amounts, limits: Amounts) -> list[str]:
    least = quantity.parse(bound)
    if name not in requests:
        return [f"minimum {name} usage per {kind} is {bound}.  No request is specified"]
    found = []
    if quantity.parse(requests[name]) < least:
        found.append(f"minimum {name} usage per {kind} is {bound}, but request is {requests[name]}")
    elif name in limits and quantity.parse(limits[name]) < least:
        found.append(f"minimum {name} usage per {kind} is {bound}, but limit is {limits[name]}")
    return found


def _maximum(kind: str, name: str, bound: str, requests: Amounts, limits: Amounts) -> list[str]:
    most = quantity.parse(bound)
    if name not in limits:
        return [f"maximum {name} usage per {kind} is {bound}.  No limit is specified"]
    if quantity.parse(limits[name]) > most:
        return [f"maximum {name} usage per {kind} is {bound}, but limit is {limits[name]}"]
    if name in requests and quantity.parse(requests[name]) > most:
        return [f"maximum {name} usage per {kind} is {bound}, but request is {requests[name]}"]
    return []


def _ratio(kind: str, name: str, ratio: str, requests: Amounts, limits: Amounts) -> list[str]:
    request = quantity.parse(requests[name]) if name in requests else Decimal(0)
    limit = quantity.parse(limits[name]) if name in limits else Decimal(0)
    words = f"{name} max limit to request ratio per {kind} is {ratio}"
    if not request:
        return [f"{words}, but no request is specified or request is 0"]
    if not limit:
        return [f"{words}, but no limit is specified or limit is 0"]
    observed = limit / request
    return [f"{words}, but provided ratio is {float(observed):f}"] if observed > quantity.parse(ratio) else []
