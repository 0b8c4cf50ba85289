"""What the kubelet knows of devices and of who holds them: plain data and pure decisions (pkg/kubelet/cm/devicemanager).

`DeviceState` is kept in a checkpoint file so that a new kubelet knows which devices running Pods hold.
"""

from __future__ import annotations

import base64
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

import orjson

# A resource whose plugin has been gone for this long is dropped from the node (endpointStopGracePeriod).
STOP_GRACE_SECONDS = 300.0


class AllocationError(Exception):
    """Why devices cannot be given; the text stands in UnexpectedAdmissionError."""


@dataclass
class Resource:
    """One resource name. `healthy` maps device to health; `stopped` is when its plugin went (monotonic), None while it serves."""

    healthy: dict[str, bool] = field(default_factory=dict)
    stopped: float | None = None


@dataclass
class Allocation:
    """Devices of one resource in one container, and what the plugin said (ContainerAllocateResponse, serialized)."""

    pod_uid: str
    container: str
    resource: str
    devices: list[str]
    response: bytes


class DeviceState:
    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.allocations: list[Allocation] = []

    # Node status

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """(capacity, allocatable) by resource name. A plugin that is gone leaves capacity for a while, and nothing to allocate."""
        capacity: dict[str, int] = {}
        allocatable: dict[str, int] = {}
        for name, resource in self.resources.items():
            if resource.stopped is not None and time.monotonic() - resource.stopped > STOP_GRACE_SECONDS:
                continue
            capacity[name] = len(resource.healthy)
            allocatable[name] = 0 if resource.stopped is not None else sum(resource.healthy.values())
        return capacity, allocatable

    def stop(self, name: str) -> None:
        """The plugin of the resource is gone: none of its devices is healthy any more."""
        resource = self.resources.get(name)
        if resource is not None and resource.stopped is None:
            resource.stopped = time.monotonic()
            resource.healthy = dict.fromkeys(resource.healthy, False)

    # Allocation

    def is_device(self, name: str) -> bool:
        return name in self.resources or any(each.resource == name for each in self.allocations)

    def held(self, pod_uid: str, container: str, resource: str) -> list[str]:
        return [
            device
            for each in self.allocations
            if (each.pod_uid, each.container, each.resource) == (pod_uid, container, resource)
            for device in each.devices
        ]

    def available(self, name: str, needed: int, held: list[str], reusable: set[str]) -> list[str]:
        """Devices from which `needed` may be taken for a container that already holds `held`. Raises AllocationError.

        `reusable` are devices of the Pod's own init containers. With enough devices in `held` the answer is empty.
        """
        resource = self.resources.get(name)
        if resource is None:
            raise AllocationError(f"cannot allocate unregistered device {name}")
        healthy = {device for device, well in resource.healthy.items() if well}
        if not healthy:
            raise AllocationError(f"no healthy devices present; cannot allocate unhealthy devices {name}")
        if not healthy.issuperset(held):
            raise AllocationError(f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {name}")
        missing = needed - len(held)
        if missing <= 0:
            return []
        taken = {device for each in self.allocations if each.resource == name for device in each.devices} - reusable
        free = healthy - taken
        if len(free) < missing:
            raise AllocationError(f"requested number of devices unavailable for {name}. Requested: {missing}, Available: {len(free)}")
        return sorted(free)

    # Checkpoint

    def dump(self) -> bytes:
        """`kubelet_internal_checkpoint`: allocations and the healthy devices of each resource."""
        data = {
            "PodDeviceEntries": [
                {
                    "PodUID": each.pod_uid,
                    "ContainerName": each.container,
                    "ResourceName": each.resource,
                    "DeviceIDs": {"-1": each.devices},
                    "AllocResp": base64.b64encode(each.response).decode(),
                }
                for each in self.allocations
            ],
            "RegisteredDevices": {
                name: sorted(device for device, well in resource.healthy.items() if well) for name, resource in self.resources.items()
            },
        }
        body = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
        return orjson.dumps({"Data": data, "Checksum": zlib.crc32(body)})

    def load(self, text: bytes) -> None:
        """Takes over a checkpoint; resources are without devices until their plugin comes back. Raises ValueError for a damaged one."""
        found: dict[str, Any] = orjson.loads(text)
        data = found["Data"]
        if zlib.crc32(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)) != found["Checksum"]:
            raise ValueError("checkpoint is corrupted")
        self.resources = {name: Resource(stopped=time.monotonic()) for name in data["RegisteredDevices"]}
        self.allocations = [
            Allocation(
                entry["PodUID"],
                entry["ContainerName"],
                entry["ResourceName"],
                [device for devices in entry["DeviceIDs"].values() for device in devices],
                base64.b64decode(entry["AllocResp"]),
            )
            for entry in data["PodDeviceEntries"]
        ]
