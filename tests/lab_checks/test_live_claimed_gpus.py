"""GPUs that claims hold, in the cluster's picture: ResourceSlices and ResourceClaims in, a row a card out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lab_checks.engine.api import ApiUnreachable
from lab_checks.face.live import claimed_gpus, model, reading
from lab_checks.face.live.board import Board
from tests.lab_checks.test_live_model import node, pod

DRIVER = "gpu.nvidia.com"


def card(number: int, **more: Any) -> dict[str, Any]:
    attributes = {"type": {"string": "gpu"}, "uuid": {"string": f"GPU-{number}"}}
    return {"name": f"gpu-{number}", "attributes": attributes, "capacity": {"memory": {"value": "40Gi"}}, **more}


def part(number: int, name: str, memory: str) -> dict[str, Any]:
    attributes = {"type": {"string": "mig"}, "parentUUID": {"string": f"GPU-{number}"}}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}}


def slice_of(on: str, *devices: dict[str, Any], generation: int = 1, driver: str = DRIVER) -> dict[str, Any]:
    pool = {"name": on, "generation": generation, "resourceSliceCount": 1}
    metadata = {"name": f"{on}-{generation}-{len(devices)}", "uid": f"slice-{on}-{generation}"}
    return {"metadata": metadata, "spec": {"driver": driver, "nodeName": on, "pool": pool, "devices": list(devices)}}


def claim(name: str, *results: tuple[str, str], pods: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A claim of ai-platform; `results` are (pool, device)."""
    made: dict[str, Any] = {"metadata": {"name": name, "namespace": "ai-platform", "uid": f"claim-{name}"}, "status": {}}
    if results:
        devices = [{"request": "gpu", "driver": DRIVER, "pool": pool, "device": device, **more} for pool, device in results]
        made["status"] = {
            "allocation": {"devices": {"results": devices}},
            "reservedFor": [{"resource": "pods", "name": each, "uid": f"pod-{each}"} for each in pods],
        }
    return made


def read(slices: list[Any], claims: list[Any], pods: list[Any]) -> claimed_gpus.Claimed:
    return claimed_gpus.read(slices, claims, pods)


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["device"], each["state"], each["by"]) for each in rows]


def test_a_card_says_which_pod_holds_it_by_which_claim() -> None:
    found = read([slice_of("a", card(1), card(0))], [claim("mine", ("a", "gpu-1"), pods=("trainer",))], [pod("trainer", "a")])
    assert told(found.on["a"]) == [("gpu-0", "free", ""), ("gpu-1", "held", "ai-platform/trainer")]
    assert found.on["a"][1]["claim"] == "ai-platform/mine"
    assert found.of_pod == {"pod-trainer": ["gpu-1"]}


def test_a_claim_without_devices_and_devices_of_other_drivers_hold_no_gpu() -> None:
    nic = slice_of("a", {"name": "nic-0"}, driver="nic.example.com")
    other = claim("net", ("a", "nic-0"), pods=("p",), driver="nic.example.com")
    found = read([nic, slice_of("a", card(0))], [claim("waits"), other], [pod("p", "a")])
    assert told(found.on["a"]) == [("gpu-0", "free", "")]
    assert found.of_pod == {}


def test_two_pods_of_one_claim_share_its_card() -> None:
    found = read([slice_of("a", card(0))], [claim("ours", ("a", "gpu-0"), pods=("one", "two"))], [pod("one", "a"), pod("two", "a")])
    assert told(found.on["a"]) == [("gpu-0", "held", "ai-platform/one, ai-platform/two")]
    assert found.of_pod == {"pod-one": ["gpu-0"], "pod-two": ["gpu-0"]}


def test_an_allocated_claim_that_no_pod_uses_holds_its_card() -> None:
    found = read([slice_of("a", card(0))], [claim("kept", ("a", "gpu-0"))], [])
    assert told(found.on["a"]) == [("gpu-0", "held", "no Pod")]


def test_a_card_in_parts_says_how_much_of_it_is_held() -> None:
    parts = [part(0, "gpu-0-mig-1g5gb", "5Gi"), part(0, "gpu-0-mig-2g10gb", "10Gi"), part(0, "gpu-0-mig-3g20gb", "20Gi")]
    claims = [claim("small", ("a", "gpu-0-mig-1g5gb"), pods=("one",)), claim("middle", ("a", "gpu-0-mig-2g10gb"), pods=("two",))]
    (row,) = read([slice_of("a", card(0), *parts)], claims, [pod("one", "a"), pod("two", "a")]).on["a"]
    assert (row["state"], row["share"], row["parts"]) == ("part", 0.375, ["gpu-0-mig-1g5gb", "gpu-0-mig-2g10gb"])
    assert row["by"] == "ai-platform/one, ai-platform/two"


@pytest.mark.parametrize(("effect", "state"), [("NoSchedule", "unhealthy"), ("NoExecute", "unhealthy"), ("None", "free")])
def test_a_taint_that_keeps_pods_away_makes_a_free_card_unhealthy(effect: str, state: str) -> None:
    tainted = card(0, taints=[{"key": f"{DRIVER}/xid", "value": "79", "effect": effect}])
    assert told(read([slice_of("a", tainted)], [], []).on["a"]) == [("gpu-0", state, "")]


def test_slices_of_an_older_generation_are_not_drawn() -> None:
    assert told(read([slice_of("a", card(0), card(1)), slice_of("a", card(0), generation=2)], [], []).on["a"]) == [("gpu-0", "free", "")]


def test_a_device_stays_held_when_its_driver_has_left() -> None:
    found = read([], [claim("mine", ("a", "gpu-0"), pods=("trainer",))], [pod("trainer", "a")])
    assert told(found.on["a"]) == [("gpu-0", "held", "ai-platform/trainer")]


def test_a_device_for_monitoring_is_held_by_nobody() -> None:
    found = read([slice_of("a", card(0))], [claim("watch", ("a", "gpu-0"), pods=("monitor",), adminAccess=True)], [pod("monitor", "a")])
    assert told(found.on["a"]) == [("gpu-0", "free", "")]


def test_cards_that_went_from_the_plugin_to_the_driver_are_drawn_once() -> None:
    objects = {
        "nodes": [node("a", 2, healthy=0)],
        "pods": [pod("trainer", "a")],
        "resourceslices": [slice_of("a", card(0), card(1))],
        "resourceclaims": [claim("mine", ("a", "gpu-0"), pods=("trainer",))],
    }
    rows = model.Assembler().rows(objects)
    assert told(rows["nodes"]["node-a"]["gpus"]) == [("gpu-0", "held", "ai-platform/trainer"), ("gpu-1", "free", "")]
    assert rows["pods"]["pod-trainer"]["claimed"] == ["gpu-0"]
    # Offered by both at once, as the API says it: which of them are the same, no object tells.
    both = model.Assembler().rows({**objects, "nodes": [node("a", 2)]})["nodes"]["node-a"]["gpus"]
    assert [each["state"] for each in both] == ["held", "free", "free", "free"]


def test_the_board_tells_of_a_claim_that_got_its_card() -> None:
    board = Board()
    board.replaced("nodes", [node("a")])
    board.replaced("pods", [pod("trainer", "a")])
    board.replaced("resourceslices", [slice_of("a", card(0))])
    board.news()
    board.changed("resourceclaims", "MODIFIED", claim("mine", ("a", "gpu-0"), pods=("trainer",)))
    news = board.news()
    assert told(news["nodes"]["set"]["node-a"]["gpus"]) == [("gpu-0", "held", "ai-platform/trainer")]
    assert news["pods"]["set"]["pod-trainer"]["claimed"] == ["gpu-0"]
    board.changed("resourceclaims", "DELETED", claim("mine", ("a", "gpu-0"), pods=("trainer",)))
    assert told(board.news()["nodes"]["set"]["node-a"]["gpus"]) == [("gpu-0", "free", "")]


class _Without:
    """A connection to a cluster that does not serve what is asked for."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        raise ApiUnreachable(f"GET {path}: 404 Not Found", 404)


class _Nobody:
    def replaced(self, kind: str, objects: list[dict[str, Any]]) -> None:
        raise AssertionError(kind)

    changed = replaced  # type: ignore[assignment]


def test_a_cluster_without_claims_is_read_without_them() -> None:
    async def follow(kind: str) -> bool:
        listed = asyncio.Event()
        await reading._one_kind(_Without(), kind, _Nobody(), listed, keep=True)  # type: ignore[arg-type]
        return listed.is_set()

    assert asyncio.run(follow("resourceclaims"))
    with pytest.raises(ApiUnreachable):
        asyncio.run(follow("pods"))
