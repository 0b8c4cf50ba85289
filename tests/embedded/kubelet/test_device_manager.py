"""Device plugins: from their registration to the node's capacity and to the containers that hold devices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from grpclib.exceptions import GRPCError

from clusters.embedded.kubelet import device_state
from clusters.embedded.kubelet.device_state import Allocation, AllocationError, DeviceState, Resource

from .conftest import NODE, Node
from .plugin import RESOURCE, Plugin


async def _amounts(node: Node) -> tuple[str | None, str | None]:
    """(capacity, allocatable) of the GPUs."""
    status = (await node.client.get("nodes", NODE))["status"]
    return status["capacity"].get(RESOURCE), status["allocatable"].get(RESOURCE)


async def _until_amounts(node: Node, capacity: str | None, allocatable: str | None) -> None:
    async def there() -> bool:
        return await _amounts(node) == (capacity, allocatable)

    await node.until(there)


async def _until_registration_opens(node: Node) -> None:
    """A kubelet leaves its socket behind when it ends and makes a new one when it starts: that it is there says nothing."""

    folder = node.root / "var/lib/kubelet/device-plugins"

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(folder.resolve() / "kubelet.sock")
        except OSError:
            return False
        writer.close()
        return True

    await node.until(answers)


async def _started(node: Node, **devices: bool) -> Plugin:
    await _until_registration_opens(node)
    plugin = Plugin(node.root / "var/lib/kubelet/device-plugins", **devices)
    await plugin.start()
    healthy = sum(devices.values())
    await _until_amounts(node, str(len(devices)), str(healthy))
    return plugin


@pytest_asyncio.fixture
async def plugin(node: Node) -> AsyncIterator[Plugin]:
    """Two healthy GPUs on the node."""
    tool = node.root / "opt/bin/nvidia-smi"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho GPU $NVIDIA_VISIBLE_DEVICES\n")
    tool.chmod(0o755)
    started = await _started(node, GPU_0=True, GPU_1=True)
    yield started
    await started.stop()


async def _gpu_pod(node: Node, name: str, count: int, *command: str, **spec: Any) -> None:
    await node.run(name, *(command or ("sleep", "600")), resources={"limits": {RESOURCE: count}}, **spec)


async def test_a_container_gets_what_the_plugin_says(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "holder", 1, "sh", "-c", "nvidia-smi; sleep 60")
    pod = await node.until_phase("holder", "Running")
    await node.until(lambda: node.logs("holder"))
    assert await node.logs("holder") == "GPU GPU-0\n"
    assert pod["status"]["containerStatuses"][0]["allocatedResourcesStatus"] == [
        {"name": RESOURCE, "resources": [{"resourceID": "GPU-0", "health": "Healthy"}]}
    ]
    assert plugin.allocated == [["GPU-0"]]


async def test_the_plugin_may_prefer_a_device(node: Node, plugin: Plugin) -> None:
    plugin.preferred = ["GPU-1"]
    await _gpu_pod(node, "holder", 1)
    await node.until_phase("holder", "Running")
    assert plugin.allocated == [["GPU-1"]]


async def test_an_unhealthy_device_lowers_only_what_can_be_allocated(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "holder", 1)
    await node.until_phase("holder", "Running")
    await plugin.set("GPU-0", False)
    await _until_amounts(node, "2", "1")

    async def shown() -> bool:
        return (await node.status("holder"))["allocatedResourcesStatus"][0]["resources"][0]["health"] == "Unhealthy"

    await node.until(shown)
    assert (await node.pod("holder"))["status"]["phase"] == "Running"
    await plugin.set("GPU-0", True)
    await _until_amounts(node, "2", "2")


async def test_more_devices_than_are_left_is_an_unexpected_admission_error(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "holder", 2)
    await node.until_phase("holder", "Running")
    await _gpu_pod(node, "latecomer", 1)
    pod = await node.until_phase("latecomer", "Failed")
    words = (
        f"Allocate failed due to requested number of devices unavailable for {RESOURCE}. Requested: 1, Available: 0, which is unexpected"
    )
    assert (pod["status"]["reason"], pod["status"]["message"]) == ("UnexpectedAdmissionError", f"Pod was rejected: {words}")
    assert await node.until_event("latecomer", "UnexpectedAdmissionError") == words


async def test_devices_are_free_again_when_the_pod_is_gone(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "first", 2)
    await node.until_phase("first", "Running")
    await node.client.delete("pods", "first", "default", grace_period_seconds=1)
    await node.until_gone("first")
    await _gpu_pod(node, "second", 2)
    await node.until_phase("second", "Running")


async def test_what_the_plugin_refuses_is_told(node: Node, plugin: Plugin) -> None:
    plugin.refusal = "invalid allocation request: unknown device"
    await _gpu_pod(node, "refused", 1)
    pod = await node.until_phase("refused", "Failed")
    assert "Allocate failed due to rpc error: code = Unknown desc = invalid allocation request" in pod["status"]["message"]


async def test_a_plugin_that_is_gone_leaves_capacity_and_running_pods(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "holder", 1)
    await node.until_phase("holder", "Running")
    await plugin.stop()
    await _until_amounts(node, "2", "0")
    assert (await node.pod("holder"))["status"]["phase"] == "Running"
    await _gpu_pod(node, "late", 1)
    pod = await node.until_phase("late", "Failed")
    words = f"no healthy devices present; cannot allocate unhealthy devices {RESOURCE}"
    assert pod["status"]["message"] == f"Pod was rejected: Allocate failed due to {words}, which is unexpected"
    await plugin.start()
    await _until_amounts(node, "2", "2")


async def test_a_new_kubelet_knows_who_holds_what(node: Node, plugin: Plugin) -> None:
    await _gpu_pod(node, "holder", 1)
    await node.until_phase("holder", "Running")
    await plugin.stop()
    await node.stop()
    await node.start()
    again = await _started(node, GPU_0=True, GPU_1=True)

    async def back() -> bool:
        status = await node.status("holder")
        return status.get("restartCount") == 1 and status["ready"]

    await node.until(back)
    await _gpu_pod(node, "second", 2)
    pod = await node.until_phase("second", "Failed")
    assert "Requested: 2, Available: 1" in pod["status"]["message"]
    await again.stop()


async def test_another_version_of_the_interface_is_refused(node: Node) -> None:
    await _until_registration_opens(node)
    plugin = Plugin(node.root / "var/lib/kubelet/device-plugins", GPU_0=True)
    with pytest.raises(GRPCError, match='requested API version "v9" is not supported by kubelet'):
        await plugin.start(version="v9")
    await plugin.stop()


# Decisions without a node


def _state(healthy: dict[str, bool], *held: str) -> DeviceState:
    state = DeviceState()
    state.resources[RESOURCE] = Resource(dict(healthy))
    if held:
        state.allocations.append(Allocation("u", "main", RESOURCE, list(held), b""))
    return state


def test_capacity_is_dropped_when_the_plugin_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    state = _state({"a": True, "b": False})
    assert state.counts() == ({RESOURCE: 2}, {RESOURCE: 1})
    state.stop(RESOURCE)
    assert state.counts() == ({RESOURCE: 2}, {RESOURCE: 0})
    later = time.monotonic() + device_state.STOP_GRACE_SECONDS + 1
    monkeypatch.setattr(device_state.time, "monotonic", lambda: later)
    assert state.counts() == ({}, {})


def test_devices_held_before_must_still_be_healthy() -> None:
    state = _state({"a": False, "b": True}, "a")
    with pytest.raises(AllocationError, match="previously allocated devices are no longer healthy; cannot allocate unhealthy devices"):
        state.available(RESOURCE, 1, ["a"], set())


def test_an_init_container_hands_its_devices_on() -> None:
    state = _state({"a": True}, "a")
    assert state.available(RESOURCE, 1, [], {"a"}) == ["a"]


def test_a_checkpoint_is_read_back_and_a_damaged_one_refused() -> None:
    state = _state({"a": True}, "a")
    copy = DeviceState()
    copy.load(state.dump())
    assert copy.allocations == state.allocations
    assert copy.counts() == ({RESOURCE: 0}, {RESOURCE: 0})
    with pytest.raises(ValueError, match="corrupted"):
        copy.load(state.dump().replace(b'"a"', b'"b"'))
