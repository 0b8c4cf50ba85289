"""GPUs that a DRA driver offers, as the picture shows them: ResourceSlices, ResourceClaims and Pods in, a row a card out.

Everything here is a pure function. The fields are those of resource.k8s.io/v1; the driver's attributes are those of NVIDIA's DRA driver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeobjects import Object, meta, quantity, resourceclaims
from lab_checks.engine.claimed import DRIVER

Row = dict[str, Any]

_KEEPS_PODS_AWAY = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Held:
    """One device of an allocated claim: `pods` are those that the claim is reserved for, `namespace/name` each."""

    pool: str
    device: str
    claim: str
    pods: tuple[str, ...]
    node: str

    @property
    def by(self) -> str:
        return ", ".join(self.pods) or "no Pod"


@dataclass
class Claimed:
    """What claims hold: rows of GPUs by node, and the names of the devices that each Pod holds, by its UID."""

    on: dict[str, list[Row]] = field(default_factory=dict)
    of_pod: dict[str, list[str]] = field(default_factory=dict)


def held_devices(claims: Iterable[Object], node_of: Mapping[str, str]) -> Iterator[tuple[Held, list[str]]]:
    """Each device of the GPU driver that is allocated, with the UIDs of its Pods. `node_of` gives a Pod's node by its UID.

    Devices for monitoring (`adminAccess`) are left out: they are held by nobody.
    """
    for claim in claims:
        users = [each for each in resourceclaims.reserved_for(claim) if each.get("resource") == "pods"]
        namespace = claim["metadata"]["namespace"]
        nodes = [node_of[each["uid"]] for each in users if node_of.get(each["uid"])]
        for each in resourceclaims.devices(claim):
            if each["driver"] == DRIVER and not each.get("adminAccess"):
                names = tuple(f"{namespace}/{user['name']}" for user in users)
                found = Held(each["pool"], each["device"], meta.key(claim), names, nodes[0] if nodes else "")
                yield found, [user["uid"] for user in users]


def newest(slices: Iterable[Object]) -> list[Object]:
    """The slices of the GPU driver that count: of each pool those of its highest generation, as the scheduler reads them."""
    pools: dict[str, list[Object]] = defaultdict(list)
    for each in slices:
        if each["spec"]["driver"] == DRIVER:
            pools[each["spec"]["pool"]["name"]].append(each)
    found = []
    for members in pools.values():
        last = max(each["spec"]["pool"]["generation"] for each in members)
        found += [each for each in members if each["spec"]["pool"]["generation"] == last]
    return found


def _attribute(device: Object, name: str) -> str:
    return str(((device.get("attributes") or {}).get(name) or {}).get("string", ""))


def _memory(device: Object) -> float:
    value = ((device.get("capacity") or {}).get("memory") or {}).get("value")
    return float(quantity.parse(value)) if value else 0.0


def _row(state: str, device: str, holders: list[Held], share: float = 1.0) -> Row:
    return {
        "state": state,
        "by": ", ".join(each.by for each in holders),
        "device": device,
        "claim": ", ".join(each.claim for each in holders),
        "share": round(share, 3),
    }


def _card(card: Object, parts: list[tuple[Object, list[Held]]], held: list[Held]) -> Row:
    """One card: held whole, held in parts, free, or with a taint that keeps Pods away. `share` is how much of its memory is held."""
    name = card["name"]
    if held:
        return _row("held", name, held)
    if parts:
        whole = _memory(card)
        share = min(sum(_memory(part) for part, _ in parts) / whole, 1.0) if whole else 1.0
        holders = [each for _, several in parts for each in several]
        return {**_row("part", name, holders, share), "parts": [each.device for each in holders]}
    kept = any(each.get("effect") in _KEEPS_PODS_AWAY for each in card.get("taints") or [])
    return _row("unhealthy" if kept else "free", name, [])


def read(slices: Iterable[Object], claims: Iterable[Object], pods: Iterable[Object]) -> Claimed:
    """What the picture shows of claims. A device that is held while its slice is gone (its driver left) is a row of its own, on its Pods' node."""
    node_of = {each["metadata"].get("uid", ""): each["spec"].get("nodeName", "") for each in pods}
    holders: dict[tuple[str, str], list[Held]] = defaultdict(list)
    found = Claimed()
    for held, users in held_devices(claims, node_of):
        holders[held.pool, held.device].append(held)
        for uid in users:
            found.of_pod.setdefault(uid, []).append(held.device)
    on: dict[str, list[Row]] = defaultdict(list)
    devices: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for each in newest(slices):
        if each["spec"].get("nodeName"):
            devices[each["spec"]["nodeName"], each["spec"]["pool"]["name"]] += each["spec"].get("devices") or []
    for (node, pool), offered in devices.items():
        of_card: dict[str, list[tuple[Object, list[Held]]]] = defaultdict(list)
        for each in offered:
            if _attribute(each, "type") == "mig" and (several := holders.pop((pool, each["name"]), [])):
                of_card[_attribute(each, "parentUUID")].append((each, several))
        for each in offered:
            if _attribute(each, "type") != "mig":
                on[node].append(_card(each, of_card[_attribute(each, "uuid")], holders.pop((pool, each["name"]), [])))
    for (_, device), several in holders.items():
        if several[0].node:
            on[several[0].node].append(_row("held", device, several))
    found.on = {node: sorted(rows, key=lambda row: str(row["device"])) for node, rows in on.items()}
    return found
