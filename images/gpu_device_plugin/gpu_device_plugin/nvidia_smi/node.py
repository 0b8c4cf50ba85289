"""What a container sees of the node's GPUs: the description of the devices, and the reports of the programs that use them.

A report is a JSON document `{"process", "pid", "memory" (MiB), "utilization" (%)}` in a file of the device's usage folder. The program
holds a lock (flock) on it for as long as it lives: when it ends, however it ends, the kernel takes the lock away, and the report no
longer counts.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Device = dict[str, Any]
Report = dict[str, Any]

_IDLE_CELSIUS, _CELSIUS_PER_PERCENT = 33, 0.42
_IDLE_MHZ, _BUSY_MHZ, _MEMORY_MHZ = 210, 1410, 1215
NOT_SUPPORTED = "[N/A]"


def reports(folder: Path, *, clean: bool = False) -> list[Report]:
    """The reports in a device's usage folder whose programs live. With `clean`, files that a program left behind are removed."""
    found: list[Report] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:
        return []
    for path in paths:
        try:
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(json.loads(file.read()))
                else:
                    if clean:
                        path.unlink(missing_ok=True)
        except (OSError, ValueError):
            continue
    return found


def usage(device: Device, programs: list[Report]) -> dict[str, int]:
    """What a device shows that these programs use: memory (MiB) and utilization (%), and what follows from it (°C, W, MHz)."""
    utilization = min(100, sum(int(each.get("utilization", 0)) for each in programs))
    memory = min(device["memory"], sum(int(each.get("memory", 0)) for each in programs))
    idle, limit = device["idle_power"], device["power_limit"]
    return {
        "utilization": utilization,
        "memory": memory,
        "memory_utilization": utilization * memory // device["memory"],
        "temperature": round(_IDLE_CELSIUS + _CELSIUS_PER_PERCENT * utilization + (3 if programs else 0)),
        "power": round(idle + (limit - idle) * utilization / 100),
        "sm_clock": _BUSY_MHZ if programs else _IDLE_MHZ,
        "memory_clock": _MEMORY_MHZ,
    }


class Failure(Exception):
    """What the real tool says before it ends with that status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Node:
    """What this container sees of the node's GPUs."""

    def __init__(self, root: Path, visible: str | None):
        try:
            document = json.loads((root / "description/devices.json").read_text())
        except (OSError, ValueError):
            raise Failure(
                "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
                "Make sure that the latest NVIDIA driver is installed and running.\n",
                9,
            ) from None
        self.driver = document["driver"]
        self._known: dict[str, Device] = {each["uuid"]: each for each in document["devices"]}
        self.devices: list[Device] = _visible(document["devices"], visible)
        for number, device in enumerate(self.devices):
            device["number"] = number
            device["programs"] = reports(root / "usage" / device["uuid"])
            device["usage"] = usage(device, device["programs"])

    def cards(self, devices: list[Device]) -> list[tuple[Device, list[Device]]]:
        """Each card of these devices, with those of them that are parts of it; none where it is the card itself."""
        found: dict[str, tuple[Device, list[Device]]] = {}
        for device in devices:
            part = device.get("mig_device")
            card = self._known[part["parent"]] if part else device
            card.setdefault("usage", usage(card, []))
            found.setdefault(card["uuid"], (card, []))[1].extend([device] if part else [])
        return list(found.values())


def visible_devices(environment: Mapping[str, str]) -> str | None:
    """The devices that the container was given: by NVIDIA_VISIBLE_DEVICES, and by the DRA driver's variable of each device."""
    named = [value for name, value in environment.items() if name.startswith("GPU_DEVICE_")]
    given = environment.get("NVIDIA_VISIBLE_DEVICES")
    return given if not named else ",".join([*([given] if given else []), *named])


def _visible(devices: list[Device], visible: str | None) -> list[Device]:
    """The devices that NVIDIA_VISIBLE_DEVICES names (UUIDs, indices, `all`), in the order of the bus."""
    wanted = (visible or "").split(",")
    if wanted == ["all"]:
        return devices
    return [each for each in devices if each["uuid"] in wanted or str(each["index"]) in wanted]


def mig_mode(device: Device) -> str | None:
    """None for a card that cannot be partitioned."""
    if device.get("mig_device"):
        return "Enabled"
    return "Disabled" if device["mig"] else None


def choose(node: Node, ids: str | None) -> list[Device]:
    """The devices that `-i` names, all without it. Raises Failure."""
    wanted = ids.split(",") if ids is not None else []
    chosen = [each for each in node.devices if ids is None or {str(each["number"]), each["uuid"], each["bus_id"]} & set(wanted)]
    if not chosen:
        raise Failure("No devices were found", 6)
    return chosen


def check_lost(devices: list[Device]) -> None:
    """Raises Failure where the driver cannot talk to one of them."""
    for device in devices:
        if device["lost"]:
            handle = f"GPU{device['number']}: {device['bus_id'][4:]}"
            raise Failure(
                f"Unable to determine the device handle for {handle}: GPU is lost.  Reboot the system to recover this GPU",
                15,
            )


def uncorrected_errors(device: Device) -> str:
    """How many the device has counted since the driver was loaded."""
    return "1" if device["xid"] in (48, 94, 95) else "0"


def state(used: dict[str, int]) -> int:
    """The number of the performance state."""
    return 0 if used["utilization"] or used["memory"] else 8
