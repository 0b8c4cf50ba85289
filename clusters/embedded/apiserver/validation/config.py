"""Validation of ConfigMaps, Secrets and Leases."""

from __future__ import annotations

import base64
import json

from clusters.embedded.apiserver import json_words
from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_MAX_SIZE = 1024 * 1024
# What each well-known type of Secret has to hold.
_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def config_map(obj: Object) -> Errors:
    found: Errors = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in sorted(data.items()):
        found += values.all_of(Path("data").key(key), key, content.config_key(key))
        if key in binary:
            found.append(field.invalid(Path("data").key(key), key, "duplicate of key present in binaryData"))
        size += len(value.encode())
    for key, value in sorted(binary.items()):
        found += values.all_of(Path("binaryData").key(key), key, content.config_key(key))
        size += len(value) * 3 // 4
    if size > _MAX_SIZE:
        found.append(field.too_long(Path(), _MAX_SIZE))
    return found


def _frozen(new: Object, old: Object, fields: tuple[str, ...]) -> Errors:
    """Objects marked `immutable` stay as they are, and stay marked."""
    if not old.get("immutable"):
        return []
    found: Errors = []
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        found.append(field.forbidden(Path("immutable"), why))
    for name in fields:
        if not same(new.get(name), old.get(name)):
            found.append(field.forbidden(Path(name), why))
    return found


def config_map_update(new: Object, old: Object) -> Errors:
    return _frozen(new, old, ("data", "binaryData"))


def secret(obj: Object) -> Errors:
    found: Errors = []
    data = obj.get("data") or {}
    size = 0
    for key, value in sorted(data.items()):
        found += values.all_of(Path("data").key(key), key, content.config_key(key))
        size += len(value or "") * 3 // 4
    if size > _MAX_SIZE:
        found.append(field.too_long(Path("data"), _MAX_SIZE))
    kind = obj.get("type", "")
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
            found.append(field.required(Path("data").key(key)))
    if kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"):
        key = _SECRET_KEYS[kind][0]
        why = _no_json_object(data[key] or "") if key in data else ""
        if why:
            found.append(field.invalid(Path("data").key(key), "<secret contents redacted>", why))
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        found.append(field.required(Path("data").key("username")))
        found.append(field.required(Path("data").key("password")))
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not (obj["metadata"].get("annotations") or {}).get(annotation):
            found.append(field.required(Path("metadata", "annotations").key(annotation)))
    return found


def _no_json_object(encoded: str) -> str:
    """Why Go cannot read this into a map: as JSON at all, or as an object; "" where it can."""
    raw = base64.b64decode(encoded)
    why = json_words.complaint(raw)
    if why:
        return why
    value = json.loads(raw.decode(errors="replace"))
    return (
        ""
        if isinstance(value, dict | type(None))
        else f"json: cannot unmarshal {json_words.go_type(value)} into Go value of type map[string]interface {{}}"
    )


def secret_update(new: Object, old: Object) -> Errors:
    return metadata.immutable(new.get("type"), old.get("type"), Path("type")) + _frozen(new, old, ("data",))


def lease(obj: Object) -> Errors:
    """coordination/validation ValidateLeaseSpec; coordinated election is off, so a strategy never gets here."""
    spec, path = obj.get("spec") or {}, Path("spec")
    found: Errors = []
    for name, least, words in (("leaseDurationSeconds", 1, "greater than 0"), ("leaseTransitions", 0, "greater than or equal to 0")):
        value = spec.get(name)
        if value is not None and value < least:
            found.append(field.invalid(path.child(name), value, f"must be {words}"))
    return found
