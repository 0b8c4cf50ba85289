"""Fields that a rule names and its schema does not have: rules are compiled once more over messages made of the schema.

Values themselves are plain and untyped; the types serve for this question alone. What they cannot say (a number or a text, a list of
lists) is left open. Source: k8s.io/apiserver/pkg/cel/common/schemas.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.embedded import cel
from clusters.embedded.apiserver.customresources import structural
from kubeobjects import Object

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

_PACKAGE = "declared"
_HEAD: Object = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}},
}
_OPEN = ".google.protobuf.Value"
_FORMATS = {
    "date": ".google.protobuf.Timestamp",
    "date-time": ".google.protobuf.Timestamp",
    "datetime": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
}


def undefined(text: str, schema: Object, *, root: bool, optional: bool) -> str | None:
    """Why the rule cannot be compiled, where that is a field that `schema` does not have; None where it is not. `root` says that the schema
    is that of a whole object."""
    if root or schema.get(structural.EMBEDDED):
        schema = {**schema, "properties": {**(schema.get("properties") or {}), **_HEAD}}
    if schema.get("type") != "object" or not schema.get("properties") or optional:
        return None
    try:
        cel.check(text, _file(schema), f"{_PACKAGE}.Self", ("self", "oldSelf"))
    except cel.CompileError as error:
        return str(error) if "undefined field" in str(error) else None
    return None


def _file(schema: Object) -> bytes:
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name="declared.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.extend(["google/protobuf/struct.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto"])
    _message(file.message_type.add(name="Self"), schema, f".{_PACKAGE}.Self")
    return file.SerializeToString()


def _message(message: DescriptorProto, schema: Object, path: str) -> None:
    number = 0
    for name, each in sorted((schema.get("properties") or {}).items()):
        shown = cel.escaped(name)
        if shown is None:
            continue
        number += 1
        field = message.field.add(name=shown, number=number)
        repeated = each.get("type") == "array" and (each.get("items") or {}).get("type") not in (None, "array")
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        _kind(message, field, (each.get("items") or {}) if repeated else each, path, f"T{number}")


def _kind(message: DescriptorProto, field: FieldDescriptorProto, schema: Object, path: str, name: str) -> None:
    kind, form = schema.get("type"), schema.get("format") or ""
    if kind == "object" and schema.get("properties") and not schema.get("additionalProperties"):
        if schema.get(structural.EMBEDDED):
            schema = {**schema, "properties": {**schema["properties"], **_HEAD}}
        _message(message.nested_type.add(name=name), schema, f"{path}.{name}")
        field.type, field.type_name = field.TYPE_MESSAGE, f"{path}.{name}"
    elif kind == "string" and form in _FORMATS:
        field.type, field.type_name = field.TYPE_MESSAGE, _FORMATS[form]
    elif kind == "string" and form != "byte":
        field.type = field.TYPE_STRING
    elif kind == "string":
        field.type = field.TYPE_BYTES
    elif kind == "boolean":
        field.type = field.TYPE_BOOL
    elif kind == "integer":
        field.type = field.TYPE_INT64
    elif kind == "number":
        field.type = field.TYPE_DOUBLE
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, _OPEN
