"""In which form a reply goes out: the object, a Table, or metadata only, as the Accept header asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from clusters.embedded.apiserver import conversion
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource
from kubeobjects import Object

JSON = "application/json"
YAML = "application/yaml"
_META = "meta.k8s.io"
_SERVED = (JSON, YAML, "application/vnd.kubernetes.protobuf")


@dataclass(frozen=True)
class Form:
    """`kind` is "" for the object itself, else Table, PartialObjectMetadata or PartialObjectMetadataList."""

    kind: str = ""
    media: str = JSON
    include_object: str = "Metadata"

    @property
    def content_type(self) -> str:
        return f"{self.media};as={self.kind};v=v1;g={_META}" if self.kind else self.media


def negotiate(accept: str, query: Mapping[str, str], *, plain: bool = False) -> Form:
    """The first clause that can be served; JSON where none can, which every client accepts.

    `plain` says that the answer has no other form than its own, as a review. Raises ApiError 406 where only another form would do.
    """
    refused, include = False, query.get("includeObject", "") or "Metadata"
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        kind = given.get("as", "")
        if media not in (JSON, YAML, "*/*", "application/*"):
            continue
        if kind and (given.get("v") != "v1" or given.get("g") != _META):
            continue
        if kind not in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            continue
        if kind and plain:
            refused = True
            continue
        return Form(kind, YAML if media == YAML else JSON, include)
    if refused:
        raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(_SERVED)}")
    return Form(include_object=include)


def encode(obj: Any, media: str = JSON, *, pretty: bool = False) -> bytes:
    if media == YAML:
        import yaml

        return yaml.safe_dump(obj, sort_keys=False).encode()
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE if pretty else orjson.OPT_APPEND_NEWLINE)


def _metadata_only(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/v1", "metadata": obj["metadata"]}


def _rows(resource: Resource, items: list[Object]) -> list[Object]:
    """What a Table is made of: autoscalers in their newer form, which its cells are read from."""
    return [conversion.to_stored(resource, each) for each in items] if resource.group == "autoscaling" else items


def one(form: Form, resource: Resource, obj: Object) -> Object:
    """A single object in the form that was asked for; a Status stays what it is."""
    if obj.get("kind") == "Status":
        return obj
    if form.kind == "Table":
        from clusters.embedded.apiserver import tables

        return tables.table(resource, _rows(resource, [obj]), form.include_object, obj["metadata"].get("resourceVersion", ""))
    if form.kind.startswith("PartialObjectMetadata"):
        return _metadata_only(obj)
    return obj


def many(form: Form, resource: Resource, items: list[Object], list_metadata: Object) -> Object:
    """A list in the form that was asked for."""
    if form.kind == "Table":
        from clusters.embedded.apiserver import tables

        table = tables.table(resource, _rows(resource, items), form.include_object, list_metadata["resourceVersion"])
        table["metadata"] = list_metadata
        return table
    if form.kind.startswith("PartialObjectMetadata"):
        kind, version = "PartialObjectMetadataList", f"{_META}/v1"
        return {"kind": kind, "apiVersion": version, "metadata": list_metadata, "items": [_metadata_only(each) for each in items]}
    # Items of a list carry neither kind nor apiVersion: the list's says both.
    bare = [{key: value for key, value in each.items() if key not in ("kind", "apiVersion")} for each in items]
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": list_metadata, "items": bare}
