"""Validation of ConfigMaps, Secrets, ServiceAccounts, Namespaces, Nodes and other plain core kinds."""

from __future__ import annotations

import base64
import binascii
import json

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation import content, field, metadata, placement, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_MAX_SIZE = 1024 * 1024
_NODE_IMMUTABLE = ("providerID", "podCIDR", "podCIDRs")
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
        if key not in data:
            found.append(field.required(Path("data").key(key)))
    if kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"):
        key = _SECRET_KEYS[kind][0]
        if key in data and not _is_json(data[key]):
            found.append(field.invalid(Path("data").key(key), "<secret contents redacted>", "invalid character in JSON"))
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        found.append(field.required(Path("data").key("username")))
        found.append(field.required(Path("data").key("password")))
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not (obj["metadata"].get("annotations") or {}).get(annotation):
            found.append(field.required(Path("metadata", "annotations").key(annotation)))
    return found


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except (binascii.Error, ValueError):
        return False
    return True


def secret_update(new: Object, old: Object) -> Errors:
    return metadata.immutable(new.get("type"), old.get("type"), Path("type")) + _frozen(new, old, ("data",))


def namespace(obj: Object) -> Errors:
    found: Errors = []
    for index, name in enumerate((obj.get("spec") or {}).get("finalizers") or []):
        found += metadata.label_name(name, Path("spec", "finalizers")[index])
    return found


def node(obj: Object) -> Errors:
    # The path is that of the original, which looks for taints in the metadata.
    return placement.taints((obj.get("spec") or {}).get("taints") or [], Path("metadata", "taints"))


def node_update(new: Object, old: Object) -> Errors:
    """Labels, annotations, taints and `unschedulable` may change; what the cloud and the kubelet own may be set once."""
    found: Errors = []
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for name in _NODE_IMMUTABLE:
        if before.get(name) and spec.get(name) != before.get(name):
            why = f'node updates may not change {name} except from "" to valid'
            found.append(field.forbidden(Path("spec", name), why))
    return found


def event(obj: Object) -> Errors:
    found: Errors = []
    namespace = (obj.get("involvedObject") or obj.get("regarding") or {}).get("namespace", "")
    own = obj["metadata"].get("namespace", "")
    # Events about cluster-scoped objects live in one of two namespaces.
    fits = namespace == own if namespace else own in ("default", "kube-system")
    if not fits:
        found.append(field.invalid(Path("involvedObject", "namespace"), namespace, "does not match event.namespace"))
    return found


def endpoints(obj: Object) -> Errors:
    found: Errors = []
    for index, subset in enumerate(obj.get("subsets") or []):
        path = Path("subsets")[index]
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(field.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(name) or []):
                found += values.ip(address.get("ip", ""), path.child(name)[number].child("ip"))
        for number, port in enumerate(subset.get("ports") or []):
            where = path.child("ports")[number]
            if len(subset["ports"]) > 1 and not port.get("name"):
                found.append(field.required(where.child("name")))
            found += values.port_number(port.get("port", 0), where.child("port"))
    return found


def endpoint_slice(obj: Object) -> Errors:
    kind = obj.get("addressType", "")
    found = values.choice(kind, Path("addressType"), ("FQDN", "IPv4", "IPv6"))
    for index, endpoint in enumerate(obj.get("endpoints") or []):
        path = Path("endpoints")[index].child("addresses")
        if not endpoint.get("addresses"):
            found.append(field.required(path, "must contain at least 1 address"))
        for number, address in enumerate(endpoint.get("addresses") or []):
            if kind == "IPv4":
                found += values.all_of(path[number], address, content.ipv4(address))
    return found


def endpoint_slice_update(new: Object, old: Object) -> Errors:
    return metadata.immutable(new.get("addressType"), old.get("addressType"), Path("addressType"))


def lease(obj: Object) -> Errors:
    spec, path = obj.get("spec") or {}, Path("spec")
    found = values.positive(spec.get("leaseDurationSeconds"), path.child("leaseDurationSeconds"))
    return found + values.nonnegative(spec.get("leaseTransitions"), path.child("leaseTransitions"))
