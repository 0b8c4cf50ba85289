"""Decoding: plain JSON by the type of its kind, as the API server would hold it afterwards.

Unknown fields and nulls are dropped, quantities, times and bytes take their canonical form, empty values vanish where Go leaves them out.
Wrong types are refused in the words of Go's JSON decoder (sigs.k8s.io/json), or, for what a strategic merge made, in those of the
conversion from plain maps (k8s.io/apimachinery/pkg/runtime/converter.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clusters.embedded import resources, scalars, schema
from clusters.embedded.errors import ApiError
from clusters.embedded.schema import Type
from kubeobjects import Object, quantity

# Times that Go holds by value: the zero time is written as null.
_WRITTEN_WHEN_ZERO = frozenset({("PodCondition", "lastProbeTime"), ("Event", "eventTime")})
_INTEGER_RANGE = {"int32": 2**31, "int64": 2**63}
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# What a null stands for in a list or map.
_ZERO: dict[str, Any] = {"string": "", "quantity": "0", "integer": 0, "boolean": False, "number": 0}
_DECODES_ITSELF = frozenset({"quantity", "int-or-string", "time", "micro-time"})
_KINDS = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
_GO_KINDS = {bool: "bool", str: "string", int: "int64", float: "float64", list: "slice", dict: "map"}


class DecodeError(ApiError):
    """A body of the wrong form: 400. `why` is the decoder's own message."""

    def __init__(self, kind: str, version: str, why: str):
        super().__init__(400, "BadRequest", f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
        self.why = why


@dataclass
class _Decoding:
    """What one decode has found so far, and whose words it uses.

    Go's JSON decoder remembers the first value of a wrong type and goes on (`first`); a type that decodes itself (quantities, times,
    int-or-strings) ends the decoding at once.
    """

    kind: str
    version: str
    unstructured: bool
    strict: list[str]
    first: DecodeError | None = None

    def refuse(self, why: str) -> DecodeError:
        return DecodeError(self.kind, self.version, why)

    def mismatch(self, wanted: Type, value: Any, path: str, owner: str) -> None:
        """Remembers a value of a wrong type; raises DecodeError where decoding ends with it."""
        if self.unstructured:
            raise self.refuse(_converter_words(wanted, value))
        error = self.refuse(_json_words(wanted, value, path, owner))
        if wanted.kind in _DECODES_ITSELF:
            raise error
        self.first = self.first or error


def decode(body: Object, api_version: str, kind: str, strict: bool = True, *, unstructured: bool = False) -> tuple[Object, list[str]]:
    """(the object as it is stored, what strict decoding complains of). A kind without a definition (a custom resource) stays as it is.

    `unstructured` says that the body comes from a strategic merge and not from JSON text: other words, and 2.0 is a whole number.
    Raises DecodeError for a value of the wrong type.
    """
    custom = resources.custom_kind({"apiVersion": api_version, "kind": kind})
    if custom is not None:
        return custom.decode(body)
    wanted = schema.get().find(api_version, kind)
    if wanted is None:
        return body, []
    decoding = _Decoding(kind, api_version.rpartition("/")[2], unstructured, [])
    found = _struct(wanted, body, "", "", decoding)
    if decoding.first is not None:
        raise decoding.first
    return found, decoding.strict if strict else []


def decode_metadata(metadata: Any, kind: str, version: str) -> tuple[Object, list[str]]:
    """(the metadata of a custom object as it is stored, what strict decoding complains of). Raises DecodeError."""
    decoding = _Decoding(kind, version, False, [])
    if not isinstance(metadata, dict):
        raise decoding.refuse(f"json: cannot unmarshal {_KINDS[type(metadata)]} into Go value of type v1.ObjectMeta")
    found = _struct(schema.get().definition(_OBJECT_META), metadata, "metadata", "", decoding)
    if decoding.first is not None:
        raise decoding.first
    return found, decoding.strict


def _struct(wanted: Type, value: Object, path: str, go_path: str, decoding: _Decoding) -> Object:
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
        go_name = f"{field.embedded_in}.{name}" if field.embedded_in else name
        decoded = _value(field, each, below, f"{go_path}.{go_name}" if go_path else go_name, wanted.name, decoding)
        if decoded or not field.omitted_when_empty or (isinstance(decoded, dict) and field.is_struct):
            result[name] = decoded
    return result


def _value(wanted: Type, value: Any, path: str, go_path: str, owner: str, decoding: _Decoding) -> Any:
    """`path` is the field's place for complaints, `go_path` the one that Go's decoder names; `owner` is the struct it is a field of."""
    kind = wanted.kind
    if wanted.is_struct:
        if not isinstance(value, dict):
            return decoding.mismatch(wanted, value, go_path, owner)
        return _struct(wanted, value, path, go_path, decoding)
    if kind == "array":
        if not isinstance(value, list):
            return decoding.mismatch(wanted, value, go_path, owner)
        inner = wanted.items
        if inner is None:
            return value
        return [
            _zero(inner) if each is None else _value(inner, each, f"{path}[{position}]", go_path, owner, decoding)
            for position, each in enumerate(value)
        ]
    if kind == "object":
        if not isinstance(value, dict):
            return decoding.mismatch(wanted, value, go_path, owner)
        inner = wanted.values
        if inner is None:
            return value
        return {
            key: _zero(inner) if each is None else _value(inner, each, f"{path}.{key}", go_path, owner, decoding)
            for key, each in value.items()
        }
    return value if kind == "any" else _scalar(wanted, value, go_path, owner, decoding)


def _zero(wanted: Type) -> Any:
    return {} if wanted.is_struct else _ZERO.get(wanted.kind)


def _scalar(wanted: Type, value: Any, go_path: str, owner: str, decoding: _Decoding) -> Any:
    kind = wanted.kind
    try:
        match kind:
            case "quantity":
                return quantity.canonical(value if isinstance(value, str | int | float) else "")
            case "time" | "micro-time" if isinstance(value, str):
                return scalars.time(value, micro=kind == "micro-time")
            case "bytes" if isinstance(value, str):
                return scalars.base64_text(value)
    except (quantity.QuantityError, scalars.ScalarError) as error:
        why = f"error decoding from json: {error}" if kind == "bytes" and decoding.unstructured else str(error)
        refused = decoding.refuse(why)
        if kind != "bytes" or decoding.unstructured:
            raise refused from None
        decoding.first = decoding.first or refused
        return None
    if not _fits(wanted, value, decoding.unstructured):
        return decoding.mismatch(wanted, value, go_path, owner)
    return int(value) if kind == "integer" else value


def _fits(wanted: Type, value: Any, unstructured: bool) -> bool:
    kind = wanted.kind
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer" or (kind == "int-or-string" and not isinstance(value, str)):
        if isinstance(value, float):
            return unstructured and kind == "integer" and value.is_integer()
        limit = _INTEGER_RANGE.get(wanted.format or "int32" if kind == "int-or-string" else wanted.format, 2**63)
        return isinstance(value, int) and -limit <= value < limit
    if kind == "number":
        return isinstance(value, int | float)
    return kind == "int-or-string"


def _number(wanted: Type, value: Any) -> str:
    """A value as Go's decoder describes it: a number by its digits where a number is wanted."""
    if wanted.kind in ("integer", "number", "int-or-string") and isinstance(value, int | float) and not isinstance(value, bool):
        return f"number {value}"
    return _KINDS[type(value)]


def _json_words(wanted: Type, value: Any, go_path: str, owner: str) -> str:
    return f"json: cannot unmarshal {_number(wanted, value)} into Go struct field {owner}.{go_path} of type {wanted.go_type}"


def _converter_words(wanted: Type, value: Any) -> str:
    kind, given = wanted.kind, _GO_KINDS[type(value)]
    if wanted.is_struct:
        return f"cannot restore struct from: {given}"
    if kind == "object":
        return f"cannot restore map from {given}"
    if kind in ("array", "bytes"):
        return f"cannot restore slice from {given}"
    if kind in ("time", "micro-time"):
        return f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type string"
    if kind == "int-or-string":
        return f"json: cannot unmarshal {_number(wanted, value)} into Go value of type int32"
    plain = {"string": "string", "boolean": "bool", "number": "float64"}.get(kind, wanted.format or "int64")
    # Go can convert numbers to text and to each other, in a way that JSON does not mean.
    if (kind == "string" and given == "int64") or (kind == "integer" and given == "float64"):
        return f"cannot convert {given} to {wanted.go_type}"
    return f"unrecognized type: {plain}"
