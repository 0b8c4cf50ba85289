"""The devices, and the parts of shared devices, that claims have already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from clusters.embedded.client import Object
from kubeobjects import quantity

# (driver, pool, device)
DeviceId = tuple[str, str, str]


@dataclass
class Taken:
    """`devices` belong to one claim each; `capacity` is what claims have of devices that several may use, by name of the capacity."""

    devices: set[DeviceId] = field(default_factory=set)
    capacity: dict[DeviceId, dict[str, Decimal]] = field(default_factory=dict)

    @classmethod
    def of(cls, allocations: Iterable[Object]) -> Taken:
        """What these `status.allocation`s take. A device that was given for administration stays free for others."""
        taken = cls()
        for allocation in allocations:
            for result in (allocation.get("devices") or {}).get("results") or []:
                if result.get("adminAccess"):
                    continue
                device = (result["driver"], result["pool"], result["device"])
                if result.get("shareID") is None:
                    taken.devices.add(device)
                else:
                    amounts = {name: quantity.parse(value) for name, value in (result.get("consumedCapacity") or {}).items()}
                    add(taken.capacity.setdefault(device, {}), amounts)
        return taken

    def has(self, device: DeviceId) -> bool:
        """Whether any claim has the device or a part of it."""
        return device in self.devices or device in self.capacity


def add(amounts: dict[str, Decimal], more: dict[str, Decimal], sign: int = 1) -> None:
    for name, amount in more.items():
        amounts[name] = amounts.get(name, Decimal()) + sign * amount
