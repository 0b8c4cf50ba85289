"""How the device plugin shares devices: its configuration file, the resources that come of it, and what a program may take of the memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu_device_plugin import inventory, mig, sharing
from gpu_device_plugin.description import Description
from gpu_device_plugin.faults import Faults
from gpu_device_plugin.node_devices import NodeDevices
from model_server.gpu import Gpu, OutOfMemoryError

A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}
T4 = {"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "1"}
TIME_SLICING = """
version: v1
flags: {migStrategy: mixed}
sharing:
  timeSlicing:
    renameByDefault: true
    failRequestsGreaterThanOne: true
    resources: [{name: nvidia.com/gpu, replicas: 4}]
"""
MPS = "version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}"


def node(labels: dict[str, str], config: str, folder: Path) -> NodeDevices:
    description = Description(folder)
    description.prepare()
    state = NodeDevices("gpu-node", description, sharing.parse(config))
    state.update({"metadata": {"labels": labels}})
    return state


def offered(state: NodeDevices) -> dict[str, int]:
    return {resource: len(rows) for resource, rows in state.offers.items()}


def test_a_card_is_offered_as_often_as_it_has_replicas_under_its_shared_name(tmp_path: Path) -> None:
    state = node(T4, TIME_SLICING, tmp_path)
    assert offered(state) == {"nvidia.com/gpu.shared": 4}
    assert {each.device.uuid for each in state.offers["nvidia.com/gpu.shared"]} == {state.devices[0].uuid}
    assert len({each.id for each in state.offers["nvidia.com/gpu.shared"]}) == 4


def test_replicas_of_two_cards_come_in_turn(tmp_path: Path) -> None:
    state = node(A100, TIME_SLICING, tmp_path)
    first = [each.device.index for each in state.offers["nvidia.com/gpu.shared"]]
    assert first == [0, 1] * 4


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ("all-1g.5gb", {"nvidia.com/mig-1g.5gb": 14}),
        ("all-balanced", {"nvidia.com/mig-3g.20gb": 2, "nvidia.com/mig-2g.10gb": 2, "nvidia.com/mig-1g.5gb": 4}),
        ("all-disabled", {"nvidia.com/gpu.shared": 8}),
        ("", {"nvidia.com/gpu.shared": 8}),
        ("all-9g.90gb", {"nvidia.com/gpu.shared": 8}),
    ],
)
def test_the_label_cuts_the_cards_and_each_profile_has_a_name_of_its_own(config: str, wanted: dict[str, int], tmp_path: Path) -> None:
    assert offered(node({**A100, mig.LABEL: config}, TIME_SLICING, tmp_path)) == wanted


def test_under_the_single_strategy_parts_are_gpus(tmp_path: Path) -> None:
    state = node({**A100, mig.LABEL: "all-3g.20gb"}, "version: v1\nflags: {migStrategy: single}", tmp_path)
    assert offered(state) == {"nvidia.com/gpu": 4}


def test_without_a_strategy_a_card_stays_whole_and_a_t4_always_does(tmp_path: Path) -> None:
    assert offered(node({**A100, mig.LABEL: "all-1g.5gb"}, "version: v1", tmp_path / "a")) == {"nvidia.com/gpu": 2}
    assert offered(node({**T4, mig.LABEL: "all-1g.5gb"}, TIME_SLICING, tmp_path / "b")) == {"nvidia.com/gpu.shared": 4}


def test_parts_of_a_card_never_overlap() -> None:
    card = inventory.devices("n", A100, Faults())[0]
    for config in ("all-balanced", "all-1g.5gb", "all-2g.10gb", "all-3g.20gb"):
        slices = [each for part in mig.layout(card, config) for each in part.slices]
        assert len(slices) == len(set(slices)) <= mig.SLICES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: v2", "unknown version: v2"),
        ("- a", "unknown version"),
        ("version: v1\nflags: {migStrategy: some}", "unknown MIG strategy: some"),
        ("version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 1}]}}", "number of replicas must be >= 2"),
        ("version: v1\nsharing: {timeslicing: {}}", "unknown field sharing.timeslicing"),
        (
            "version: v1\nsharing: {timeSlicing: {resources: [{name: gpu, replicas: 2}]}, mps: {resources: [{name: gpu, replicas: 2}]}}",
            "both time-slicing and mps",
        ),
        ("version: v1\nsharing: {mps: {resources: [{name: nvidia.com/mig-1g.5gb, replicas: 2}]}}", "MPS is not supported for MIG devices"),
        ("a: [", "no YAML"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_told(text: str, words: str) -> None:
    with pytest.raises(sharing.ConfigError, match=words):
        sharing.parse(text)


def gpu(state: NodeDevices, resource: str, number: int = 0) -> Gpu:
    return Gpu(state.description.root, state.offers[resource][number].device.uuid, "12.4")


def test_with_time_slicing_one_program_may_take_all_of_the_memory(tmp_path: Path) -> None:
    state = node(T4, TIME_SLICING, tmp_path)
    greedy, neighbour = gpu(state, "nvidia.com/gpu.shared"), gpu(state, "nvidia.com/gpu.shared", 1)
    greedy.allocate(14336)
    with pytest.raises(OutOfMemoryError, match=r"total capacity of 15.00 GiB of which 1.00 GiB is free"):
        neighbour.allocate(2048)


def test_with_mps_each_program_has_its_equal_share(tmp_path: Path) -> None:
    state = node(T4, MPS, tmp_path)
    greedy, neighbour = gpu(state, "nvidia.com/gpu"), gpu(state, "nvidia.com/gpu", 1)
    with pytest.raises(OutOfMemoryError, match=r"of which 3.75 GiB is free"):
        greedy.allocate(14336)
    greedy.allocate(3840)
    neighbour.allocate(3840)


def test_a_part_has_its_own_memory_and_no_more(tmp_path: Path) -> None:
    state = node({**A100, mig.LABEL: "all-1g.5gb"}, TIME_SLICING, tmp_path)
    greedy, neighbour = gpu(state, "nvidia.com/mig-1g.5gb"), gpu(state, "nvidia.com/mig-1g.5gb", 1)
    with pytest.raises(OutOfMemoryError, match=r"total capacity of 4.75 GiB"):
        greedy.allocate(14336)
    greedy.allocate(4864)
    neighbour.allocate(4864)
