"""Annotations and labels of a node, read as faults and devices."""

from __future__ import annotations

import pytest
from gpu_device_plugin import faults, inventory
from gpu_device_plugin.faults import Faults

A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}


def test_a_node_without_annotations_is_well() -> None:
    assert faults.parse({"kubectl.kubernetes.io/x": "y"}) == Faults()


@pytest.mark.parametrize(
    ("value", "first", "second"),
    [("79", 79, 0), ("1=48", 0, 48), ("0=79,1=48", 79, 48), ("0=79 1=48", 79, 48), ("all=79", 79, 79), ("all=79,1=31", 79, 31)],
)
def test_an_xid_names_its_devices(value: str, first: int, second: int) -> None:
    found = faults.parse({"gpu.ai-lab.dev/xid": value})
    assert (found.xid(0), found.xid(1)) == (first, second)


@pytest.mark.parametrize(("value", "seconds"), [("5", 5), ("5s", 5), ("500ms", 0.5), ("1.5s", 1.5), ("1m", 60)])
def test_a_delay_may_have_a_unit(value: str, seconds: float) -> None:
    assert faults.parse({"gpu.ai-lab.dev/allocate-delay": value}).allocate_delay == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [("xid", "broken"), ("xid", ""), ("xid", "0=x"), ("allocate-delay", "soon"), ("no-devices", "perhaps"), ("driver-version", "old")],
)
def test_a_value_without_sense_is_named_and_does_nothing(name: str, value: str) -> None:
    found = faults.parse({f"gpu.ai-lab.dev/{name}": value})
    assert len(found.mistakes) == 1
    assert name in found.mistakes[0]
    assert inventory.devices("n", A100, found) == inventory.devices("n", A100, Faults())


def test_devices_come_from_the_labels_and_are_the_same_each_time() -> None:
    first, second = inventory.devices("gpu-node-1", A100, Faults())
    assert (first.product, first.memory) == ("NVIDIA A100-SXM4-40GB", 40960)
    assert first.uuid != second.uuid
    assert [first, second] == inventory.devices("gpu-node-1", A100, Faults())
    assert first.uuid not in {each.uuid for each in inventory.devices("gpu-node-2", A100, Faults())}


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ({}, 0),
        ({"nvidia.com/gpu.count": "2"}, 0),
        ({"nvidia.com/gpu.product": "Tesla-T4"}, 1),
        ({"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "0"}, 0),
        ({"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "many"}, 0),
        ({"nvidia.com/gpu.product": "Some-GPU-Of-Tomorrow", "nvidia.com/gpu.count": "8"}, 8),
    ],
)
def test_labels_that_promise_nothing_give_nothing(labels: dict[str, str], count: int) -> None:
    assert len(inventory.devices("n", labels, Faults())) == count


def test_an_error_of_an_application_leaves_the_device_healthy() -> None:
    (failed, fine) = inventory.devices("n", A100, faults.parse({"gpu.ai-lab.dev/xid": "0=79,1=31"}))
    assert (failed.healthy, failed.lost) == (False, True)
    assert (fine.healthy, fine.lost, fine.xid) == (True, False, 31)


@pytest.mark.parametrize(("version", "cuda"), [("470.57.02", "11.4"), ("535.104.05", "12.2"), ("551.1", "12.4"), ("390.1", "10.1")])
def test_a_driver_serves_the_cuda_of_its_branch(version: str, cuda: str) -> None:
    assert inventory.driver(Faults(driver_version=version)).cuda == cuda


def test_preferred_devices_lie_together_and_include_what_they_must() -> None:
    order = ["a", "b", "c", "d"]
    assert inventory.preferred(["d", "c", "a"], [], 2, order) == ["a", "c"]
    assert inventory.preferred(["d", "c", "a"], ["d"], 2, order) == ["d", "a"]
    assert inventory.preferred(["a"], [], 2, order) == ["a"]
