"""Pools of devices as one node sees them: which slices are of now, which are for the node, and whether all have come.

Source: structured/internal/incubating/pools_incubating.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured.taken import DeviceId
from kubeobjects import node_selection

# (driver, pool)
PoolId = tuple[str, str]


@dataclass
class Pool:
    """`slices` hold devices that the node may use; `elsewhere` are the pool's other slices, which may draw on the same counters.

    From a pool that is `incomplete` (a driver is still writing it) or `invalid` nothing is given.
    """

    id: PoolId
    slices: list[Object] = field(default_factory=list)
    elsewhere: list[Object] = field(default_factory=list)
    counters: dict[str, Object] = field(default_factory=dict)
    incomplete: bool = False
    invalid: bool = False

    @property
    def name(self) -> str:
        return "/".join(self.id)

    @property
    def usable(self) -> bool:
        return not self.incomplete and not self.invalid


def devices(slices: Iterable[Object]) -> Iterator[tuple[DeviceId, Object]]:
    for each in slices:
        spec = each["spec"]
        for device in spec.get("devices") or []:
            yield (spec["driver"], spec["pool"]["name"], device["name"]), device


def is_for_node(place: Object, node: Object) -> bool:
    """Whether a slice's spec, or a device with a place of its own, reaches the node."""
    if place.get("nodeName"):
        return bool(place["nodeName"] == node["metadata"]["name"])
    if place.get("allNodes"):
        return True
    return place.get("nodeSelector") is not None and node_selection.selector_matches(place["nodeSelector"], node)


def _concerns(spec: Object, node: Object) -> bool:
    # Counters are needed with the pool, wherever their slice says that it is.
    if spec.get("sharedCounters"):
        return True
    if spec.get("perDeviceNodeSelection"):
        return any(is_for_node(device, node) for device in spec.get("devices") or [])
    return is_for_node(spec, node)


def gather(slices: Iterable[Object], node: Object) -> list[Pool]:
    """The pools with something for the node, ordered by driver and name."""
    by_pool: dict[PoolId, list[Object]] = {}
    for each in slices:
        spec = each["spec"]
        by_pool.setdefault((spec["driver"], spec["pool"]["name"]), []).append(each)
    return [pool for each in sorted(by_pool) if (pool := _pool(each, by_pool[each], node)) is not None]


def _pool(ident: PoolId, slices: list[Object], node: Object) -> Pool | None:
    """None where the newest generation has nothing for the node."""
    newest = max(each["spec"]["pool"].get("generation", 0) for each in slices)
    current = [each for each in slices if each["spec"]["pool"].get("generation", 0) == newest]
    near = [each for each in current if _concerns(each["spec"], node)]
    if not near:
        return None
    near.sort(key=lambda each: each["metadata"]["name"])
    if len(current) != near[0]["spec"]["pool"]["resourceSliceCount"]:
        return Pool(ident, incomplete=True)
    counters: dict[str, Object] = {}
    with_devices = []
    for each in near:
        sets = each["spec"].get("sharedCounters") or []
        if not sets:
            with_devices.append(each)
        for one in sets:
            if one["name"] in counters:
                return Pool(ident, invalid=True)
            counters[one["name"]] = one.get("counters") or {}
    elsewhere = [each for each in current if not any(each is one for one in near)]
    names = [device for device, _ in devices(with_devices)]
    if len(names) != len(set(names)) or not all(_counts_what_is(device, counters) for _, device in devices([*with_devices, *elsewhere])):
        return Pool(ident, invalid=True)
    return Pool(ident, with_devices, elsewhere, counters)


def _counts_what_is(device: Object, counters: dict[str, Object]) -> bool:
    """Whether every counter that the device draws on is one of the pool's."""
    return all(
        each["counterSet"] in counters and set(each.get("counters") or {}) <= set(counters[each["counterSet"]])
        for each in device.get("consumesCounters") or []
    )
