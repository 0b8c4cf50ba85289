"""Which devices claims get: selection, counts, constraints, alternatives, partitions, taints, pools."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.scheduler.structured import AllocationError, PoolError, Taken
from kubeobjects import Object

from .conftest import make_node
from .devices import DRIVER, PLAIN, allocate, ask, claim_of, either, given, gpu, slice_of

TWO = [slice_of(gpu("gpu-0", model="T4", memory="16Gi"), gpu("gpu-1", model="A100", memory="80Gi"))]


def test_the_first_free_device_is_given_and_bound_to_its_node() -> None:
    assert allocate(TWO, claim_of(ask())) == [
        {
            "devices": {"results": [{"request": "gpu", "driver": DRIVER, "pool": "n1", "device": "gpu-0"}]},
            "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]},
        }
    ]
    assert allocate(TWO, claim_of(ask()), node=make_node("n2")) is None


@pytest.mark.parametrize(
    ("expression", "device"),
    [
        (f'device.attributes["{DRIVER}"].model == "A100"', "gpu-1"),
        (f'device.capacity["{DRIVER}"].memory.compareTo(quantity("40Gi")) >= 0', "gpu-1"),
        ('device.driver == "other.example.com"', None),
        # A domain that a device does not know has no attributes, and asking for it is no error.
        ('"other.example.com" in device.attributes', None),
        ('has(device.attributes["other.example.com"].model)', None),
        (f'device.attributes["{DRIVER}"].?model.orValue("") == "T4"', "gpu-0"),
    ],
)
def test_selectors_choose(expression: str, device: str | None) -> None:
    found = given(allocate(TWO, claim_of(ask("gpu", expression))))
    assert found == (None if device is None else [[f"gpu={device}"]])


def test_class_and_request_select_together() -> None:
    strict = {"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": f'device.attributes["{DRIVER}"].model == "T4"'}}]}}
    large = f'device.capacity["{DRIVER}"].memory.isGreaterThan(quantity("40Gi"))'
    assert given(allocate(TWO, claim_of(ask()), classes=[strict])) == [["gpu=gpu-0"]]
    assert allocate(TWO, claim_of(ask("gpu", large)), classes=[strict]) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (f'device.attributes["{DRIVER}"].colour == "red"', "claim lab/claim: selector #0: CEL runtime error: no such key: colour"),
        ('device.attributes["other.example.com"].x == 1', "claim lab/claim: selector #0: CEL runtime error: no such key: x"),
        ("device.driver ==", "claim lab/claim: selector #0: CEL compile error: compilation failed: ERROR"),
    ],
)
def test_a_selector_without_an_answer_ends_the_attempt(expression: str, words: str) -> None:
    with pytest.raises(AllocationError) as caught:
        allocate(TWO, claim_of(ask("gpu", expression)))
    assert str(caught.value).startswith(words)


def test_counts_and_all() -> None:
    assert given(allocate(TWO, claim_of(ask(count=2)))) == [["gpu=gpu-0", "gpu=gpu-1"]]
    assert allocate(TWO, claim_of(ask(count=3))) is None
    assert given(allocate(TWO, claim_of(ask(allocationMode="All")))) == [["gpu=gpu-0", "gpu=gpu-1"]]
    # All means all: one that is taken is missing, and none at all is not enough.
    assert allocate(TWO, claim_of(ask(allocationMode="All")), taken=Taken({(DRIVER, "n1", "gpu-1")})) is None
    assert allocate([], claim_of(ask(allocationMode="All"))) is None


def test_claims_of_one_pod_share_the_devices_and_are_tried_together() -> None:
    picky = claim_of(ask("gpu", f'device.attributes["{DRIVER}"].model == "T4"'), name="picky")
    # The first claim takes gpu-0 first, and gives way.
    assert given(allocate(TWO, claim_of(ask()), picky)) == [["gpu=gpu-1"], ["gpu=gpu-0"]]
    assert allocate(TWO, claim_of(ask(count=2)), picky) is None


def test_taken_devices_are_not_given_again() -> None:
    taken = Taken.of(allocate(TWO, claim_of(ask())) or [])
    assert given(allocate(TWO, claim_of(ask()), taken=taken)) == [["gpu=gpu-1"]]
    assert allocate(TWO, claim_of(ask(count=2)), taken=taken) is None


def test_administrators_see_devices_in_use_and_take_none() -> None:
    every = {(DRIVER, "n1", "gpu-0"), (DRIVER, "n1", "gpu-1")}
    found = allocate(TWO, claim_of(ask(allocationMode="All", adminAccess=True)), taken=Taken(every))
    assert given(found) == [["gpu=gpu-0", "gpu=gpu-1"]]
    assert found is not None
    assert all(each["adminAccess"] is True for each in found[0]["devices"]["results"])
    assert Taken.of(found).devices == set()


NUMA = [
    slice_of(
        gpu("gpu-0", index=0, attributes={"numa": {"int": 0}}),
        gpu("gpu-1", index=1, attributes={"numa": {"int": 1}}),
        gpu("gpu-2", index=2, attributes={"numa": {"int": 1}}),
        gpu("gpu-3"),
    )
]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({"matchAttribute": f"{DRIVER}/numa"}, [["gpu=gpu-1", "gpu=gpu-2"]]),
        ({"distinctAttribute": f"{DRIVER}/numa"}, [["gpu=gpu-0", "gpu=gpu-1"]]),
        ({"matchAttribute": "other.example.com/numa"}, None),
        ({"matchAttribute": f"{DRIVER}/numa", "requests": ["gpu"]}, [["gpu=gpu-1", "gpu=gpu-2"]]),
    ],
)
def test_constraints_look_at_all_devices_of_a_claim(constraint: Object, expected: list[list[str]] | None) -> None:
    assert given(allocate(NUMA, claim_of(ask(count=2), constraints=[constraint]))) == expected


def test_a_constraint_on_one_request_leaves_others_alone() -> None:
    constraint = {"matchAttribute": f"{DRIVER}/numa", "requests": ["pair"]}
    found = given(allocate(NUMA, claim_of(ask("pair", count=2), ask("single"), constraints=[constraint])))
    assert found == [["pair=gpu-1", "pair=gpu-2", "single=gpu-0"]]


def test_three_distinct_values_are_three_different_ones() -> None:
    constraint = {"distinctAttribute": f"{DRIVER}/numa"}
    assert allocate(NUMA, claim_of(ask(count=3), constraints=[constraint])) is None


def test_all_devices_that_do_not_go_together_end_the_attempt() -> None:
    claim = claim_of(ask(allocationMode="All"), constraints=[{"matchAttribute": f"{DRIVER}/numa"}])
    words = f"claim lab/claim, request gpu: cannot add device {DRIVER}/n1/gpu-1 because a claim constraint would not be satisfied"
    with pytest.raises(AllocationError, match=words):
        allocate(NUMA, claim)


def test_the_first_alternative_that_can_be_had_is_taken() -> None:
    big = ask("gpu", f'device.capacity["{DRIVER}"].memory.isGreaterThan(quantity("100Gi"))')
    request = either("gpu", big=big, middle=ask("gpu", count=2), small=ask())
    assert given(allocate(TWO, claim_of(request))) == [["gpu/middle=gpu-0", "gpu/middle=gpu-1"]]
    # What follows needs a device too: the second alternative leaves none.
    assert given(allocate(TWO, claim_of(request, ask("other")))) == [["gpu/small=gpu-0", "other=gpu-1"]]
    assert allocate([], claim_of(request)) is None


def test_more_than_32_devices_are_refused_where_there_is_no_other_way() -> None:
    many = [slice_of(*(gpu(f"gpu-{index}") for index in range(40)))]
    with pytest.raises(AllocationError, match="claim lab/claim: number of requested devices 33 exceeds the claim limit of 32"):
        allocate(many, claim_of(ask(count=33)))
    found = given(allocate(many, claim_of(either("gpu", much=ask(count=33), few=ask()))))
    assert found == [["gpu/few=gpu-0"]]


TAINT = {"key": "broken", "value": "ecc", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], "gpu-1"),
        ([{"key": "broken", "operator": "Equal", "value": "ecc"}], "gpu-0"),
        ([{"operator": "Exists"}], "gpu-0"),
        ([{"key": "broken", "operator": "Exists", "effect": "NoExecute"}], "gpu-1"),
    ],
)
def test_tainted_devices_want_a_toleration(tolerations: list[Object], expected: str) -> None:
    slices = [slice_of(gpu("gpu-0", taints=[TAINT]), gpu("gpu-1", taints=[{**TAINT, "effect": "None"}]))]
    found = allocate(slices, claim_of(ask(**({"tolerations": tolerations} if tolerations else {}))))
    assert given(found) == [[f"gpu={expected}"]]
    assert found is not None
    assert found[0]["devices"]["results"][0].get("tolerations", []) == tolerations


def partition(name: str, memory: str, slices: int) -> Object:
    amounts = {"memory": {"value": memory}, "slices": {"value": str(slices)}}
    return gpu(name, memory=memory, consumesCounters=[{"counterSet": "gpu-0", "counters": amounts}])


MIG = [
    slice_of(
        name="counters",
        count=2,
        sharedCounters=[{"name": "gpu-0", "counters": {"memory": {"value": "40Gi"}, "slices": {"value": "7"}}}],
    ),
    slice_of(
        *(partition(f"mig-3g-{index}", "20Gi", 3) for index in range(2)),
        *(partition(f"mig-1g-{index}", "5Gi", 1) for index in range(7)),
        partition("whole", "40Gi", 7),
        name="devices",
        count=2,
    ),
]


def at_least(memory: str) -> str:
    return f'device.capacity["{DRIVER}"].memory.compareTo(quantity("{memory}")) >= 0'


def test_partitions_draw_on_the_counters_of_their_device() -> None:
    assert given(allocate(MIG, claim_of(ask("gpu", at_least("20Gi"), count=2)))) == [["gpu=mig-3g-0", "gpu=mig-3g-1"]]
    # 3 + 3 slices leave one, and no memory for it.
    assert allocate(MIG, claim_of(ask("big", at_least("20Gi"), count=2), ask("small"))) is None
    one = claim_of(
        ask("big", at_least("20Gi")), ask("small", f'device.capacity["{DRIVER}"].memory.compareTo(quantity("5Gi")) == 0', count=4)
    )
    assert given(allocate(MIG, one)) == [["big=mig-3g-0", *(f"small=mig-1g-{index}" for index in range(4))]]


def test_a_partition_in_use_keeps_the_whole_device_away() -> None:
    taken = Taken({(DRIVER, "n1", "mig-1g-3")})
    assert allocate(MIG, claim_of(ask("gpu", at_least("40Gi"))), taken=taken) is None
    assert given(allocate(MIG, claim_of(ask("gpu", at_least("40Gi"))))) == [["gpu=whole"]]
    # And the whole device keeps its partitions away.
    assert allocate(MIG, claim_of(ask()), taken=Taken({(DRIVER, "n1", "whole")})) is None


@pytest.mark.parametrize(
    ("place", "node", "reached"),
    [
        ({"allNodes": True}, make_node("n2"), True),
        ({"nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "rack", "operator": "In", "values": ["a"]}]}]}},
         make_node("n2", labels={"rack": "a"}), True),
        ({"nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "rack", "operator": "In", "values": ["a"]}]}]}},
         make_node("n2", labels={"rack": "b"}), False),
    ],
)  # fmt: skip
def test_slices_for_many_nodes(place: Object, node: Object, reached: bool) -> None:
    found = allocate([slice_of(gpu("gpu-0"), node=None, pool="network", **place)], claim_of(ask()), node=node)
    assert (found is not None) is reached
    if found is not None:
        # The claim may move wherever its device can be reached.
        assert found[0].get("nodeSelector") == place.get("nodeSelector")


def test_devices_with_a_place_of_their_own() -> None:
    slices = [slice_of(gpu("gpu-0", nodeName="n2"), gpu("gpu-1", nodeName="n1"), node=None, perDeviceNodeSelection=True)]
    found = allocate(slices, claim_of(ask()))
    assert given(found) == [["gpu=gpu-1"]]
    assert found is not None
    assert found[0]["nodeSelector"]["nodeSelectorTerms"][0]["matchFields"][0]["values"] == ["n1"]


def test_only_the_newest_generation_of_a_pool_counts() -> None:
    slices = [slice_of(gpu("old"), name="a", generation=1), slice_of(gpu("new"), name="b", generation=2)]
    assert given(allocate(slices, claim_of(ask(count=1)))) == [["gpu=new"]]
    assert allocate(slices, claim_of(ask(count=2))) is None


def test_nothing_is_given_from_a_pool_that_is_being_written() -> None:
    slices = [slice_of(gpu("gpu-0"), count=2)]
    assert allocate(slices, claim_of(ask())) is None
    words = f"claim lab/claim, request gpu: asks for all devices, but resource pool {DRIVER}/n1 is currently being updated"
    with pytest.raises(AllocationError, match=words):
        allocate(slices, claim_of(ask(allocationMode="All")))
    both = [*slices, slice_of(gpu("gpu-1"), name="other", count=2)]
    assert given(allocate(both, claim_of(ask()))) == [["gpu=gpu-1"]]


@pytest.mark.parametrize(
    "slices",
    [
        [slice_of(gpu("gpu-0"), name="a", count=2), slice_of(gpu("gpu-0"), name="b", count=2)],
        [slice_of(gpu("gpu-0", consumesCounters=[{"counterSet": "nowhere", "counters": {"memory": {"value": "1"}}}]))],
    ],
    ids=["two devices of one name", "counters that are not there"],
)
def test_a_pool_that_makes_no_sense_is_passed_over(slices: list[Object]) -> None:
    with pytest.raises(PoolError, match="invalid resource pools were encountered"):
        allocate(slices, claim_of(ask()))
    assert given(allocate([*slices, slice_of(gpu("gpu-9"), pool="z")], claim_of(ask()))) == [["gpu=gpu-9"]]


def shared(memory: str = "40Gi", **policy: Any) -> Object:
    capacity: Object = {"value": memory}
    if policy:
        capacity["requestPolicy"] = policy
    return {"name": "gpu-0", "allowMultipleAllocations": True, "capacity": {"memory": capacity}}


def test_a_device_that_allows_it_is_shared_until_its_capacity_is_used() -> None:
    slices = [slice_of(shared())]
    part = ask(capacity={"requests": {"memory": "15Gi"}})
    first = allocate(slices, claim_of(part), claim_of(part, name="second"))
    assert given(first) == [["gpu=gpu-0"], ["gpu=gpu-0"]]
    assert first is not None
    results = [each["devices"]["results"][0] for each in first]
    assert [each["consumedCapacity"] for each in results] == [{"memory": "15Gi"}] * 2
    assert results[0]["shareID"] != results[1]["shareID"]
    assert allocate(slices, claim_of(part), taken=Taken.of(first)) is None
    assert allocate(slices, claim_of(ask(capacity={"requests": {"memory": "10Gi"}})), taken=Taken.of(first)) is not None


@pytest.mark.parametrize(
    ("policy", "wanted", "consumed"),
    [
        ({"default": "8Gi"}, {}, "8Gi"),
        ({"default": "8Gi", "validValues": ["8Gi", "16Gi"]}, {"memory": "9Gi"}, "16Gi"),
        ({"default": "8Gi", "validValues": ["8Gi", "16Gi"]}, {"memory": "17Gi"}, None),
        ({"default": "4Gi", "validRange": {"min": "4Gi", "step": "2Gi", "max": "20Gi"}}, {"memory": "8Gi"}, "8Gi"),
        ({"default": "4Gi", "validRange": {"min": "4Gi", "step": "2Gi", "max": "20Gi"}}, {"memory": "30Gi"}, None),
        ({}, {"colour": "1"}, None),
    ],
)
def test_capacity_is_rounded_as_the_device_says(policy: Object, wanted: Object, consumed: str | None) -> None:
    found = allocate([slice_of(shared(**policy))], claim_of(ask(capacity={"requests": wanted})))
    assert (found and found[0]["devices"]["results"][0]["consumedCapacity"]["memory"]) == consumed


def test_configuration_of_class_and_claim_goes_along() -> None:
    def config(name: str) -> Object:
        return {"opaque": {"driver": DRIVER, "parameters": {"from": name}}}

    configured = {**PLAIN, "spec": {**PLAIN["spec"], "config": [config("class")]}}
    claim = claim_of(ask("a"), ask("b"), config=[{**config("all")}, {**config("b only"), "requests": ["b"]}])
    found = allocate(TWO, claim, classes=[configured])
    assert found is not None
    assert found[0]["devices"]["config"] == [
        {**config("class"), "source": "FromClass", "requests": ["a", "b"]},
        {**config("all"), "source": "FromClaim"},
        {**config("b only"), "source": "FromClaim", "requests": ["b"]},
    ]


def test_a_hopeless_search_ends() -> None:
    devices = [gpu(f"gpu-{index}", index=index) for index in range(40)]
    claim = claim_of(ask("many", count=20), ask("none", 'device.driver == "no"'))
    with pytest.raises(AllocationError, match="node n1: timed out trying to allocate devices"):
        allocate([slice_of(*devices)], claim)
