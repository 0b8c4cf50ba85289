"""Values as the API server's own types write them, for the messages that show a whole struct or what would change in one.

Go marshals these types by the names of their fields, in the order of the struct and with all that is unset; types of metav1 keep their
JSON names. internal_types.json (tools/internal_types.py) has the structs.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded.apiserver.validation.field import Path as FieldPath
from clusters.embedded.errors import FieldError
from kubeobjects import Object

_ZERO: dict[str, Any] = {
    "string": "",
    "types.UID": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "intstr.IntOrString": 0,
    "resource.Quantity": "0",
}
# Fields whose Go name is more than the JSON name in capitals.
_JSON_NAMES = {
    "discoverychapauth": "chapAuthDiscovery", "sessionchapauth": "chapAuthSession", "cephmonitors": "monitors", "rbdimage": "image",
    "rbdpool": "pool", "radosuser": "user", "endpointsname": "endpoints",
}  # fmt: skip
# What the internal Pod has in its security context and a client's Pod has in the spec itself.
_OF_THE_HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_METADATA = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
)  # fmt: skip
_SELECTOR = ("matchLabels", "matchExpressions", "key", "operator", "values")


@cache
def _structs() -> dict[str, list[tuple[str, str]]]:
    structs: dict[str, list[tuple[str, str]]] = orjson.loads(Path(__file__).with_name("internal_types.json").read_bytes())
    return structs


def _ordered(value: Any, names: tuple[str, ...]) -> Any:
    """A value of metav1 in the order of its struct; maps inside it are sorted."""
    if isinstance(value, list):
        return [_ordered(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    known = [name for name in names if value.get(name) is not None]
    return {name: _ordered(value[name], names) for name in known or sorted(value)}


def internal(kind: str, value: Any) -> Any:
    """`value`, in a client's JSON, as the internal type `kind` (core.Container, *int64, []core.Volume) writes it."""
    if kind.startswith("*"):
        return None if value is None else internal(kind[1:], value)
    if kind.startswith("[]"):
        return None if value is None else [internal(kind[2:], each) for each in value]
    if kind.startswith("map["):
        return None if value is None else {name: value[name] for name in sorted(value)}
    if kind == "metav1.LabelSelector":
        return _ordered(value, _SELECTOR)
    if kind in _structs():
        return _struct(kind, value or {})
    return _ZERO.get(kind) if value is None else value


def _struct(kind: str, value: Object) -> Object:
    if kind == "core.PodSpec":
        context = {**(value.get("securityContext") or {}), **{name: value[name] for name in _OF_THE_HOST if name in value}}
        value = {**value, "securityContext": context}
    by_name = {name.lower(): each for name, each in value.items()}
    shown: Object = {}
    for name, of in _structs()[kind]:
        if of == "metav1.ObjectMeta":
            shown |= _ordered(value.get("metadata") or {}, _METADATA)
        elif not name:
            shown |= _struct(of, value)
        else:
            shown[name] = internal(of, by_name.get(_JSON_NAMES.get(name.lower(), name).lower()))
    return shown


def _escaped(text: str) -> str:
    """What Go's encoder escapes beyond JSON's rules."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def invalid(path: FieldPath, kind: str, value: Object, detail: str) -> FieldError:
    """An invalid value that the message shows as its internal type."""
    text = json.dumps(internal(kind, value), ensure_ascii=False, separators=(",", ":"))
    return FieldError(str(path), "FieldValueInvalid", f"Invalid value: {_escaped(text)}: {detail}")


def difference(kind: str, old: Object, new: Object) -> str:
    """The unified diff of two values (k8s.io/apimachinery/pkg/util/diff)."""
    before, after = ([f"{line}\n" for line in _escaped(_indented(internal(kind, each))).split("\n")] for each in (old, new))
    return "".join(list(difflib.unified_diff(before, after, n=3))[2:])


def _indented(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
