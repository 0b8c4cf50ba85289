"""What the kubelet knows of prepared ResourceClaims: plain data and its checkpoint (pkg/kubelet/cm/dra, claiminfo.go and state/).

A new kubelet learns from the checkpoint which claims have to be unprepared when their Pods are over.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubeobjects import Object, resourceclaims

HEALTHY, UNHEALTHY, UNKNOWN = "Healthy", "Unhealthy", "Unknown"
# How long a report on a device's health is believed where the driver does not say (DefaultHealthTimeout), in seconds.
HEALTH_SECONDS = 30.0
_LONGEST_MESSAGE = 1024


class DraError(Exception):
    """Why a Pod's claims cannot be prepared or unprepared; the text stands in the Pod's event."""


@dataclass(frozen=True)
class Device:
    """A device of a claim as its driver described it. Without `requests` it belongs to all requests of the claim."""

    pool: str
    name: str
    requests: tuple[str, ...] = ()
    cdi: tuple[str, ...] = ()
    share: str | None = None

    def serves(self, request: str) -> bool:
        """Whether a container that names this request (empty: all of them) gets the device."""
        return not request or not self.requests or request in self.requests


@dataclass
class ClaimInfo:
    """One claim on this node. `drivers` has every driver of its allocation, also those that gave no device."""

    uid: str
    name: str
    namespace: str
    pods: set[str] = field(default_factory=set)
    drivers: dict[str, list[Device]] = field(default_factory=dict)
    # Not in the checkpoint: a new kubelet asks the drivers again.
    prepared: bool = False


def from_claim(claim: Object) -> ClaimInfo:
    """Raises DraError for a claim that is not allocated."""
    metadata = claim["metadata"]
    allocation = resourceclaims.allocation(claim)
    if allocation is None:
        raise DraError("not allocated")
    results = (allocation.get("devices") or {}).get("results") or []
    return ClaimInfo(metadata["uid"], metadata["name"], metadata["namespace"], drivers={each["driver"]: [] for each in results})


def extended(pod: Object) -> Object:
    """`status.extendedResourceClaimStatus`: the claim that the scheduler made for extended resources; empty where there is none."""
    return (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}


def pod_claims(pod: Object) -> list[Object]:
    """The Pod's claims, with the one for extended resources as the last of them."""
    own = list(pod["spec"].get("resourceClaims") or [])
    if made := extended(pod):
        own.append({"name": "", "resourceClaimName": made["resourceClaimName"]})
    return own


@dataclass(frozen=True)
class Health:
    state: str
    message: str = ""
    until: float = float("inf")


class ClaimCache:
    """The claims of this node by namespace and name, and what drivers say of the health of their devices."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], ClaimInfo] = {}
        self._health: dict[str, dict[tuple[str, str], Health]] = {}

    def get(self, namespace: str, name: str) -> ClaimInfo | None:
        return self.claims.get((namespace, name))

    def add(self, info: ClaimInfo) -> None:
        self.claims[info.namespace, info.name] = info

    def remove(self, info: ClaimInfo) -> None:
        self.claims.pop((info.namespace, info.name), None)

    # Health

    def report(self, driver: str, devices: dict[tuple[str, str], Health]) -> set[str]:
        """Takes over the health of a driver's devices, by (pool, device); answers the UIDs of the Pods that hold one of those that changed."""
        known = self._health.setdefault(driver, {})
        changed = {key for key, health in devices.items() if (old := known.get(key)) is None or _shown(old) != _shown(health)}
        known.update(devices)
        return self._holders(driver, changed)

    def forget(self, driver: str) -> set[str]:
        """Nothing more is heard of a driver's devices; answers the UIDs of the Pods that hold one."""
        return self._holders(driver, set(self._health.pop(driver, {})))

    def _holders(self, driver: str, devices: set[tuple[str, str]]) -> set[str]:
        return {
            pod
            for info in self.claims.values()
            for device in info.drivers.get(driver, [])
            if (device.pool, device.name) in devices
            for pod in info.pods
        }

    def health(self, driver: str, device: Device) -> Object:
        """The device as containerStatuses[].allocatedResourcesStatus[].resources[] shows it."""
        found = self._health.get(driver, {}).get((device.pool, device.name))
        if found is None or found.until < time.monotonic():
            found = Health(UNKNOWN)
        shown = {"resourceID": device.cdi[0] if device.cdi else f"{driver}/{device.pool}/{device.name}", "health": found.state}
        if found.message:
            shown["message"] = shortened(found.message)
        return shown

    # Checkpoint

    def dump(self) -> bytes:
        """`dra_manager_state`, as the real kubelet writes it."""
        states = [
            {
                "ClaimUID": info.uid,
                "ClaimName": info.name,
                "Namespace": info.namespace,
                "PodUIDs": {uid: {} for uid in sorted(info.pods)},
                "DriverState": {
                    driver: {
                        "Devices": [
                            {
                                "PoolName": each.pool,
                                "DeviceName": each.name,
                                "ShareID": each.share,
                                "RequestNames": list(each.requests),
                                "CDIDeviceIDs": list(each.cdi),
                            }
                            for each in devices
                        ]
                    }
                    for driver, devices in info.drivers.items()
                },
            }
            for info in self.claims.values()
        ]
        data = orjson.dumps({"kind": "DRACheckpoint", "apiVersion": "checkpoint.dra.kubelet.k8s.io/v1", "ClaimInfoStateList": states})
        return orjson.dumps({"Data": data.decode(), "Checksum": zlib.crc32(data)})

    def load(self, text: bytes) -> None:
        """Takes over a checkpoint. Raises ValueError, KeyError or TypeError for a damaged one."""
        found: dict[str, Any] = orjson.loads(text)
        if zlib.crc32(found["Data"].encode()) != found["Checksum"]:
            raise ValueError("checkpoint is corrupted")
        claims: dict[tuple[str, str], ClaimInfo] = {}
        for state in orjson.loads(found["Data"])["ClaimInfoStateList"] or []:
            drivers = {
                driver: [
                    Device(
                        each["PoolName"],
                        each["DeviceName"],
                        tuple(each["RequestNames"] or ()),
                        tuple(each["CDIDeviceIDs"] or ()),
                        each["ShareID"],
                    )
                    for each in kept["Devices"] or []
                ]
                for driver, kept in state["DriverState"].items()
            }
            info = ClaimInfo(state["ClaimUID"], state["ClaimName"], state["Namespace"], set(state["PodUIDs"]), drivers)
            claims[info.namespace, info.name] = info
        self.claims = claims


def _shown(health: Health) -> tuple[str, str]:
    return health.state, health.message


def shortened(message: str) -> str:
    """ResourceHealthMessageMaxLength."""
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 3] + "..."
