"""The plugin's configuration file, and what a node offers by it: devices in, resources with the IDs of their devices out.

The file has the form of NVIDIA's plugin:

    version: v1
    flags:
      migStrategy: mixed                    # none, single or mixed
    sharing:
      timeSlicing:                          # or mps
        renameByDefault: true               # nvidia.com/gpu is offered as nvidia.com/gpu.shared
        failRequestsGreaterThanOne: true
        resources:
          - name: nvidia.com/gpu
            replicas: 4
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpu_device_plugin.inventory import Device

GPU = "nvidia.com/gpu"
NONE, TIME_SLICING, MPS = "none", "time-slicing", "mps"
_STRATEGIES = ("none", "single", "mixed")
_SEPARATOR = "::"


class ConfigError(ValueError):
    """A configuration that makes no sense; the message names the field."""


@dataclass(frozen=True)
class Replicated:
    """A resource whose devices are each offered `replicas` times, under the name `offered`."""

    replicas: int
    offered: str


@dataclass(frozen=True)
class Config:
    """`strategy` is how devices are shared (none, time-slicing, mps); `shared` has the resources that are, by the name of their devices."""

    mig_strategy: str = "none"
    strategy: str = NONE
    shared: Mapping[str, Replicated] = field(default_factory=dict)
    one_at_most: bool = False


@dataclass(frozen=True)
class Offer:
    """What the kubelet is told of: the ID that it hands back in Allocate, and the device behind it."""

    id: str
    device: Device


def parse(text: str) -> Config:
    """Raises ConfigError."""
    # Imported here: a plugin without a configuration file does without it.
    import yaml

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or found.get("version") != "v1":
        raise ConfigError(f"unknown version: {found.get('version') if isinstance(found, dict) else found}")
    strategy = (found.get("flags") or {}).get("migStrategy") or "none"
    if strategy not in _STRATEGIES:
        raise ConfigError(f"unknown MIG strategy: {strategy}")
    sharing = found.get("sharing") or {}
    if unknown := sorted(set(sharing) - {"timeSlicing", "mps"}):
        raise ConfigError(f"unknown field sharing.{unknown[0]}")
    if sharing.get("timeSlicing") and sharing.get("mps"):
        raise ConfigError("using both time-slicing and mps is not supported: a device is shared in one way")
    mode = MPS if sharing.get("mps") else TIME_SLICING if sharing.get("timeSlicing") else NONE
    table = sharing.get("mps") or sharing.get("timeSlicing") or {}
    shared = dict(_replicated(row, bool(table.get("renameByDefault"))) for row in table.get("resources") or [])
    if mode == MPS and (parts := [name for name in shared if name != GPU]):
        raise ConfigError(f"sharing.mps: {parts[0]}: MPS is not supported for MIG devices")
    return Config(strategy, mode if shared else NONE, shared, bool(table.get("failRequestsGreaterThanOne")))


def _replicated(row: Any, rename: bool) -> tuple[str, Replicated]:
    if not isinstance(row, dict) or not row.get("name"):
        raise ConfigError("a resource under sharing needs a name")
    resource, replicas = str(row["name"]), row.get("replicas")
    resource = resource if "/" in resource else f"nvidia.com/{resource}"
    if not isinstance(replicas, int) or replicas < 2:
        raise ConfigError(f"{resource}: number of replicas must be >= 2, not {replicas}")
    return resource, Replicated(replicas, str(row.get("rename") or (f"{resource}.shared" if rename else resource)))


def offers(devices: Sequence[Device], config: Config) -> dict[str, list[Offer]]:
    """What is offered under which resource. `devices` are cards that are whole, and the parts of those that are not.

    The replicas of a device stand behind the first ones of all others: whoever comes next gets the card that is shared least.
    """
    found: dict[str, list[Offer]] = {}
    by_resource: dict[str, list[Device]] = {}
    for device in devices:
        by_resource.setdefault(resource_of(device, config), []).append(device)
    for resource, its in by_resource.items():
        row = config.shared.get(resource)
        if row is None:
            found.setdefault(resource, []).extend(Offer(device.uuid, device) for device in its)
        else:
            copies = [Offer(f"{device.uuid}{_SEPARATOR}{number}", device) for number in range(row.replicas) for device in its]
            found.setdefault(row.offered, []).extend(copies)
    return found


def resource_of(device: Device, config: Config) -> str:
    """The resource that the device itself belongs to: a part of a card has a name of its own under the strategy `mixed`."""
    if device.mig_device and config.mig_strategy == "mixed":
        return f"nvidia.com/mig-{device.mig_device.profile}"
    return GPU


def uuid_of(device_id: str) -> str:
    """`GPU-…::3`, a replica, as the device's own UUID."""
    return device_id.partition(_SEPARATOR)[0]


def is_replica(device_id: str) -> bool:
    return _SEPARATOR in device_id


def memory_limit(device: Device, config: Config) -> int | None:
    """The memory (MiB) that MPS lets each client of the device have: an equal share. None where nothing limits it."""
    row = config.shared.get(resource_of(device, config))
    return device.memory // row.replicas if row and config.strategy == MPS else None
