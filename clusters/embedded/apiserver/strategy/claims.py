"""The strategies of ResourceClaims and their templates (registry/resource)."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy.context import Context
from clusters.embedded.errors import FieldError, invalid
from kubeobjects import Object

_GROUP, _VERSION = "resource.k8s.io", "resource.k8s.io/v1"
ADMIN_LABEL = "resource.kubernetes.io/admin-access"
_NOT_FOR_ADMINS = f"Forbidden: admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"


def create_claim(obj: Object, context: Context) -> None:
    _check_admin_access(obj, _asking_for_admin(obj.get("spec") or {}), context)


def create_template(obj: Object, context: Context) -> None:
    _check_admin_access(obj, _asking_for_admin((obj.get("spec") or {}).get("spec") or {}), context)


def _asking_for_admin(spec: Object) -> str:
    """The place of the first request for devices that others have already, or ""."""
    for index, request in enumerate((spec.get("devices") or {}).get("requests") or []):
        if (request.get("exactly") or {}).get("adminAccess"):
            return f"spec.devices.requests[{index}].adminAccess"
    return ""


def _check_admin_access(obj: Object, place: str, context: Context) -> None:
    """Only namespaces that an administrator has marked may look at devices in use. Raises ApiError 422."""
    if not place:
        return
    namespace = context.reader.get("namespaces", obj["metadata"].get("namespace") or "") or {"metadata": {}}
    if (namespace["metadata"].get("labels") or {}).get(ADMIN_LABEL) != "true":
        cause = FieldError(place, "FieldValueForbidden", _NOT_FOR_ADMINS)
        raise invalid(obj["kind"], _GROUP, obj["metadata"].get("name") or "", [cause])


def update_claim_status(new: Object, old: Object, context: Context) -> None:
    """Forgets what drivers said of devices that the claim has given back."""
    results = _results(new)
    granted = next((index for index, each in enumerate(results) if each.get("adminAccess")), None)
    if granted is not None and not any(each.get("adminAccess") for each in _results(old)):
        _check_admin_access(new, f"status.allocation.devices.results[{granted}].adminAccess", context)
    status = new.get("status") or {}
    gone = {_device(each) for each in _results(old)} - {_device(each) for each in results}
    left = [each for each in status.get("devices") or [] if _device(each) not in gone]
    if left:
        status["devices"] = left
    else:
        status.pop("devices", None)


def _results(claim: Object) -> list[Object]:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    return (allocation.get("devices") or {}).get("results") or []


def _device(entry: Object) -> tuple[str | None, ...]:
    return tuple(entry.get(name) for name in ("driver", "pool", "device", "shareID"))


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {
    (_VERSION, "ResourceClaim"): create_claim,
    (_VERSION, "ResourceClaimTemplate"): create_template,
}
STATUS: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {(_VERSION, "ResourceClaim"): update_claim_status}
