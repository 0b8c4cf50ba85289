"""Cards that are partitioned by MIG: which parts a card could be cut into, and which ones a node's label asks for. Nothing here has an effect.

The label is `nvidia.com/mig.config`, with the names that NVIDIA's MIG manager ships: `all-disabled`, `all-balanced`, `all-1g.5gb` and so on.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_device_plugin.inventory import Device, MigDevice

LABEL = "nvidia.com/mig.config"
# A card's memory slices, and what a part has beside memory.
SLICES = 8
COUNTED = ("multiprocessors", "copyEngines", "decoders", "encoders", "jpegEngines", "ofaEngines")

_DATA: dict[str, Any] = json.loads(Path(__file__).with_name("mig.json").read_text())
_PARTS = uuid.UUID("0d8e4a54-6c52-5f0e-9a6b-6d69672d7075")
_WHOLE = ("", "all-disabled")


class UnknownLayout(ValueError):
    """A value of the label that no card of the node can be cut to."""


@dataclass(frozen=True)
class Part:
    """A part of a card that MIG could make: `profile` at memory slice `start`, `memory` in MiB."""

    parent: Device
    profile: str
    id: int
    start: int
    size: int
    memory: int
    counts: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        return f"{name(self.parent)}-mig-{self.profile.replace('.', '')}-{self.id}-{self.start}"

    @property
    def slices(self) -> frozenset[int]:
        return frozenset(range(self.start, self.start + self.size))

    def made(self, owner: str) -> Device:
        """The part as a device: it has an identity for as long as its `owner` keeps it (a claim's UID; empty for the node itself)."""
        counts = dict(self.counts)
        return dataclasses.replace(
            self.parent,
            uuid=f"MIG-{uuid.uuid5(_PARTS, f'{self.parent.uuid}/{self.name}/{owner}')}",
            product=f"{self.parent.product} MIG {self.profile}",
            memory=self.memory,
            mig_device=MigDevice(
                profile=self.profile,
                parent=self.parent.uuid,
                # As the driver numbers the instances of an empty card.
                gi={1: 7 + self.start, 2: 3 + self.start // 2, 4: 1 + self.start // 4}.get(self.size, 0),
                slices=self.size,
                multiprocessors=counts["multiprocessors"],
                copy_engines=counts["copyEngines"],
                encoders=counts["encoders"],
                decoders=counts["decoders"],
                ofa_engines=counts["ofaEngines"],
                jpeg_engines=counts["jpegEngines"],
            ),
        )


def name(device: Device) -> str:
    """What ResourceSlices call a card: `gpu-0`."""
    return f"gpu-{device.index}"


def parts(device: Device) -> list[Part]:
    """All parts that the card could be cut into; none where it cannot be cut."""
    profiles = _DATA["profiles"].get(_DATA["cards"].get(device.product), []) if device.mig else []
    return [
        Part(
            device,
            each["profile"],
            each["id"],
            start,
            each["size"],
            each["memory"],
            tuple((count, each.get(count, 0)) for count in COUNTED),
        )
        for each in profiles
        for start in each["starts"]
    ]


def layout(device: Device, config: str) -> list[Part]:
    """The parts that a card is cut into by a value of the label; none for a card that stays whole. Raises UnknownLayout."""
    possible = parts(device)
    if config in _WHOLE or not possible:
        return []
    if config == "all-balanced":
        return _placed(possible, _DATA["balanced"][_DATA["cards"][device.product]])
    wanted = config.removeprefix("all-")
    found = [each for each in possible if each.profile == wanted]
    if not found or wanted == config:
        known = ", ".join(f"all-{each}" for each in dict.fromkeys(each.profile for each in possible))
        raise UnknownLayout(f"{LABEL}={config}: expected all-disabled, all-balanced, {known}")
    return found


def _placed(possible: Collection[Part], profiles: list[str]) -> list[Part]:
    """One part for each profile, each as far back on the card as it fits beside those before it."""
    found: list[Part] = []
    for profile in profiles:
        taken = {each for part in found for each in part.slices}
        found.append(next(each for each in reversed(list(possible)) if each.profile == profile and not each.slices & taken))
    return found
