"""Volumes of a Pod: exactly one source each, and each source whole."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.validation import content, field, metadata, values
from clusters.embedded.apiserver.validation.env import field_selector, resource_selector
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.apiserver.validation.storage import claim_spec, host_path
from kubeobjects import Object

_FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_PROJECTED = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")
_DOWNWARD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_MIN_TOKEN_SECONDS = 600


def _mode(value: int | None, path: Path) -> Errors:
    return [field.invalid(path, value, _FILE_MODE)] if value is not None and not 0 <= value <= 0o777 else []


def file_path(value: str, path: Path) -> Errors:
    """A file inside a volume whose own bookkeeping starts with two dots."""
    if not value:
        return [field.required(path)]
    found = values.descending_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        found.append(field.invalid(path, value, "must not start with '..'"))
    return found


def _items(source: Object, path: Path) -> Errors:
    return [error for index, item in enumerate(source.get("items") or []) for error in _item(item, path.child("items")[index])]


def _item(item: Object, path: Path) -> Errors:
    found = [] if item.get("key") else [field.required(path.child("key"))]
    return found + file_path(item.get("path", ""), path.child("path")) + _mode(item.get("mode"), path.child("mode"))


def _empty_dir(source: Object, path: Path) -> Errors:
    size = values.amount(source.get("sizeLimit", 0))
    if size is not None and size < 0:
        return [field.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")]
    return []


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
    return found + [error for item in source.get("items") or [] for error in downward_file(item, path)]


def downward_file(item: Object, path: Path) -> Errors:
    found = file_path(item.get("path", ""), path.child("path"))
    if item.get("fieldRef") is not None:
        found += field_selector(item["fieldRef"], _DOWNWARD_FIELDS, path.child("fieldRef"))
        if item.get("resourceFieldRef") is not None:
            found.append(field.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif item.get("resourceFieldRef") is not None:
        found += resource_selector(item["resourceFieldRef"], path.child("resourceFieldRef"), in_volume=True)
    else:
        found.append(field.required(path, "one of fieldRef and resourceFieldRef is required"))
    return found + _mode(item.get("mode"), path.child("mode"))


def _projected(source: Object, path: Path) -> Errors:
    found = _mode(source.get("defaultMode"), path.child("defaultMode"))
    files: set[str] = set()
    for index, each in enumerate(source.get("sources") or []):
        where = path.child("sources")[index]
        for kind in ("secret", "configMap"):
            if each.get(kind) is not None:
                found += _projected_items(each[kind], path, where.child(kind), files)
        for item in (each.get("downwardAPI") or {}).get("items") or []:
            found += downward_file(item, where.child("downwardAPI"))
            found += _once(item.get("path", ""), item.get("path", ""), path, files)
        if each.get("serviceAccountToken") is not None:
            found += _token(each["serviceAccountToken"], path, where.child("serviceAccountToken"))
        if sum(each.get(kind) is not None for kind in _PROJECTED) > 1:
            found.append(field.forbidden(where, "may not specify more than 1 volume type per source"))
    return found


def _projected_items(source: Object, volume: Path, path: Path, files: set[str]) -> Errors:
    name = source.get("name", "")
    found = [] if name else [field.required(path.child("name"))]
    for index, item in enumerate(source.get("items") or []):
        found += _item(item, path.child("items")[index]) + _once(item.get("path", ""), name, volume, files)
    return found


def _once(file: str, shown: str, path: Path, files: set[str]) -> Errors:
    """Each file of a projected volume comes from one source."""
    found = [field.invalid(path, shown, "conflicting duplicate paths")] if file and file in files else []
    files.add(file)
    return found


def _token(source: Object, volume: Path, path: Path) -> Errors:
    """The original names the volume's own path and not the token's."""
    found: Errors = []
    seconds = source.get("expirationSeconds", 0)
    if seconds < _MIN_TOKEN_SECONDS:
        found.append(field.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 2**32:
        found.append(field.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"))
    return found + file_path(source.get("path", ""), volume.child("path"))


def _csi(source: Object, path: Path) -> Errors:
    return [] if source.get("driver") else [field.required(path.child("driver"))]


def _ephemeral(source: Object, path: Path) -> Errors:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [field.required(path.child("volumeClaimTemplate"))]
    where, meta = path.child("volumeClaimTemplate"), template.get("metadata") or {}
    found = metadata.annotation_map(meta.get("annotations"), where.child("metadata", "annotations"))
    found += metadata.labels(meta.get("labels"), where.child("metadata", "labels"))
    return found + claim_spec(template.get("spec") or {}, where.child("spec"))


def _image(source: Object, path: Path) -> Errors:
    found = [] if source.get("reference") else [field.required(path.child("reference"))]
    return found + values.choice(source.get("pullPolicy"), path.child("pullPolicy"), ("Always", "IfNotPresent", "Never"))


# In the order in which the API server looks for them: the first one given counts, the others are one too many.
_SOURCES: dict[str, Callable[[Object, Path], Errors] | None] = {
    "emptyDir": _empty_dir,
    "hostPath": host_path,
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
