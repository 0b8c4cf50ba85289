"""A custom kind in OpenAPI v3 (pkg/controller/openapi/builder)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.customresources import structural
from clusters.embedded.resources import Resource
from kubeobjects import Object

_COMPONENTS = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_METADATA = (
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_LIST_METADATA = (
    "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)


def model(resource: Resource, kind: str = "") -> str:
    """The name of a kind's component: `com.example.v1.Widget`."""
    return ".".join((*reversed(resource.group.split(".")), resource.version, kind or resource.kind))


def components(resource: Resource, texts: dict[str, str]) -> Object:
    """The components of the kind and its list. `texts` describe apiVersion and kind."""
    assert resource.custom is not None
    schema = (resource.custom.version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    whole = _published(schema, texts)
    head = _head(texts)
    whole["properties"] = {**(whole.get("properties") or {}), **head, "metadata": _reference(META, _METADATA)}
    whole["x-kubernetes-group-version-kind"] = [_identity(resource, resource.kind)]
    if resource.custom.selectable:
        whole["x-kubernetes-selectable-fields"] = [{"fieldPath": each} for each in resource.custom.selectable]
    list_kind = resource.custom.definition["spec"]["names"].get("listKind") or f"{resource.kind}List"
    more = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
    items = {"type": "array", "items": {"$ref": _COMPONENTS + model(resource)}, "description": f"List of {resource.plural}. {more}"}
    listed = {
        "description": f"{list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**head, "items": items, "metadata": _reference(LIST_META, _LIST_METADATA)},
        "x-kubernetes-group-version-kind": [_identity(resource, list_kind)],
    }
    return {model(resource): whole, model(resource, list_kind): listed}


def _head(texts: dict[str, str]) -> Object:
    return {name: {"type": "string", "description": texts.get(name, "")} for name in ("apiVersion", "kind")}


def _reference(name: str, text: str) -> Object:
    return {"description": text, "allOf": [{"$ref": _COMPONENTS + name}]}


def _identity(resource: Resource, kind: str) -> Object:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _published(schema: Object, texts: dict[str, str]) -> Object:
    """A schema as clients are shown it: what an embedded object has, and what an int-or-string may be, are written out."""
    found: Object = {}
    for name, value in schema.items():
        found[name] = _inner(name, value, texts)
    if schema.get(structural.INT_OR_STRING) and not schema.get("anyOf"):
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get(structural.EMBEDDED):
        found["properties"] = {**(found.get("properties") or {}), **_head(texts), "metadata": _reference(META, _METADATA)}
        found["required"] = [*dict.fromkeys([*(schema.get("required") or []), "kind", "apiVersion"])]
    return found


def _inner(name: str, value: Any, texts: dict[str, str]) -> Any:
    if name == "properties":
        return {key: _published(each or {}, texts) for key, each in value.items()}
    if name in ("items", "additionalProperties", "not") and isinstance(value, dict):
        return _published(value, texts)
    if name in ("allOf", "anyOf", "oneOf"):
        return [_published(each, texts) for each in value]
    return value
