"""The node's GPUs: labels and faults in, `Device`s with identity, memory and health out. Nothing here has an effect."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_device_plugin.faults import Faults

_DATA: dict[str, Any] = json.loads(Path(__file__).with_name("products.json").read_text())
APPLICATION_XIDS = frozenset(_DATA["applicationXids"])
_NAMESPACE = uuid.UUID("6a1a7c56-0f0e-5b5c-9a49-6c6162677075")


@dataclass(frozen=True)
class MigDevice:
    """What makes a device a part of a card: `parent` is the card's UUID, `gi` the GPU instance's ID, `slices` how many memory slices it has."""

    profile: str
    parent: str
    gi: int
    slices: int
    multiprocessors: int
    copy_engines: int
    encoders: int
    decoders: int
    ofa_engines: int
    jpeg_engines: int


@dataclass(frozen=True)
class Device:
    """One GPU, or a part of one. `memory` in MiB; `lost`: it has fallen off the bus and the driver cannot talk to it any more."""

    index: int
    uuid: str
    product: str
    memory: int
    bus_id: str
    compute_capability: str
    idle_power: int
    power_limit: int
    mig: bool
    xid: int = 0
    mig_device: MigDevice | None = None

    @property
    def healthy(self) -> bool:
        """An Xid that a faulty program raises says nothing about the device; every other one does (as in NVIDIA's plugin)."""
        return self.xid == 0 or self.xid in APPLICATION_XIDS

    @property
    def lost(self) -> bool:
        return self.xid in _DATA["lostXids"]


@dataclass(frozen=True)
class Driver:
    """The node's GPU driver: its version, and the newest CUDA that it can serve."""

    version: str
    cuda: str


def driver(faults: Faults) -> Driver:
    """The driver that the faults ask for, or the usual one. A branch that is not known serves the CUDA of the next older one that is."""
    version = faults.driver_version or _DATA["drivers"]["default"]
    branch = int(version.split(".")[0])
    known = sorted(((int(each), cuda) for each, cuda in _DATA["drivers"]["cuda"].items()), reverse=True)
    return Driver(version, next((cuda for each, cuda in known if each <= branch), known[-1][1]))


def devices(node: str, labels: Mapping[str, str], faults: Faults) -> list[Device]:
    """The devices of the node called `node`, by its labels `nvidia.com/gpu.product` and `nvidia.com/gpu.count` (absent: one).

    A count that is no number means none.
    """
    label = labels.get("nvidia.com/gpu.product", "")
    text = labels.get("nvidia.com/gpu.count", "1" if label else "0")
    count = int(text) if text.isdecimal() else 0
    if faults.no_devices or not label:
        return []
    product = _DATA["products"].get(label, _DATA["unknown"])
    megabytes = labels.get("nvidia.com/gpu.memory", "")
    return [
        Device(
            index=index,
            uuid=f"GPU-{uuid.uuid5(_NAMESPACE, f'{node}/{index}')}",
            product=_display_name(label),
            memory=int(megabytes) if megabytes.isdecimal() else product["memory"],
            bus_id=f"00000000:{4 + index:02X}:00.0",
            compute_capability=product["computeCapability"],
            idle_power=product["idlePower"],
            power_limit=product["powerLimit"],
            mig=product["mig"],
            xid=faults.xid(index),
        )
        for index in range(count)
    ]


def _display_name(label: str) -> str:
    """`NVIDIA-A100-SXM4-40GB` → `NVIDIA A100-SXM4-40GB`, `Tesla-T4` → `Tesla T4`: labels hold no spaces, the driver's names do."""
    maker, dash, rest = label.partition("-")
    name = f"{maker} {rest}" if dash else label
    return name.replace("H100-80GB-HBM3", "H100 80GB HBM3")


def preferred(available: list[str], must_include: list[str], size: int, order: list[str]) -> list[str]:
    """`size` device IDs out of `available`: those that must be among them, then the others as they lie on the bus (`order`)."""
    chosen = list(must_include)
    for device in sorted(available, key=lambda each: order.index(each) if each in order else len(order)):
        if len(chosen) >= size:
            break
        if device not in chosen:
            chosen.append(device)
    return chosen[:size]
