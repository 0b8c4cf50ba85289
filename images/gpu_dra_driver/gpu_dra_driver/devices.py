"""GPUs and their parts as ResourceSlices describe them: `inventory.Device`s in, devices of resource.k8s.io/v1 out. Nothing here has an effect.

Names, attributes, capacities, counters and taints are those of NVIDIA's driver (kubernetes-sigs/dra-driver-nvidia-gpu): a card that can be
partitioned is offered whole and in every part that it could be cut into, and all of them draw on one set of counters, so that the
scheduler hands out what still fits beside what is taken.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gpu_device_plugin.inventory import Device, Driver
from gpu_device_plugin.mig import COUNTED, SLICES, Part, name, parts

DRIVER = "gpu.nvidia.com"
Object = dict[str, Any]

_DATA: Object = json.loads(Path(__file__).with_name("products.json").read_text())
_UNITS = ("", "Ki", "Mi", "Gi", "Ti")


def slices(devices: list[Device], driver: Driver, *, dynamic_mig: bool) -> list[Object]:
    """What each ResourceSlice of the node's pool holds: counters first, then a card and its parts in each; one slice for cards without parts."""
    cut = {device.uuid: parts(device) for device in devices} if dynamic_mig else {}
    if not any(cut.values()):
        return [{"devices": [_whole(device, driver, []) for device in devices]}] if devices else []
    counters = [
        {"name": _counter_set(device), "counters": _counters(_most(device, own), 0, SLICES)}
        for device in devices
        if (own := cut[device.uuid])
    ]
    shared: list[Object] = [{"sharedCounters": counters}]
    for device in devices:
        own = cut[device.uuid]
        offered = [_whole(device, driver, own), *(_part(each, driver) for each in own)]
        shared.append({"devices": sorted(offered, key=lambda each: str(each["name"]))})
    return shared


def _product(device: Device) -> Object:
    found: Object = _DATA["products"].get(device.product, _DATA["unknown"])
    return found


def _common(device: Device, driver: Driver) -> Object:
    product = _product(device)
    return {
        "productName": {"string": device.product},
        "brand": {"string": product["brand"]},
        "architecture": {"string": product["architecture"]},
        "cudaComputeCapability": {"version": semantic(device.compute_capability)},
        "driverVersion": {"version": semantic(driver.version)},
        "cudaDriverVersion": {"version": semantic(driver.cuda)},
        "resource.kubernetes.io/pciBusID": {"string": device.bus_id.lower().removeprefix("0000")},
        "resource.kubernetes.io/pcieRoot": {"string": "pci0000:00"},
    }


def _whole(device: Device, driver: Driver, own: list[Part]) -> Object:
    attributes = {
        "type": {"string": "gpu"},
        "uuid": {"string": device.uuid},
        "index": {"int": device.index},
        **_common(device, driver),
    }
    found: Object = {"name": name(device), "attributes": attributes, "capacity": _capacity(_most(device, own))}
    if own:
        consumed = _counters(_most(device, own), 0, SLICES)
        found["consumesCounters"] = [{"counterSet": _counter_set(device), "counters": consumed}]
    return _tainted(found, device)


def _part(part: Part, driver: Driver) -> Object:
    amounts = {"memory": _bytes(part.memory), **{count: str(value) for count, value in part.counts}}
    found = {
        "name": part.name,
        "attributes": {
            "type": {"string": "mig"},
            "profile": {"string": part.profile},
            "parentUUID": {"string": part.parent.uuid},
            "parentIndex": {"int": part.parent.index},
            **_common(part.parent, driver),
        },
        "capacity": _capacity(amounts),
        "consumesCounters": [{"counterSet": _counter_set(part.parent), "counters": _counters(amounts, part.start, part.size)}],
    }
    return _tainted(found, part.parent)


def _most(device: Device, own: list[Part]) -> dict[str, str]:
    """What the whole card has: its memory, and of each other kind what its largest part has."""
    return {
        "memory": _bytes(device.memory),
        **({count: str(max(dict(each.counts)[count] for each in own)) for count in COUNTED} if own else {}),
    }


def _capacity(amounts: dict[str, str]) -> Object:
    return {kind: {"value": value} for kind, value in amounts.items()}


def _counter_set(device: Device) -> str:
    return f"{name(device)}-counter-set"


def _counters(amounts: dict[str, str], start: int, size: int) -> Object:
    """A counter of each amount (`copyEngines` → `copy-engines`), and one for each memory slice from `start` on."""
    counted = {re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", kind).lower(): {"value": value} for kind, value in amounts.items()}
    return counted | {f"memory-slice-{each}": {"value": "1"} for each in range(start, start + size)}


def _tainted(found: Object, device: Device) -> Object:
    if taint := taint_of(device):
        found["taints"] = [taint]
    return found


def taint_of(device: Device) -> Object | None:
    """A device that failed is not handed out any more; an Xid that programs cause is only told."""
    if not device.xid:
        return None
    if device.lost:
        return {"key": f"{DRIVER}/gpu-lost", "effect": "NoSchedule"}
    return {"key": f"{DRIVER}/xid", "value": str(device.xid), "effect": "None" if device.healthy else "NoSchedule"}


def health_message(device: Device) -> str:
    if not device.xid:
        return ""
    if device.lost:
        return "GPU is lost"
    return f"{'non-fatal' if device.healthy else 'critical'} XID {device.xid} reported by NVML"


def _bytes(mebibytes: int) -> str:
    """As Kubernetes writes the quantity: `40960` → `40Gi`, `4864` → `4864Mi`."""
    value, unit = mebibytes * 1024 * 1024, 0
    while value and value % 1024 == 0 and unit < len(_UNITS) - 1:
        value, unit = value // 1024, unit + 1
    return f"{value}{_UNITS[unit]}"


def semantic(version: str) -> str:
    """Three numbers without leading zeros: `8.0` → `8.0.0`, `470.57.02` → `470.57.2`."""
    numbers = [str(int(part)) for part in version.split(".")[:3]]
    return ".".join([*numbers, *["0"] * (3 - len(numbers))])
