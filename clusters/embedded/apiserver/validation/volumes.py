"""Volumes of a Pod: exactly one source each, and each source whole."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.env import field_selector, resource_selector
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_DOWNWARD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_MIN_TOKEN_SECONDS = 600


def _mode(value: int | None, path: Path) -> Errors:
    return [field.invalid(path, value, _FILE_MODE)] if value is not None and not 0 <= value <= 0o777 else []


def _file_path(value: str, path: Path) -> Errors:
    """A file inside a volume whose own bookkeeping starts with two dots."""
    if not value:
        return [field.required(path)]
    found = values.descending_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        found.append(field.invalid(path, value, "must not start with '..'"))
    return found


def _items(source: Object, path: Path) -> Errors:
    found: Errors = []
    for index, item in enumerate(source.get("items") or []):
        where = path.child("items")[index]
        if not item.get("key"):
            found.append(field.required(where.child("key")))
        found += _file_path(item.get("path", ""), where.child("path"))
        found += _mode(item.get("mode"), where.child("mode"))
    return found


def _empty_dir(source: Object, path: Path) -> Errors:
    size = values.amount(source.get("sizeLimit", 0))
    if size is not None and size < 0:
        return [field.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
    return []


def _host_path(source: Object, path: Path) -> Errors:
    if not source.get("path"):
        return [field.required(path.child("path"))]
    found = values.no_backsteps(source["path"], path.child("path"))
    if source.get("type") is not None and source["type"] not in _HOST_PATH_TYPES:
        found.append(field.not_supported(path.child("type"), source["type"], _HOST_PATH_TYPES))
    return found


def _secret(source: Object, path: Path) -> Errors:
    found = [] if source.get("secretName") else [field.required(path.child("secretName"))]
    return found + _mode(source.get("defaultMode"), path.child("defaultMode")) + _items(source, path)


def _config_map(source: Object, path: Path) -> Errors:
    found = [] if source.get("name") else [field.required(path.child("name"))]
    return found + _mode(source.get("defaultMode"), path.child("defaultMode")) + _items(source, path)


def _claim(source: Object, path: Path) -> Errors:
    return [] if source.get("claimName") else [field.required(path.child("claimName"))]


def _nfs(source: Object, path: Path) -> Errors:
    found = [field.required(path.child(name)) for name in ("server", "path") if not source.get(name)]
    if source.get("path") and not source["path"].startswith("/"):
        found.append(field.invalid(path.child("path"), source["path"], "must be an absolute path"))
    return found


def _downward(source: Object, path: Path) -> Errors:
    found = _mode(source.get("defaultMode"), path.child("defaultMode"))
    # The original leaves the index out of the path of a single file.
    where = path
    for item in source.get("items") or []:
        found += _file_path(item.get("path", ""), where.child("path"))
        if item.get("fieldRef"):
            found += field_selector(item["fieldRef"], _DOWNWARD_FIELDS, where.child("fieldRef"))
            if item.get("resourceFieldRef"):
                found.append(field.invalid(where, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
        elif item.get("resourceFieldRef"):
            found += resource_selector(item["resourceFieldRef"], where.child("resourceFieldRef"), in_volume=True)
        else:
            found.append(field.required(where.child("fieldRef"), "one of fieldRef and resourceFieldRef is required"))
        found += _mode(item.get("mode"), where.child("mode"))
    return found


def _token(source: Object, path: Path) -> Errors:
    found: Errors = []
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_TOKEN_SECONDS:
        found.append(field.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"))
    if not source.get("path"):
        found.append(field.required(path.child("path")))
    return found


def _projected(source: Object, path: Path) -> Errors:
    found = _mode(source.get("defaultMode"), path.child("defaultMode"))
    kinds: dict[str, Callable[[Object, Path], Errors]] = {
        "secret": lambda each, where: ([] if each.get("name") else [field.required(where.child("name"))]) + _items(each, where),
        "configMap": lambda each, where: ([] if each.get("name") else [field.required(where.child("name"))]) + _items(each, where),
        "downwardAPI": _downward,
        "serviceAccountToken": _token,
        "clusterTrustBundle": lambda each, where: [],
        "podCertificate": lambda each, where: [],
    }
    for index, each in enumerate(source.get("sources") or []):
        where = path.child("sources")[index]
        given = [kind for kind in kinds if each.get(kind) is not None]
        for position, kind in enumerate(given):
            if position:
                found.append(field.forbidden(where.child(kind), "may not specify more than 1 volume type"))
            else:
                found += kinds[kind](each[kind], where.child(kind))
        if not given:
            found.append(field.required(where, "must specify a volume type"))
    return found


def _csi(source: Object, path: Path) -> Errors:
    return [] if source.get("driver") else [field.required(path.child("driver"))]


def _ephemeral(source: Object, path: Path) -> Errors:
    from clusters.embedded.apiserver.validation.storage import claim_spec

    template = source.get("volumeClaimTemplate")
    if template is None:
        return [field.required(path.child("volumeClaimTemplate"))]
    return claim_spec(template.get("spec") or {}, path.child("volumeClaimTemplate", "spec"))


def _image(source: Object, path: Path) -> Errors:
    found = [] if source.get("reference") else [field.required(path.child("reference"))]
    return found + values.choice(source.get("pullPolicy"), path.child("pullPolicy"), ("Always", "IfNotPresent", "Never"))


# In the order in which the API server looks for them: the first one given counts, the others are one too many.
_SOURCES: dict[str, Callable[[Object, Path], Errors] | None] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": None,
    "gcePersistentDisk": None,
    "awsElasticBlockStore": None,
    "secret": _secret,
    "nfs": _nfs,
    "iscsi": None,
    "glusterfs": None,
    "flexVolume": None,
    "configMap": _config_map,
    "rbd": None,
    "cinder": None,
    "cephfs": None,
    "flocker": None,
    "downwardAPI": _downward,
    "fc": None,
    "azureFile": None,
    "vsphereVolume": None,
    "quobyte": None,
    "azureDisk": None,
    "photonPersistentDisk": None,
    "portworxVolume": None,
    "scaleIO": None,
    "storageos": None,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}


def _source(volume: Object, path: Path) -> Errors:
    found: Errors = []
    given = [kind for kind in _SOURCES if volume.get(kind) is not None]
    for position, kind in enumerate(given):
        check = _SOURCES[kind]
        if position:
            found.append(field.forbidden(path.child(kind), "may not specify more than 1 volume type"))
        elif check is not None:
            found += check(volume[kind], path.child(kind))
    return found if given else [field.required(path, "must specify a volume type")]


def volumes(items: list[Object], path: Path) -> tuple[dict[str, Object], Errors]:
    """The volumes that are valid, by name (what mounts may refer to), and what is wrong with the others."""
    valid: dict[str, Object] = {}
    found: Errors = []
    for index, volume in enumerate(items):
        where, name = path[index], volume.get("name", "")
        errors = _source(volume, where)
        if not name:
            errors.append(field.required(where.child("name")))
        else:
            errors += values.all_of(where.child("name"), name, content.dns_label(name))
        if name in valid:
            errors.append(field.duplicate(where.child("name"), name))
        if errors:
            found += errors
        else:
            valid[name] = volume
    return valid, found


def mounts(container: Object, known: dict[str, Object], path: Path) -> Errors:
    """`volumeMounts` and `volumeDevices` of a container; `path` is the container's."""
    found: Errors = []
    devices = {each.get("name"): each.get("devicePath") for each in container.get("volumeDevices") or []}
    mounted = {each.get("name"): each.get("mountPath") for each in container.get("volumeMounts") or []}
    seen: set[str] = set()
    base = path.child("volumeMounts")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        where, name, mount_path = base[index], mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(field.required(where.child("name")))
        if name not in known:
            found.append(field.not_found(where.child("name"), name))
        if not mount_path:
            found.append(field.required(where.child("mountPath")))
        if mount_path in seen:
            found.append(field.invalid(where.child("mountPath"), mount_path, "must be unique"))
        seen.add(mount_path)
        if name in devices:
            found.append(field.invalid(where.child("name"), name, "must not already exist in volumeDevices"))
        if mount_path in devices.values():
            found.append(field.invalid(where.child("mountPath"), mount_path, "must not already exist as a path in volumeDevices"))
        if mount.get("subPath"):
            found += values.descending_path(mount["subPath"], base.child("subPath"))
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                why = "subPathExpr and subPath are mutually exclusive"
                found.append(field.invalid(where.child("subPathExpr"), mount["subPathExpr"], why))
            found += values.descending_path(mount["subPathExpr"], base.child("subPathExpr"))
        found += _propagation(mount, container, base.child("mountPropagation"))
    return found + _devices(container, known, mounted, path.child("volumeDevices"))


def _propagation(mount: Object, container: Object, path: Path) -> Errors:
    mode = mount.get("mountPropagation")
    supported = ("Bidirectional", "HostToContainer", "None")
    if mode is None:
        return []
    if mode not in supported:
        return [field.not_supported(path, mode, supported)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        return [field.forbidden(path, "Bidirectional mount propagation is available only to privileged containers")]
    return []


def _devices(container: Object, known: dict[str, Object], mounted: dict[str, str], path: Path) -> Errors:
    found: Errors = []
    names: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or []):
        where, name, device_path = path[index], device.get("name", ""), device.get("devicePath", "")
        if not name:
            found.append(field.required(where.child("name")))
        if name in names:
            found.append(field.invalid(where.child("name"), name, "must be unique"))
        names.add(name)
        volume = known.get(name)
        if volume is None:
            found.append(field.not_found(where.child("name"), name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(field.invalid(where.child("name"), name, why))
        if not device_path:
            found.append(field.required(where.child("devicePath")))
        if name in mounted:
            found.append(field.invalid(where.child("name"), name, "must not already exist in volumeMounts"))
    return found
