"""The device plugin's service (v1beta1) and the state it serves: Nodes in, device lists, allocations and the description out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from gpu_device_plugin import faults, inventory
from gpu_device_plugin.description import Description
from gpu_device_plugin.deviceplugin.v1beta1_grpc import DevicePluginBase
from gpu_device_plugin.deviceplugin.v1beta1_pb2 import (
    AllocateResponse,
    ContainerAllocateResponse,
    ContainerPreferredAllocationResponse,
    DevicePluginOptions,
    ListAndWatchResponse,
    Mount,
    PreferredAllocationResponse,
    PreStartContainerResponse,
)
from gpu_device_plugin.deviceplugin.v1beta1_pb2 import Device as PluginDevice
from gpu_device_plugin.faults import Faults
from gpu_device_plugin.holders import Holder
from gpu_device_plugin.inventory import Device

log = logging.getLogger(__name__)

Object = dict[str, Any]


class NodeDevices:
    """The devices of this node as they are now. `changed` is set, and replaced, whenever the list changes."""

    def __init__(self, node: str, description: Description):
        self.node = node
        self.faults = Faults()
        self.devices: list[Device] = []
        self.changed = asyncio.Event()
        self.document: dict[str, Any] = {}
        self._description = description
        self._holders: dict[str, Holder] = {}
        self._labels: dict[str, str] | None = None
        self._said_none = False

    def update(self, node: Object) -> None:
        """Takes over what the Node says. Its labels count once, as hardware is counted when the plugin starts; its annotations always."""
        metadata = node["metadata"]
        found = faults.parse(metadata.get("annotations") or {})
        for mistake in found.mistakes:
            if mistake not in self.faults.mistakes:
                log.warning(mistake)
        labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name.startswith("nvidia.com/gpu.")}
        if self._labels is None or not inventory.devices(self.node, self._labels, Faults()):
            self._labels = labels
        elif labels != self._labels and inventory.devices(self.node, labels, Faults()) != inventory.devices(
            self.node, self._labels, Faults()
        ):
            log.warning("The node's labels changed; its devices did not (they are counted when the plugin starts)")
        devices = inventory.devices(self.node, self._labels, found)
        before, self.devices, self.faults = self.devices, devices, found
        self._report(before)
        self._write()
        if devices != before:
            self.changed.set()
            self.changed = asyncio.Event()

    def _report(self, before: list[Device]) -> None:
        """Log lines in the words of NVIDIA's plugin, for what has changed."""
        xids = {device.uuid: device.xid for device in before}
        for device in self.devices:
            was = xids.get(device.uuid, 0)
            if device.xid and device.xid != was:
                if device.healthy:
                    log.info(
                        "Skipping event {EventType:8 EventData:%d}: Xid %d on Device=%s comes from an application",
                        device.xid,
                        device.xid,
                        device.uuid,
                    )
                else:
                    log.error("XidCriticalError: Xid=%d on Device=%s; marking device as unhealthy.", device.xid, device.uuid)
            elif was and not device.xid:
                log.info("Device=%s recovered from Xid=%d; marking device as healthy.", device.uuid, was)
        if not self.devices and not self._said_none:
            log.info("No devices found. Waiting indefinitely.")
        elif self.devices and not before:
            log.info("Found %d devices: %s", len(self.devices), ", ".join(f"{each.uuid} ({each.product})" for each in self.devices))
        self._said_none = not self.devices

    def hold(self, holders: dict[str, Holder]) -> None:
        """Takes over who holds which device."""
        if holders != self._holders:
            self._holders = holders
            if self.document:
                self._write()

    def _write(self) -> None:
        self.document = self._description.write(self.node, inventory.driver(self.faults), self.devices, self._holders)

    def container(self, ids: list[str]) -> ContainerAllocateResponse:
        """What a container gets with these devices. Raises KeyError with an ID that is not a device of this node."""
        by_uuid = {device.uuid: device for device in self.devices}
        chosen = sorted((by_uuid[each] for each in ids), key=lambda device: device.index)
        uuids = [device.uuid for device in chosen]
        response = ContainerAllocateResponse(envs={"NVIDIA_VISIBLE_DEVICES": ",".join(uuids)})
        if self.faults.not_injected:
            return response
        response.envs["NVIDIA_GPU_PRODUCT"] = chosen[0].product if chosen else ""
        response.envs["NVIDIA_GPU_MEMORY_MIB"] = str(chosen[0].memory if chosen else 0)
        response.annotations["gpu.ai-lab.dev/devices"] = ",".join(uuids)
        for inside, outside, read_only in self._description.mounts(uuids):
            response.mounts.append(Mount(container_path=inside, host_path=outside, read_only=read_only))
        return response


class DevicePlugin(DevicePluginBase):
    """The gRPC service that the kubelet calls. `stop` ends the streams that it has open."""

    def __init__(self, state: NodeDevices, resource: str):
        self._state = state
        self._resource = resource
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def GetDevicePluginOptions(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(DevicePluginOptions(get_preferred_allocation_available=True))

    async def ListAndWatch(self, stream: Any) -> None:
        await stream.recv_message()
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while not self._stopped.is_set():
                changed = asyncio.ensure_future(self._state.changed.wait())
                await stream.send_message(
                    ListAndWatchResponse(
                        devices=[
                            PluginDevice(ID=each.uuid, health="Healthy" if each.healthy else "Unhealthy") for each in self._state.devices
                        ]
                    )
                )
                await asyncio.wait((changed, stopped), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            stopped.cancel()

    async def GetPreferredAllocation(self, stream: Any) -> None:
        request = await stream.recv_message()
        order = [device.uuid for device in self._state.devices]
        await stream.send_message(
            PreferredAllocationResponse(
                container_responses=[
                    ContainerPreferredAllocationResponse(
                        deviceIDs=inventory.preferred(
                            list(each.available_deviceIDs), list(each.must_include_deviceIDs), each.allocation_size, order
                        )
                    )
                    for each in request.container_requests
                ]
            )
        )

    async def Allocate(self, stream: Any) -> None:
        request = await stream.recv_message()
        wanted = [list(each.devicesIDs) for each in request.container_requests]
        found = self._state.faults
        if found.allocate_delay:
            log.warning("Allocate waits %g s for the driver", found.allocate_delay)
            await asyncio.sleep(found.allocate_delay)
        if found.allocate_error:
            log.error("Allocate of %s failed: %s", wanted, found.allocate_error)
            raise GRPCError(Status.UNKNOWN, found.allocate_error)
        try:
            responses = [self._state.container(ids) for ids in wanted]
        except KeyError as unknown:
            raise GRPCError(
                Status.UNKNOWN, f"invalid allocation request for '{self._resource}': unknown device: {unknown.args[0]}"
            ) from None
        for ids in wanted:
            log.info("Allocated %s to a container", ", ".join(ids))
        await stream.send_message(AllocateResponse(container_responses=responses))

    async def PreStartContainer(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(PreStartContainerResponse())
