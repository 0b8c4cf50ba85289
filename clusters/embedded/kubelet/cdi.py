"""The Container Device Interface as a container runtime applies it: names of devices in, what their specs add to a container out.

Specs are JSON or YAML files in the node's /etc/cdi and /var/run/cdi; what stands in the second wins over the first. Of a spec's edits
the environment, mounts and device nodes are applied; hooks, group IDs and network devices are not.
(tags.cncf.io/container-device-interface, pkg/cdi)
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from clusters.embedded.kubelet import beneath
from clusters.embedded.kubelet.runtime import Mount

log = logging.getLogger(__name__)

FOLDERS = ("/etc/cdi", "/var/run/cdi")
_VERSION = re.compile(r"v?(0\.[3-9]|1\.[01])\.\d+")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_-]*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")

Spec = dict[str, Any]


class CdiError(Exception):
    """Devices that cannot be given to a container; the text is containerd's."""


@dataclass
class Edits:
    env: dict[str, str] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)


def edits(names: Iterable[str], host_path: Callable[[str], Path]) -> Edits:
    """What the devices add, in their order; `host_path` tells where the node's path lies on this machine.

    Raises CdiError for devices that no spec has, and for a device node that the node does not have.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return Edits()
    devices = _devices(host_path)
    if unknown := [name for name in wanted if name not in devices]:
        raise CdiError(f"CDI device injection failed: unresolvable CDI devices {', '.join(unknown)}")
    made = Edits()
    applied: list[int] = []
    for name in wanted:
        spec, device = devices[name]
        # What a spec says for all its devices is applied once, before the first of them.
        if id(spec) not in applied:
            applied.append(id(spec))
            _apply(made, spec.get("containerEdits") or {}, host_path)
        _apply(made, device.get("containerEdits") or {}, host_path)
    return made


def _apply(made: Edits, edit: Spec, host_path: Callable[[str], Path]) -> None:
    for variable in edit.get("env") or []:
        name, _, value = variable.partition("=")
        made.env[name] = value
    for node in edit.get("deviceNodes") or []:
        outside = node.get("hostPath") or node["path"]
        found = host_path(outside)
        if not os.path.lexists(found):
            raise CdiError(
                f"CDI device injection failed: failed to inject devices: failed to stat CDI host device {outside!r}: no such file or directory"
            )
        _mount(made, Mount(beneath.clean(node["path"]), found, node.get("permissions") == "r"))
    for mount in edit.get("mounts") or []:
        read_only = "ro" in (mount.get("options") or [])
        _mount(made, Mount(beneath.clean(mount["containerPath"]), host_path(mount["hostPath"]), read_only))


def _mount(made: Edits, mount: Mount) -> None:
    """The later of two mounts at one place takes it."""
    made.mounts = [each for each in made.mounts if each.container_path != mount.container_path] + [mount]


def _devices(host_path: Callable[[str], Path]) -> dict[str, tuple[Spec, Spec]]:
    """Every device's qualified name (`vendor/class=name`) with its spec and its entry there."""
    found: dict[str, tuple[Spec, Spec]] = {}
    for folder in FOLDERS:
        own: dict[str, tuple[Spec, Spec]] = {}
        twice: set[str] = set()
        for path, spec in _specs(host_path(folder)):
            for device in spec["devices"]:
                name = f"{spec['kind']}={device['name']}"
                if name in own:
                    log.warning("%s: conflicting device %s", path, name)
                    twice.add(name)
                own[name] = (spec, device)
        found.update(own)
        for name in twice:
            found.pop(name)
    return found


def _specs(folder: Path) -> Iterator[tuple[Path, Spec]]:
    """The valid specs of one folder; what is wrong with another is logged, and its devices are not there."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.startswith(".") or not name.endswith((".json", ".yaml")):
            continue
        try:
            with open(beneath.open_file(folder, name, os.O_RDONLY), "rb") as file:
                text = file.read()
            spec = orjson.loads(text) if name.endswith(".json") else _yaml(text)
            _check(spec)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("failed to load CDI Spec %s: %s", folder / name, error)
            continue
        yield folder / name, spec


def _yaml(text: bytes) -> Any:
    # Loaded only where a spec is written that way; JSON is what drivers write here.
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _check(spec: Spec) -> None:
    """Raises ValueError (or what a spec of another form raises)."""
    if not _VERSION.fullmatch(spec["cdiVersion"]):
        raise ValueError(f"invalid version {spec['cdiVersion']!r}")
    if not _KIND.fullmatch(spec["kind"]):
        raise ValueError(f"invalid kind {spec['kind']!r}")
    if not spec.get("devices"):
        raise ValueError("invalid spec, no devices")
    for device in spec["devices"]:
        if not _NAME.fullmatch(device["name"]):
            raise ValueError(f"invalid device name {device['name']!r}")
        if not device.get("containerEdits"):
            raise ValueError(f"invalid device {device['name']!r}, empty device edits")
    for edit in (spec.get("containerEdits") or {}, *(each["containerEdits"] for each in spec["devices"])):
        for variable in edit.get("env") or []:
            if "=" not in variable:
                raise ValueError(f"invalid environment variable {variable!r}")
        for mount in edit.get("mounts") or []:
            if not mount.get("hostPath") or not mount.get("containerPath"):
                raise ValueError("invalid mount, empty host or container path")
        for node in edit.get("deviceNodes") or []:
            if not node.get("path"):
                raise ValueError("invalid device node, empty path")
