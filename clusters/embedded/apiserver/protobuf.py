"""Bodies in `application/vnd.kubernetes.protobuf`: bytes in, objects out.

kubectl sends them from `create <generator>`, `autoscale` and `auth can-i`. A body is the magic and a `runtime.Unknown` that carries
apiVersion, kind and the object's own message; field numbers are in `protobuf_fields.json`. Go writes plain fields even when they are zero,
and pointers only when they are set, so a zero is kept for a pointer only.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded.errors import ApiError, bad_request
from kubeobjects import Object

MAGIC = b"k8s\x00"
_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions"
_UNKNOWN = "k8s.io.apimachinery.pkg.runtime.Unknown"
_SIGNED = frozenset({"int32", "int64"})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Malformed(ValueError):
    """Bytes that are no message."""


@cache
def _table() -> dict[str, dict[int, tuple[str, str, str]]]:
    loaded = json.loads(Path(__file__).with_name("protobuf_fields.json").read_text())
    return {name: {int(number): (row[0], row[1], row[2]) for number, row in fields.items()} for name, fields in loaded.items()}


def decode(body: bytes) -> Object:
    """The object in a body. Raises ApiError 400 for bytes that are no such body, 415 for a kind whose messages are not known here."""
    if not body.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        unknown = dict(_fields(body[len(MAGIC) :]))
        head = dict(_fields(_bytes(unknown.get(1, b""))))
        api_version, kind = _bytes(head.get(1, b"")).decode(), _bytes(head.get(2, b"")).decode()
        name = message_name(api_version, kind)
        if name not in _table():
            raise ApiError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
            )
        decoded = _message(_bytes(unknown.get(2, b"")), name)
    except RecursionError:
        raise bad_request("unable to decode the protobuf body: exceeded max depth") from None
    except (ValueError, OverflowError, OSError, struct.error) as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from None
    return {"apiVersion": api_version, "kind": kind, **decoded}


def message_name(api_version: str, kind: str) -> str:
    """`apps/v1`, `Deployment` → `k8s.io.api.apps.v1.Deployment`."""
    group, _, version = api_version.rpartition("/")
    if kind in ("DeleteOptions", "Status"):
        return f"{_META}.{kind}"
    if group == "apiextensions.k8s.io":
        return f"{_EXTENSIONS}.{version}.{kind}"
    package = "core" if not group else group.removesuffix(".k8s.io").split(".")[0]
    return f"k8s.io.api.{package}.{version}.{kind}"


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Malformed("a number where a message is expected")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Malformed("a number without an end")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, raw value) of everything in a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise _Malformed(f"wire type {wire}")
        if at + size > len(data):
            raise _Malformed("a message cut short")
        yield number, data[at : at + size]
        at += size


def _scalar(value: int | bytes, kind: str) -> Any:
    if kind == "string":
        return _bytes(value).decode()
    if kind == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    if kind == "bool":
        return bool(value)
    if kind == "double":
        return struct.unpack("<d", _bytes(value))[0]
    if not isinstance(value, int):
        raise _Malformed("bytes where a number is expected")
    return value - 2**64 if kind in _SIGNED and value >= 2**63 else value


def _time(data: bytes, micro: bool) -> str | None:
    found = dict(_fields(data))
    seconds, nanos = found.get(1, 0), found.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        raise _Malformed("bytes where a number is expected")
    if seconds >= 2**63:
        # The zero time of Go, before the epoch: no time at all.
        return None
    if not data:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{nanos // 1000:06d}Z" if micro else "Z")


def _special(data: bytes, kind: str) -> tuple[bool, Any]:
    """(True, value) for the messages whose JSON is no object of their fields."""
    name = kind.rpartition(".")[2]
    if kind in (f"{_META}.Time", f"{_META}.MicroTime"):
        return True, _time(data, name == "MicroTime")
    if kind == f"{_META}.Duration":
        nanoseconds = dict(_fields(data)).get(1, 0)
        return True, f"{int(nanoseconds) / 1e9:g}s" if isinstance(nanoseconds, int) else None
    if kind == "k8s.io.apimachinery.pkg.api.resource.Quantity":
        return True, _bytes(dict(_fields(data)).get(1, b"")).decode() or "0"
    if kind == "k8s.io.apimachinery.pkg.util.intstr.IntOrString":
        found = dict(_fields(data))
        if found.get(1, 0) == 1:
            return True, _bytes(found.get(3, b"")).decode()
        return True, _scalar(found.get(2, 0), "int32")
    if kind in (f"{_META}.FieldsV1", "k8s.io.apimachinery.pkg.runtime.RawExtension", f"{_EXTENSIONS}.v1.JSON"):
        raw = _bytes(dict(_fields(data)).get(1, b""))
        return True, orjson.loads(raw) if raw else None
    if kind.startswith(f"{_EXTENSIONS}.v1.JSONSchemaPropsOr"):
        # The JSON of these is one of their fields: a schema, a boolean, or a list.
        raw_fields = list(_fields(data))
        whole = _message(data, kind)
        if name == "JSONSchemaPropsOrBool":
            return True, whole["schema"] if any(number == 2 for number, _ in raw_fields) else any(
                raw == 1 for number, raw in raw_fields if number == 1
            )
        listed = whole.get("jSONSchemas") or whole.get("property")
        return True, listed if listed else whole.get("schema", {})
    if name == "ExtraValue":
        return True, [_scalar(each, "string") for number, each in _fields(data) if number == 1]
    return False, None


def _value(value: int | bytes, kind: str) -> Any:
    if kind not in _table():
        return _scalar(value, kind)
    done, special = _special(_bytes(value), kind)
    return special if done else _message(_bytes(value), kind)


def _message(data: bytes, name: str) -> Object:
    table = _table()[name]
    result: Object = {}
    for number, raw in _fields(data):
        known = table.get(number)
        if known is None:
            continue
        field, kind, flags = known
        if "m" in flags:
            entry = dict(_fields(_bytes(raw)))
            key = _bytes(entry.get(1, b"")).decode()
            result.setdefault(field, {})[key] = _value(entry.get(2, b"" if kind in _table() or kind in ("string", "bytes") else 0), kind)
            continue
        value = _value(raw, kind)
        if "l" in flags:
            result.setdefault(field, []).append(value)
        elif "i" in flags:
            result |= value
        elif value is not None and (value or "p" in flags):
            result[field] = value
    return result
