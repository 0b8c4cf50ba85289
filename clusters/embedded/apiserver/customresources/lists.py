"""Lists that are sets or maps hold each item once (pkg/apiserver/schema/listtype)."""

from __future__ import annotations

from typing import Any

import orjson

from clusters.embedded.apiserver.customresources import structural
from clusters.embedded.apiserver.validation import field as errors
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object


def check(value: Any, schema: Object | None, path: Path) -> Errors:
    """The items that are there twice, in every list at and below `path`."""
    found: Errors = []
    if schema is None:
        return found
    if isinstance(value, dict):
        for name in sorted(value):
            below = structural.field(schema, name)
            named = name in (schema.get("properties") or {})
            found += check(value[name], below, path.child(name) if named else path.key(name))
    elif isinstance(value, list):
        kind = schema.get(structural.LIST_TYPE)
        if kind == "set":
            found += [errors.duplicate(path[index], value[index]) for index in _again(value)]
        elif kind == "map":
            keys = [_key(item, schema.get(structural.LIST_KEYS) or []) for item in value]
            found += [errors.duplicate(path[index], keys[index]) for index in _again(keys)]
        for index, item in enumerate(value):
            found += check(item, schema.get("items"), path[index])
    return found


def _key(item: Any, names: list[str]) -> Object:
    return {name: item[name] for name in names if name in item} if isinstance(item, dict) else {}


def _again(items: list[Any]) -> list[int]:
    """The places of items that stand earlier in the list already; each such item is told once."""
    seen: dict[bytes, int] = {}
    found = []
    for index, item in enumerate(items):
        text = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            found.append(index)
    return found
