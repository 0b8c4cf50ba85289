"""What a container mounts: each volume that it names is there, each place is taken once (core/validation ValidateVolumeMounts)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object


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
