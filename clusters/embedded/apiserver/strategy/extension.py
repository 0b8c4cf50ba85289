"""The strategies of CustomResourceDefinitions and Leases."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object

_COORDINATED = ("strategy", "preferredHolder")


def create_custom_resource_definition(obj: Object, _: Context) -> None:
    """What the status says before any controller has looked."""
    stored = [each["name"] for each in obj["spec"].get("versions") or [] if each.get("storage") and each.get("name")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def update_custom_resource_definition(new: Object, _: Object, __: Context) -> None:
    """A version that becomes the one that is stored is remembered: objects may be stored in it from now on."""
    stored: list[str] = (new.get("status") or {}).get("storedVersions") or []
    added = [
        each["name"] for each in new["spec"].get("versions") or [] if each.get("storage") and each.get("name") not in (None, "", *stored)
    ]
    if added:
        new["status"] = {**new["status"], "storedVersions": [*stored, added[0]]}


def create_lease(obj: Object, _: Context) -> None:
    """Drops what only coordinated leader election looks at: its feature gate is off."""
    for name in _COORDINATED:
        obj.get("spec", {}).pop(name, None)


def update_lease(new: Object, old: Object, _: Context) -> None:
    for name in _COORDINATED:
        if (old.get("spec") or {}).get(name) is None:
            new.get("spec", {}).pop(name, None)


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): create_custom_resource_definition,
    ("coordination.k8s.io/v1", "Lease"): create_lease,
}
UPDATE: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): update_custom_resource_definition,
    ("coordination.k8s.io/v1", "Lease"): update_lease,
}
