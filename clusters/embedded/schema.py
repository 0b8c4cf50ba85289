"""The types of every kind: the definitions in `schema.zip`, asked by field.

(apiVersion, kind) goes in, a `Type` comes out: what fields it has, how its lists and maps merge, what Go calls it.
"""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import orjson

from clusters.embedded.resources import custom_kind
from kubeobjects import Object

ARCHIVE = Path(__file__).with_name("schema.zip")

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_RAW = ("io.k8s.apimachinery.pkg.runtime.RawExtension", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")
_TIMES = {"io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time"}

# Times are read from text; an int-or-string that is no string has to be a number.
_GO_TYPES = {
    "boolean": "bool",
    "number": "float64",
    "bytes": "[]uint8",
    "int-or-string": "int32",
    "time": "string",
    "micro-time": "string",
}


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
        """string, integer, number, boolean, array, object, quantity, int-or-string, time, micro-time, bytes or any."""
        if self.definition == _QUANTITY:
            return "quantity"
        if self.definition == _INT_OR_STRING:
            return "int-or-string"
        if self.definition in _RAW:
            return "any"
        if self.definition in _TIMES:
            return _TIMES[self.definition]
        kind = str(self._node.get("t", "any"))
        return "bytes" if kind == "string" and self._node.get("f") == "byte" else kind

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

    @property
    def is_open(self) -> bool:
        """Whether a struct keeps fields that it does not declare (x-kubernetes-preserve-unknown-fields)."""
        return "open" in self._node

    @property
    def key_defaults(self) -> Object:
        """What the keys of an associative list are where an item leaves them out."""
        found: Object = self._node.get("key-defaults", {})
        return found

    @property
    def required(self) -> list[str]:
        """The fields of a struct that have to be set."""
        found: list[str] = self._node.get("q", [])
        return found

    def field(self, name: str) -> Type | None:
        """The type of a struct's field or of a map's value; None for a field that the struct has not."""
        if self.is_struct:
            node = self._node["p"].get(name)
            return self._schema.read(node)
        return self._schema.read(self._node.get("a"))

    @property
    def items(self) -> Type | None:
        return self._schema.read(self._item_node("i", "[]")) if "i" in self._node else None

    def _item_node(self, key: str, prefix: str) -> Object:
        """The node of items or values; they have the name that Go gives them in the type of the whole."""
        node: Object = self._node[key]
        whole = self._node.get("g", "")
        return {**node, "g": whole.removeprefix(prefix)} if whole.startswith(prefix) else node

    @property
    def values(self) -> Type | None:
        """The type of a map's values."""
        return self._schema.read(self._item_node("a", "map[string]")) if "a" in self._node else None

    @property
    def omitted_when_empty(self) -> bool:
        """Whether Go leaves an empty value of this field out of JSON: no pointer, and `omitempty`."""
        return "o" in self._node

    @property
    def embedded_in(self) -> str:
        """The struct that the field comes from where it is inlined: `ProbeHandler` for a probe's httpGet."""
        return str(self._node.get("e", ""))

    @property
    def go_type(self) -> str:
        """The field's type as Go prints it: `int32`, `[]v1.Container`, `v1.PullPolicy`."""
        if "g" in self._node:
            return str(self._node["g"])
        kind = self.kind
        if self.is_struct:
            return f"{self.definition.split('.')[-2]}.{self.name}"
        if kind == "array":
            return f"[]{self.items.go_type if self.items else 'interface {}'}"
        if kind == "object":
            return f"map[string]{self.values.go_type if self.values else 'interface {}'}"
        if kind == "integer":
            return self.format or "int64"
        return _GO_TYPES.get(kind, kind)

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
        """The type of a kind; None for one that nothing defines."""
        custom = custom_kind({"apiVersion": api_version, "kind": kind})
        if custom is not None:
            return Type(self, custom.node)
        name = self._kinds.get(f"{api_version}/{kind}")
        return Type(self, self._types[name], name) if name else None

    def definition(self, name: str) -> Type:
        return Type(self, self._types[name], name)

    def read(self, node: Object | None) -> Type | None:
        """The type of a field; None where there is none, and where a custom resource leaves it to the value."""
        return None if node is None or "deduced" in node else self.type_of(node)

    def type_of(self, node: Object) -> Type:
        """The type of a field: its own node, or the definition it refers to with the field's merge rules laid over it."""
        name = node.get("r")
        if name is None:
            return Type(self, node)
        target = self._types[name]
        if len(node) > 1:
            target = target | {key: value for key, value in node.items() if key != "r"}
        return Type(self, target, name)


@cache
def get() -> Schema:
    """The schema of this installation, loaded once. Raises SchemaError where the file was not built."""
    return Schema()
