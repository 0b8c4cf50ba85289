"""Names and amounts of compute resources: containers, Pods, quotas, limit ranges (core/validation and apis/core/helper)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.resource_names import HUGE_PAGES, is_huge_page, is_native

_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset({
    "pods", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas",
    "services.loadbalancers", "services.nodeports",
})  # fmt: skip
_QUOTA = _COUNTED | {
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage",
}  # fmt: skip
_STANDARD = _QUOTA | {"storage"}


def is_extended(name: str) -> bool:
    """A device plugin's resource such as nvidia.com/gpu."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not content.qualified_name(f"requests.{name}")


def is_overcommitted(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def is_quota(name: str) -> bool:
    """A resource that a quota can be set on by its own name (IsStandardQuotaResourceName)."""
    return name in _QUOTA or is_huge_page(name) or name.startswith(f"requests.{HUGE_PAGES}")


def _standard(name: str) -> bool:
    return name in _STANDARD or is_huge_page(name) or name.startswith(f"requests.{HUGE_PAGES}")


def _name(value: str, path: Path) -> Errors:
    found = values.all_of(path, value, content.qualified_name(value))
    if not found and "/" not in value and not _standard(value):
        found.append(field.invalid(path, value, "must be a standard resource type or fully qualified"))
    return found


def container_resource_name(value: str, path: Path) -> Errors:
    found = _name(value, path)
    if "/" not in value:
        if value not in _CONTAINER and not is_huge_page(value):
            found.append(field.invalid(path, value, "must be a standard resource for containers"))
    elif not is_native(value) and not is_extended(value):
        found.append(field.invalid(path, value, "doesn't follow extended resource name standard"))
    return found


def quota_resource_name(value: str, path: Path) -> Errors:
    found = _name(value, path)
    if "/" not in value and not is_quota(value):
        found.append(field.invalid(path, value, "must be a standard resource for quota"))
    return found


def plain_resource_name(value: str, path: Path) -> Errors:
    return _name(value, path)


def amount(name: str, value: Any, path: Path) -> Errors:
    """Not negative, and whole for what can only be counted."""
    found = values.nonnegative_quantity(value, path)
    parsed = values.amount(value)
    if (name in _COUNTED or is_extended(name)) and parsed is not None and parsed != parsed.to_integral_value():
        found.append(field.invalid(path, str(value), content.NOT_INTEGER))
    return found


def requirements(resources: Object, path: Path) -> Errors:
    """`resources` of a container: each name and amount, and each request against its limit."""
    found: Errors = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, value in sorted(limits.items()):
        where = path.child("limits").key(name)
        found += container_resource_name(name, where) + amount(name, value, where) + _huge_pages(name, value, where)
    for name, value in sorted(requests.items()):
        where = path.child("requests").key(name)
        found += container_resource_name(name, where) + amount(name, value, where)
        found += _request_against_limit(name, value, limits, path) + _huge_pages(name, value, where)
    named = limits.keys() | requests.keys()
    if any(map(is_huge_page, named)) and not named & {"cpu", "memory"}:
        found.append(field.forbidden(path, "HugePages require cpu or memory"))
    return found


def _huge_pages(name: str, value: Any, path: Path) -> Errors:
    """Huge pages come in whole pages: the size is in the name."""
    have, page = values.amount(value), values.amount(name.removeprefix(HUGE_PAGES))
    if not is_huge_page(name) or have is None or not page or (have > 0 and have % page == 0):
        return []
    return [field.invalid(path, str(value), f"{value} is not positive integer multiple of {name}")]


def _request_against_limit(name: str, value: Any, limits: Object, path: Path) -> Errors:
    if name not in limits:
        if is_overcommitted(name):
            return []
        return [field.required(path.child("limits"), "Limit must be set for non overcommitable resources")]
    request, limit = values.amount(value), values.amount(limits[name])
    if request is None or limit is None:
        return []
    if request != limit and not is_overcommitted(name):
        return [field.invalid(path.child("requests"), str(value), f"must be equal to {name} limit of {limits[name]}")]
    if request > limit:
        return [field.invalid(path.child("requests"), str(value), f"must be less than or equal to {name} limit of {limits[name]}")]
    return []
