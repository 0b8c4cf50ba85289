"""Validation of a custom resource's schema: that it is structural, and uses what a CustomResourceDefinition may use.

Sources: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go, pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from clusters.embedded.apiserver.validation import field
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NAMELESS = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_IN_METADATA = ("name", "generateName")
_FORBIDDEN = ("definitions", "dependencies", "id", "patternProperties", "additionalItems", "$ref")


def schema(root: Object, path: Path) -> Errors:
    """What is wrong with the schema at `path`: what makes it unstructural, in the order of the messages, and then the rest."""
    return [*sorted(_structural(root, "root", path), key=str), *_allowed(root, path)]


def _structural(each: Object, level: str, path: Path) -> Errors:
    found: Errors = []
    kind, items, more = each.get("type", ""), each.get("items"), each.get("additionalProperties")
    if kind == "array" and not isinstance(items, dict):
        found.append(field.required(path.child("items"), "must be specified"))
    if isinstance(items, dict):
        found += _structural(items, "item", path.child("items"))
    for name, value in (each.get("properties") or {}).items():
        found += _structural(value or {}, "field", path.child("properties").key(name))
    if more is not None and level == "root":
        found.append(field.forbidden(path.child("additionalProperties"), "must not be used at the root"))
    if isinstance(more, dict):
        found += _structural(more, "field", path.child("additionalProperties"))
    found += _junctors(each, path)
    free = each.get("x-kubernetes-int-or-string") or each.get("x-kubernetes-preserve-unknown-fields")
    embedded = each.get("x-kubernetes-embedded-resource")
    if embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        found.append(field.invalid(path.child("type"), kind, why) if kind else field.required(path.child("type"), why))
    elif not kind and not free:
        found.append(field.required(path.child("type"), _NAMELESS[level]))
    if level == "root" and kind and kind != "object":
        found.append(field.invalid(path.child("type"), kind, "must be object at the root"))
    return found + _metadata(each, level, path) if level == "root" or embedded else found


# What a schema inside a junctor may not say, and the words for it: there it only asks, and does not describe.
_OUTSIDE_ONLY = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
_EITHER = [{"type": "integer"}, {"type": "string"}]


def _junctors(each: Object, path: Path) -> Errors:
    """allOf, anyOf, oneOf and not, at this place; an int-or-string says by anyOf which types it has."""
    found: Errors = []
    for name in ("anyOf", "allOf", "oneOf"):
        if name == "anyOf" and each.get(name) == _EITHER:
            continue
        for index, inner in enumerate(each.get(name) or []):
            found += _asked(inner, path.child(name)[index])
    if isinstance(each.get("not"), dict):
        found += _asked(each["not"], path.child("not"))
    return found


def _asked(each: Object, path: Path) -> Errors:
    found = _junctors(each, path)
    if isinstance(each.get("items"), dict):
        found += _asked(each["items"], path.child("items"))
    for name, inner in (each.get("properties") or {}).items():
        found += _asked(inner or {}, path.child("properties").key(name))
    for name, why in _OUTSIDE_ONLY.items():
        if each.get(name) or (name in ("additionalProperties", "default") and each.get(name) is not None):
            found.append(field.forbidden(path.child(name), why))
    if "metadata" in (each.get("properties") or {}):
        found.append(field.forbidden(path.child("properties").key("metadata"), "must not be specified in a nested context"))
    return found


def _metadata(each: Object, level: str, path: Path) -> Errors:
    """`apiVersion`, `kind` and `metadata` of a whole object are known already."""
    found: Errors = []
    properties, where = each.get("properties") or {}, path.child("properties")
    for name, kind in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        if name in properties and properties[name].get("type", "") != kind:
            found.append(field.invalid(where.key(name).child("type"), properties[name].get("type", ""), f"must be {kind}"))
    inner = properties.get("metadata") or {}
    if level == "root" and (set(inner) - {"type", "properties"} or set(inner.get("properties") or {}) - set(_IN_METADATA)):
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        found.append(field.forbidden(where.key("metadata"), why))
    return found


def _allowed(each: Object, path: Path) -> Errors:
    kind, where = each.get("type", ""), path.child("type")
    found: Errors = []
    for name in _FORBIDDEN:
        if each.get(name):
            found.append(field.forbidden(path.child(name), f"{name} is not supported"))
    if kind == "null":
        found.append(field.forbidden(where, "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in _TYPES:
        found.append(field.not_supported(where, kind, _TYPES))
    if each.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(field.forbidden(path.child("uniqueItems"), why))
    more = each.get("additionalProperties")
    if more is not None and each.get("properties") and more is not True:
        found.append(field.forbidden(path.child("additionalProperties"), "additionalProperties and properties are mutual exclusive"))
    if isinstance(more, dict):
        found += _allowed(more, path.child("additionalProperties"))
    for name, value in (each.get("properties") or {}).items():
        found += _allowed(value or {}, path.child("properties").key(name))
    for name in ("allOf", "oneOf", "anyOf"):
        for index, value in enumerate(each.get(name) or []):
            found += _allowed(value, path.child(name)[index])
    if isinstance(each.get("items"), dict):
        found += _allowed(each["items"], path.child("items"))
    found += _list_map(each, path) + _rules(each, path)
    if each.get("x-kubernetes-preserve-unknown-fields") is False:
        found.append(field.invalid(path.child("x-kubernetes-preserve-unknown-fields"), False, "must be true or undefined"))
    return found + _merge_types(each, kind, path)


def _merge_types(each: Object, kind: str, path: Path) -> Errors:
    """`x-kubernetes-map-type` and `x-kubernetes-list-type`."""
    found: Errors = []
    for name, wanted, known in (
        ("x-kubernetes-map-type", "object", ("atomic", "granular")),
        ("x-kubernetes-list-type", "array", ("atomic", "set", "map")),
    ):
        if each.get(name) is None:
            continue
        if kind != wanted:
            why = f"must be {wanted} if {name} is specified"
            found.append(field.invalid(path.child("type"), kind, why) if kind else field.required(path.child("type"), why))
        if each[name] not in known:
            found.append(field.not_supported(path.child(name), each[name], known))
    return found


def _list_map(each: Object, path: Path) -> Errors:
    """A list that is a map: its items are objects, told apart by scalar fields that are always there."""
    kind, keys, items = each.get("x-kubernetes-list-type"), each.get("x-kubernetes-list-map-keys") or [], each.get("items") or {}
    where = path.child("x-kubernetes-list-map-keys")
    found: Errors = []
    if keys and kind != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        at = path.child("x-kubernetes-list-type")
        found.append(field.required(at, why) if kind is None else field.invalid(at, kind, why))
    if kind == "map":
        if not keys:
            found.append(field.required(where, "must not be empty if x-kubernetes-list-type is map"))
        if not items:
            found.append(field.required(path.child("items"), "must have a schema if x-kubernetes-list-type is map"))
        elif items.get("type") != "object":
            why = "must be object if parent array's x-kubernetes-list-type is map"
            found.append(field.invalid(path.child("items", "type"), items.get("type", ""), why))
        else:
            found += _keys(keys, items, path, where)
    if kind in ("set", "map") and items.get("nullable"):
        found.append(field.forbidden(path.child("items", "nullable"), f"cannot be nullable when x-kubernetes-list-type is {kind}"))
    return found


def _keys(keys: list[str], items: Object, path: Path, where: Path) -> Errors:
    properties = items.get("properties") or {}
    found: Errors = []
    for index, key in enumerate(keys):
        if key not in properties:
            found.append(field.invalid(where, keys, "entries must all be names of item properties"))
        elif properties[key].get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(field.invalid(path.child("items", "properties").key(key).child("type"), items["type"], why))
        if key in keys[:index]:
            found.append(field.invalid(where, keys, "must not contain duplicate entries"))
    for key in keys:
        at, known = path.child("items", "properties").key(key), properties.get(key)
        if known is not None and key not in (items.get("required") or []) and known.get("default") is None:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            found.append(field.required(at.child("default"), why))
        if known is not None and known.get("nullable"):
            found.append(field.forbidden(at.child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
    return found


def _rules(each: Object, path: Path) -> Errors:
    """The fields of `x-kubernetes-validations`; whether the expressions compile is another question."""
    found: Errors = []
    for index, rule in enumerate(each.get("x-kubernetes-validations") or []):
        here = path.child("x-kubernetes-validations")[index]
        text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
        if not text:
            found.append(field.required(here.child("rule"), "rule is not specified"))
        elif message and not message.strip():
            found.append(field.invalid(here.child("message"), message, "must be non-empty if specified"))
        elif "\n" in message.strip():
            found.append(field.invalid(here.child("message"), message, "must not contain line breaks"))
        elif "\n" in text and not message:
            found.append(field.required(here.child("message"), "message must be specified if rule contains line breaks"))
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            found.append(field.not_supported(here.child("reason"), rule["reason"], _REASONS))
    return found
