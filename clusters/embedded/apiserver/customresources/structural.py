"""What a structural schema does to an object: unknown fields pruned, nulls dropped, defaults filled in (pkg/apiserver/schema).

Schemas are the `openAPIV3Schema` of a definition as plain objects.
"""

from __future__ import annotations

from typing import Any

from kubeobjects import Object, meta

META = ("apiVersion", "kind", "metadata")

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"


def field(schema: Object | None, name: str) -> Object | None:
    """The schema of a field, from `properties` or `additionalProperties`; None where it says nothing."""
    if schema is None:
        return None
    properties = schema.get("properties") or {}
    if name in properties:
        found: Object = properties[name] or {}
        return found
    more = schema.get("additionalProperties")
    return more if isinstance(more, dict) else None


def prune(obj: Object, schema: Object) -> list[str]:
    """Removes from a whole object what its schema does not know; returns the paths, sorted."""
    unknown: list[str] = []
    _prune(obj, {**schema, EMBEDDED: True}, "", unknown)
    return sorted(unknown)


def _prune(value: Any, schema: Object | None, path: str, unknown: list[str]) -> None:
    kept = bool(schema and schema.get(PRESERVE))
    if isinstance(value, dict):
        properties = (schema or {}).get("properties") or {}
        more = (schema or {}).get("additionalProperties")
        for name in list(value):
            if schema and schema.get(EMBEDDED) and name in META:
                continue
            below = f"{path}.{name}" if path else name
            if name in properties:
                _prune(value[name], properties[name], below, unknown)
            elif more is not None:
                _prune(value[name], more if isinstance(more, dict) else None, below, unknown)
            elif not kept:
                unknown.append(below)
                del value[name]
    elif isinstance(value, list):
        items = (schema or {}).get("items")
        if kept and items is None:
            return
        for index, item in enumerate(value):
            # Items of a list whose unknown fields are kept keep theirs.
            _prune(item, {**(items or {}), PRESERVE: True} if kept else items, f"{path}[{index}]", unknown)


def drop_nulls(value: Any, schema: Object | None) -> None:
    """Removes nulls of fields that may not be null and have no default to take their place."""
    if isinstance(value, dict):
        for name in list(value):
            below = field(schema, name)
            if value[name] is None and below is not None and not below.get("nullable") and below.get("default") is None:
                del value[name]
            else:
                drop_nulls(value[name], below)
    elif isinstance(value, list):
        for item in value:
            drop_nulls(item, (schema or {}).get("items"))


def default(value: Any, schema: Object | None) -> None:
    """Fills in defaults, level by level: a default object gets the defaults of its own fields."""
    if schema is None:
        return
    if isinstance(value, dict):
        for name, below in (schema.get("properties") or {}).items():
            if below.get("default") is not None and (name not in value or (value[name] is None and not below.get("nullable"))):
                value[name] = _copy(below["default"])
        for name in value:
            below = field(schema, name)
            if below is not None and name not in (schema.get("properties") or {}) and value[name] is None and not below.get("nullable"):
                value[name] = _copy(below.get("default"))
            default(value[name], below)
    elif isinstance(value, list):
        items = schema.get("items")
        for index, item in enumerate(value):
            if items is not None and item is None and not items.get("nullable"):
                value[index] = _copy(items.get("default"))
            default(value[index], items)


def _copy(value: Any) -> Any:
    return meta.copy({"": value})[""]


# Merging

_OBJECT_META = {"r": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
_INT_OR_STRING = {"r": "io.k8s.apimachinery.pkg.util.intstr.IntOrString"}
_STRING = {"t": "string"}
# A value whose type is read from the value itself: maps merge by key, lists are replaced.
_DEDUCED = {"deduced": 1}


def node(schema: Object, *, root: bool = True) -> Object:
    """The schema in the form of `schema.zip`, which server-side apply and managedFields are made with."""
    if schema.get(INT_OR_STRING):
        return _INT_OR_STRING
    kind, properties, more = schema.get("type"), schema.get("properties") or {}, schema.get("additionalProperties")
    whole = root or schema.get(EMBEDDED)
    if kind == "array":
        return _list(schema)
    if kind != "object":
        return {"t": kind} if kind else _DEDUCED
    found: Object = {"t": "object"}
    if schema.get(MAP_TYPE) == "atomic":
        found["map-type"] = "atomic"
    if isinstance(more, dict):
        return found | {"a": node(more, root=False)}
    if not properties and not root:
        return {**found, "p": {}, "open": 1} if "map-type" in found else _DEDUCED
    found["p"] = {name: node(each or {}, root=False) for name, each in properties.items()}
    found["q"] = schema.get("required") or []
    if whole:
        found["p"] |= {"apiVersion": _STRING, "kind": _STRING, "metadata": _OBJECT_META}
    if schema.get(PRESERVE) or more:
        found["open"] = 1
    return found


def _list(schema: Object) -> Object:
    found: Object = {"t": "array", "i": node(schema.get("items") or {}, root=False), "list-type": schema.get(LIST_TYPE) or "atomic"}
    if schema.get(LIST_KEYS):
        found["list-map-keys"] = schema[LIST_KEYS]
        properties = (schema.get("items") or {}).get("properties") or {}
        defaults = {key: properties[key]["default"] for key in schema[LIST_KEYS] if (properties.get(key) or {}).get("default") is not None}
        if defaults:
            found["key-defaults"] = defaults
    return found
