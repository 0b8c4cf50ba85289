"""The types of every kind: from the definitions in `schema.zip` to decoding and merging by field.

A body comes in as plain JSON; `Schema.decode` gives it back as the API server would hold it after decoding: unknown fields and
nulls dropped, quantities in their canonical form, wrong types refused in the words of Go's decoder (sigs.k8s.io/json).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded import quantity
from clusters.embedded.errors import ApiError, bad_request

Object = dict[str, Any]

ARCHIVE = Path(__file__).with_name("schema.zip")

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_RAW = ("io.k8s.apimachinery.pkg.runtime.RawExtension", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")
_ROOT_FIELDS = ("apiVersion", "kind")
# Times that Go holds by value: the zero time is written as null.
_WRITTEN_WHEN_ZERO = frozenset({("PodCondition", "lastProbeTime"), ("Event", "eventTime")})
_INTEGER_RANGE = {"int32": 2**31, "int64": 2**63}


class SchemaError(Exception):
    """The definitions are not there; the message says what to run."""


class Type:
    """One definition, or the type of one field. `fields` is None for anything that is no struct."""

    __slots__ = ("_node", "_schema", "definition")

    def __init__(self, schema: Schema, node: Object, definition: str = ""):
        self._schema = schema
        self._node = node
        self.definition = definition

    @property
    def name(self) -> str:
        """The Go name of the struct: `PodSpec`."""
        return self.definition.rpartition(".")[2]

    @property
    def kind(self) -> str:
        """string, integer, number, boolean, array, object, quantity, int-or-string or any."""
        if self.definition == _QUANTITY:
            return "quantity"
        if self.definition == _INT_OR_STRING:
            return "int-or-string"
        if self.definition in _RAW:
            return "any"
        return str(self._node.get("t", "any"))

    @property
    def format(self) -> str:
        return str(self._node.get("f", ""))

    @property
    def is_struct(self) -> bool:
        return "p" in self._node

    @property
    def fields(self) -> Object:
        """The raw properties of a struct; use `field` for their types."""
        found: Object = self._node.get("p", {})
        return found

    def field(self, name: str) -> Type | None:
        """The type of a struct's field or of a map's value; None for a field that the struct has not."""
        if self.is_struct:
            node = self._node["p"].get(name)
            return self._schema.type_of(node) if node is not None else None
        return self._schema.type_of(self._node["a"]) if "a" in self._node else None

    @property
    def items(self) -> Type | None:
        return self._schema.type_of(self._node["i"]) if "i" in self._node else None

    @property
    def values(self) -> Type | None:
        """The type of a map's values."""
        return self._schema.type_of(self._node["a"]) if "a" in self._node else None

    @property
    def list_type(self) -> str:
        """atomic, set or map (x-kubernetes-list-type); lists that do not say are atomic."""
        return str(self._node.get("list-type", "atomic"))

    @property
    def list_keys(self) -> list[str]:
        found: list[str] = self._node.get("list-map-keys", [])
        return found

    @property
    def atomic(self) -> bool:
        return self._node.get("map-type") == "atomic"

    @property
    def patch_strategies(self) -> list[str]:
        """merge, retainKeys (x-kubernetes-patch-strategy)."""
        return [each for each in str(self._node.get("patch-strategy", "")).split(",") if each]

    @property
    def patch_merge_key(self) -> str:
        return str(self._node.get("patch-merge-key", ""))


@dataclass
class _Decoding:
    """What one decode has found so far. `root` names the object for messages: (kind, version)."""

    kind: str
    version: str
    strict: list[str]

    def refuse(self, why: str) -> ApiError:
        return bad_request(f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {why}')


class Schema:
    """All types. Nodes are turned into `Type` as they are asked for: most are never used."""

    def __init__(self, archive: Path = ARCHIVE):
        try:
            with zipfile.ZipFile(archive) as opened:
                loaded = orjson.loads(opened.read("types.json"))
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise SchemaError(
                f"{archive} cannot be read ({error}); make it with: python hatch_build.py, or install the package again"
            ) from None
        self._types: dict[str, Object] = loaded["types"]
        self._kinds: dict[str, str] = loaded["kinds"]

    def find(self, api_version: str, kind: str) -> Type | None:
        """The type of a kind; None for one without a definition (a custom resource)."""
        name = self._kinds.get(f"{api_version}/{kind}")
        return Type(self, self._types[name], name) if name else None

    def definition(self, name: str) -> Type:
        return Type(self, self._types[name], name)

    def type_of(self, node: Object) -> Type:
        """The type of a field: its own node, or the definition it refers to with the field's merge rules laid over it."""
        name = node.get("r")
        if name is None:
            return Type(self, node)
        target = self._types[name]
        if len(node) > 1:
            target = target | {key: value for key, value in node.items() if key != "r"}
        return Type(self, target, name)

    def decode(self, body: Object, api_version: str, kind: str, strict: bool = True) -> tuple[Object, list[str]]:
        """(the object as it is stored, what strict decoding complains of). Raises ApiError 400 for a value of the wrong type."""
        found = self.find(api_version, kind)
        if found is None:
            return body, []
        decoding = _Decoding(kind, api_version.rpartition("/")[2], [])
        decoded = _struct(found, body, "", decoding)
        return decoded, decoding.strict if strict else []


def _described(value: Any) -> str:
    """The JSON kind of a value as Go's decoder names it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return f"number {value}" if abs(value) >= 2**63 else "number"
    if isinstance(value, float):
        return f"number {value:g}"
    return "array" if isinstance(value, list) else "object"


def _go_type(wanted: Type) -> str:
    kind = wanted.kind
    if wanted.is_struct:
        version = wanted.definition.split(".")[-2]
        return f"{version}.{wanted.name}"
    if kind == "integer":
        return wanted.format or "int64"
    if kind == "array":
        inner = wanted.items
        return f"[]{_go_type(inner) if inner else 'interface {}'}"
    if kind == "object":
        inner = wanted.values
        return f"map[string]{_go_type(inner) if inner else 'interface {}'}"
    if kind == "string" and wanted.format == "byte":
        return "[]uint8"
    return {"boolean": "bool", "number": "float64"}.get(kind, kind)


def _struct(wanted: Type, value: Any, path: str, decoding: _Decoding) -> Any:
    result: Object = {}
    for name, each in value.items():
        below = f"{path}.{name}" if path else name
        field = wanted.field(name)
        if field is None:
            decoding.strict.append(f'unknown field "{below}"')
            continue
        if each is None:
            if (wanted.name, name) in _WRITTEN_WHEN_ZERO:
                result[name] = None
            continue
        result[name] = _value(field, each, below, wanted, decoding)
    return result


def _value(wanted: Type, value: Any, path: str, owner: Type, decoding: _Decoding) -> Any:
    kind = wanted.kind
    if kind == "any":
        return value
    if kind == "quantity":
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise decoding.refuse(quantity.FORMAT_WRONG)
        try:
            return quantity.canonical(value)
        except quantity.QuantityError as error:
            raise decoding.refuse(str(error)) from None
    if kind == "int-or-string":
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise _mismatch(wanted, value, path, owner, decoding)
    if wanted.is_struct:
        if not isinstance(value, dict):
            raise _mismatch(wanted, value, path, owner, decoding)
        return _struct(wanted, value, path, decoding)
    if kind == "array":
        if not isinstance(value, list):
            raise _mismatch(wanted, value, path, owner, decoding)
        inner = wanted.items
        if inner is None:
            return value
        return [
            each if each is None else _value(inner, each, f"{path}[{position}]", owner if not inner.is_struct else inner, decoding)
            for position, each in enumerate(value)
        ]
    if kind == "object":
        if not isinstance(value, dict):
            raise _mismatch(wanted, value, path, owner, decoding)
        inner = wanted.values
        if inner is None:
            return value
        return {key: _value(inner, each, f"{path}.{key}", owner, decoding) for key, each in value.items() if each is not None}
    if not _scalar_fits(wanted, value):
        raise _mismatch(wanted, value, path, owner, decoding)
    return int(value) if kind == "integer" else value


def _scalar_fits(wanted: Type, value: Any) -> bool:
    kind = wanted.kind
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        if isinstance(value, float):
            return value.is_integer()
        limit = _INTEGER_RANGE.get(wanted.format, 2**63)
        return isinstance(value, int) and -limit <= value < limit
    if kind == "number":
        return isinstance(value, int | float)
    return True


def _mismatch(wanted: Type, value: Any, path: str, owner: Type, decoding: _Decoding) -> ApiError:
    # Go's decoder names fields only: no positions in lists.
    plain = "".join(part.split("]", 1)[-1] if number else part for number, part in enumerate(path.split("[")))
    described = _described(value)
    if wanted.kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        described = f"number {value}"
    return decoding.refuse(f"json: cannot unmarshal {described} into Go struct field {owner.name}.{plain} of type {_go_type(wanted)}")


@cache
def get() -> Schema:
    """The schema of this installation, loaded once. Raises SchemaError where the file was not built."""
    return Schema()
