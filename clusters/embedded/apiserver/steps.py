"""The steps that an object passes on its way to the store, taken from the packages that know the kinds.

One place names them all: schema, defaulting, strategy, validation, admission, patch and managed fields.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from clusters.embedded.apiserver import admission, defaulting, strategy, validation

Object = dict[str, Any]

default = defaulting.apply
prepare_for_create = strategy.prepare_for_create
prepare_for_update = strategy.prepare_for_update
mutate = admission.mutate
admit = admission.validate


def validate(obj: Object, old: Object | None, subresource: str) -> list[Any]:
    return validation.validate(obj, old, subresource)


def _find(module: str, name: str) -> Callable[..., Any] | None:
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


_BASE = "clusters.embedded.apiserver"


def decode(body: Object, api_version: str, kind: str, strict: bool) -> tuple[Object, list[str]]:
    get = _find("clusters.embedded.schema", "get")
    return get().decode(body, api_version, kind, strict) if get else (body, [])


def manage_fields(old: Object | None, new: Object, manager: str, subresource: str, time: str) -> Object:
    step = _find(f"{_BASE}.patch.managed_fields", "update")
    return step(old, new, manager, subresource, time) if step else new


def apply(live: Object | None, applied: Object, manager: str, force: bool, subresource: str, time: str) -> Object:
    from clusters.embedded.apiserver.patch.apply import apply as step

    return step(live, applied, manager, force, subresource, time)


def strategic_merge(original: Object, patch: Object, api_version: str, kind: str) -> Object:
    from clusters.embedded.apiserver.patch import strategic

    return strategic.merge(original, patch, api_version, kind)


def json_patch(original: Object, patch: Any) -> Object:
    from clusters.embedded.apiserver.patch import json_patch

    return json_patch.apply(original, patch)


def merge_patch(original: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result
