"""ResourceQuota: what a namespace may hold together (k8s.io/apiserver/pkg/admission/plugin/resourcequota).

Usage is counted afresh from the stored objects at every request, so it is never out of date; the new `status.used` is stored in one
write with the object that is admitted.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest, Object
from clusters.embedded.resources import by_name
from kubeobjects import meta, quantity, quota_usage
from kubeobjects.quota_usage import Amounts

_QUOTAS = "resourcequotas"
# Events come and go on their own; reviews are never stored.
_IGNORED_GROUPS = ("authentication.k8s.io", "authorization.k8s.io", "events.k8s.io")


def _concerns(request: AdmissionRequest) -> bool:
    resource = request.resource
    if request.object is None or not request.namespace or resource.group in _IGNORED_GROUPS or resource.name in ("events", "bindings"):
        return False
    if request.operation == "CREATE":
        return not request.subresource
    # What an object uses can change later only for these.
    changes = {"services": "", "persistentvolumeclaims": "", "pods": "resize"}
    return request.operation == "UPDATE" and changes.get(resource.name) == request.subresource


def validate(request: AdmissionRequest) -> None:
    """Raises ApiError 403 for what a quota of the namespace does not allow."""
    if not _concerns(request):
        return
    for quota in sorted(request.reader.list(_QUOTAS, request.namespace), key=lambda each: each["metadata"]["name"]):
        _check(request, quota)


def _check(request: AdmissionRequest, quota: Object) -> None:
    name, obj = request.resource.name, request.object or {}
    hard: Amounts = (quota.get("spec") or {}).get("hard") or {}
    watched = quota_usage.watched(name, hard)
    if not watched or not quota_usage.in_scope(quota, name, obj):
        return
    title = quota["metadata"]["name"]
    missing = quota_usage.unspecified(name, watched, obj)
    if missing:
        listed = "; ".join(f"{resource} for: {','.join(sorted(containers))}" for resource, containers in sorted(missing.items()))
        raise request.forbid(f"failed quota: {title}: must specify {listed}")
    asked = {each: amount for each, amount in quota_usage.of(name, obj).items() if each in watched}
    if request.operation == "UPDATE" and request.old is not None and quota_usage.in_scope(quota, name, request.old):
        asked = _increase(asked, quota_usage.of(name, request.old))
    asked = {each: amount for each, amount in asked.items() if quantity.parse(amount) > 0}
    if not asked:
        return
    used = quota_usage.used(quota, by_name(), lambda resource: request.reader.list(resource, request.namespace))
    after = {**used, **{each: quantity.add(used[each], amount) for each, amount in asked.items()}}
    exceeded = sorted(each for each in asked if quantity.parse(after[each]) > quantity.parse(hard[each]))
    if exceeded:
        shown = (_listed(amounts, exceeded) for amounts in (asked, used, hard))
        requested, have, limited = shown
        raise request.forbid(f"exceeded quota: {title}, requested: {requested}, used: {have}, limited: {limited}")
    if not request.dry_run:
        changed = meta.copy(quota)
        changed["status"] = {"hard": dict(hard), "used": after}
        request.updates.append((_QUOTAS, changed))


def _increase(asked: Amounts, before: Amounts) -> Amounts:
    grown = {}
    for name, amount in asked.items():
        difference = quantity.parse(amount) - quantity.parse(before.get(name, "0"))
        if difference > 0:
            grown[name] = quantity.canonical(str(difference)) if name in before else amount
    return grown


def _listed(amounts: Amounts, names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)
