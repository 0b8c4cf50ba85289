"""Validation of PersistentVolumeClaims, PersistentVolumes and StorageClasses."""

from __future__ import annotations

import posixpath
from decimal import ROUND_FLOOR
from typing import Any

from clusters.embedded.apiserver.validation import content, field, internal_types, metadata, placement, topology, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM = ("Delete", "Recycle", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_NOT_SOURCES = {
    "capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions", "volumeMode",
    "nodeAffinity", "volumeAttributesClassName",
}  # fmt: skip
_CLAIM_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _access_modes(modes: list[str], path: Path) -> Errors:
    found = [field.not_supported(path, mode, _MODES) for mode in modes if mode not in _MODES]
    if "ReadWriteOncePod" in modes and any(mode in _MODES and mode != "ReadWriteOncePod" for mode in modes):
        found.append(field.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return found


def claim_spec(spec: Object, path: Path) -> Errors:
    found: Errors = []
    if not spec.get("accessModes"):
        found.append(field.required(path.child("accessModes"), "at least 1 access mode is required"))
    found += metadata.label_selector(spec.get("selector"), path.child("selector"))
    found += _access_modes(spec.get("accessModes") or [], path.child("accessModes"))
    requests = (spec.get("resources") or {}).get("requests") or {}
    where = path.child("resources").key("storage")
    if "storage" not in requests:
        found.append(field.required(where))
    else:
        amount = values.amount(requests["storage"])
        if amount is not None and amount <= 0:
            found.append(field.invalid(where, str(requests["storage"]), content.NOT_POSITIVE))
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        found += values.all_of(path.child("storageClassName"), name, content.dns_subdomain(name))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in _VOLUME_MODES:
        found.append(field.not_supported(path.child("volumeMode"), mode, _VOLUME_MODES))
    for source in ("dataSource", "dataSourceRef"):
        if spec.get(source) is not None:
            found += _data_source(spec[source], path.child(source))
    return found


def _data_source(source: Object, path: Path) -> Errors:
    found = [field.required(path.child(name)) for name in ("name", "kind") if not source.get(name)]
    kind, group = source.get("kind", ""), source.get("apiGroup") or ""
    if group:
        found += values.all_of(path.child("apiGroup"), group, content.dns_subdomain(group))
    elif kind != "PersistentVolumeClaim":
        found.append(field.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    if source.get("namespace"):
        found += values.all_of(path.child("namespace"), source["namespace"], content.dns_label(source["namespace"]))
    return found


def host_path(source: Object, path: Path) -> Errors:
    if not source.get("path"):
        return [field.required(path.child("path"))]
    found = values.no_backsteps(source["path"], path.child("path"))
    if source.get("type") is not None and source["type"] not in _HOST_PATH_TYPES:
        found.append(field.not_supported(path.child("type"), source["type"], _HOST_PATH_TYPES))
    return found


def claim(obj: Object) -> Errors:
    return claim_spec(obj.get("spec") or {}, _SPEC)


def claim_update(new: Object, old: Object) -> Errors:
    """Only a bound claim may ask for more storage; binding itself sets the volume's name and the class."""
    spec, before = dict(new["spec"]), old["spec"]
    found: Errors = []
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        # The binder's update: a claim that has no volume gets one.
        before = {**before, "volumeName": spec.get("volumeName")}
    if before.get("storageClassName") is None and "storageClassName" in spec:
        # A default class that came later is filled in once.
        spec["storageClassName"] = None
    asked, had = _storage(spec), _storage(before)
    if bound:
        spec["resources"] = before.get("resources")
        spec["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if not same(spec, before):
        shown = internal_types.difference("core.PersistentVolumeClaimSpec", before, spec)
        found.append(field.forbidden(_SPEC, f"{_CLAIM_IMMUTABLE}\n{shown}"))
    if bound and asked is not None and had is not None and asked < had:
        where = _SPEC.child("resources", "requests", "storage")
        found.append(field.forbidden(where, "field can not be less than status.capacity"))
    return found


def _storage(spec: Object) -> Any:
    return values.amount(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))


def volume(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = [] if spec.get("accessModes") else [field.required(_SPEC.child("accessModes"))]
    found += _access_modes(spec.get("accessModes") or [], _SPEC.child("accessModes"))
    capacity = spec.get("capacity") or {}
    if not capacity:
        found.append(field.required(_SPEC.child("capacity")))
    if list(capacity) != ["storage"]:
        found.append(field.not_supported(_SPEC.child("capacity"), capacity or None, ("storage",)))
    for name, value in sorted(capacity.items()):
        amount, where = values.amount(value), _SPEC.child("capacity").key(name)
        if amount is not None and amount < 0:
            rounded = int(amount.to_integral_value(ROUND_FLOOR))
            found.append(field.invalid(where, rounded, "must be a valid resource quantity"))
        if amount is not None and amount <= 0:
            found.append(field.invalid(where, str(value), content.NOT_POSITIVE))
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM:
        found.append(field.not_supported(_SPEC.child("persistentVolumeReclaimPolicy"), policy, _RECLAIM))
    affinity, where = spec.get("nodeAffinity"), _SPEC.child("nodeAffinity", "required")
    if affinity is not None and affinity.get("required") is None:
        found.append(field.required(where, "must specify required node constraints"))
    elif affinity is not None:
        found += placement.node_selector(affinity["required"], where)
    sources = [name for name in spec if name not in _NOT_SOURCES and spec[name] is not None]
    if spec.get("hostPath") is not None:
        found += host_path(spec["hostPath"], _SPEC.child("hostPath"))
    if not sources:
        found.append(field.required(_SPEC, "must specify a volume type"))
    found += [field.forbidden(_SPEC.child(name), "may not specify more than 1 volume type") for name in sources[1:]]
    if policy == "Recycle" and posixpath.normpath((spec.get("hostPath") or {}).get("path") or ".") == "/":
        where = _SPEC.child("persistentVolumeReclaimPolicy")
        found.append(field.forbidden(where, "may not be 'recycle' for a hostPath mount of '/'"))
    if spec.get("local") is not None and not (spec.get("nodeAffinity") or {}).get("required"):
        found.append(field.required(_SPEC.child("nodeAffinity"), "Local volume requires node affinity"))
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        found += values.all_of(_SPEC.child("storageClassName"), name, content.dns_subdomain(name))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in _VOLUME_MODES:
        found.append(field.not_supported(_SPEC.child("volumeMode"), mode, _VOLUME_MODES))
    return found


def volume_update(new: Object, old: Object) -> Errors:
    def source(spec: Object) -> Object:
        return {name: value for name, value in spec.items() if name not in _NOT_SOURCES}

    found: Errors = []
    if not same(source(new["spec"]), source(old["spec"])):
        shown = internal_types.difference("core.PersistentVolumeSource", source(old["spec"]), source(new["spec"]))
        why = f"spec.persistentvolumesource is immutable after creation\n{shown}"
        found.append(field.forbidden(_SPEC.child("persistentvolumesource"), why))
    if not same(new["spec"].get("volumeMode"), old["spec"].get("volumeMode")):
        found.append(field.invalid(_SPEC.child("volumeMode"), new["spec"].get("volumeMode"), content.IMMUTABLE))
    return found


def storage_class(obj: Object) -> Errors:
    found: Errors = []
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        found.append(field.required(Path("provisioner")))
    else:
        found += values.all_of(Path("provisioner"), provisioner, content.qualified_name(provisioner.lower()))
    found += topology.parameters(obj.get("parameters") or {}, Path("parameters"))
    policy = obj.get("reclaimPolicy")
    if policy and policy not in ("Delete", "Retain"):
        found.append(field.not_supported(Path("reclaimPolicy"), policy, ("Delete", "Retain")))
    mode = obj.get("volumeBindingMode")
    if mode is None:
        found.append(field.required(Path("volumeBindingMode")))
    elif mode not in _BINDING:
        found.append(field.not_supported(Path("volumeBindingMode"), mode, _BINDING))
    return found + topology.allowed(obj.get("allowedTopologies") or [], Path("allowedTopologies"))


def storage_class_update(new: Object, old: Object) -> Errors:
    found: Errors = []
    if not same(new.get("parameters"), old.get("parameters")):
        found.append(field.forbidden(Path("parameters"), "updates to parameters are forbidden."))
    if new.get("provisioner") != old.get("provisioner"):
        found.append(field.forbidden(Path("provisioner"), "updates to provisioner are forbidden."))
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        found.append(field.forbidden(Path("reclaimPolicy"), "updates to reclaimPolicy are forbidden."))
    return found + metadata.immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), Path("volumeBindingMode"))
