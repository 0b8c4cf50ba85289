"""The device plugin's service (v1beta1): device lists and allocations out of the node's devices."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from gpu_device_plugin import inventory, sharing
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
from gpu_device_plugin.node_devices import NodeDevices

log = logging.getLogger(__name__)


class DevicePlugin(DevicePluginBase):
    """The gRPC service that the kubelet calls. `stop` ends the streams that it has open."""

    def __init__(self, state: NodeDevices, resource: str):
        self._state = state
        self._resource = resource
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def _offers(self) -> list[sharing.Offer]:
        return self._state.offers.get(self._resource, [])

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
                            PluginDevice(ID=each.id, health="Healthy" if each.device.healthy else "Unhealthy") for each in self._offers
                        ]
                    )
                )
                await asyncio.wait((changed, stopped), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            stopped.cancel()

    async def GetPreferredAllocation(self, stream: Any) -> None:
        request = await stream.recv_message()
        order = [each.id for each in self._offers]
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
            responses = [self._container(ids) for ids in wanted]
        except KeyError as unknown:
            raise GRPCError(
                Status.UNKNOWN, f"invalid allocation request for '{self._resource}': unknown device: {unknown.args[0]}"
            ) from None
        for ids in wanted:
            self._check(ids)
            log.info("Allocated %s to a container", ", ".join(ids))
        await stream.send_message(AllocateResponse(container_responses=responses))

    async def PreStartContainer(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(PreStartContainerResponse())

    def _check(self, ids: list[str]) -> None:
        """Two replicas are no more than one: they may be of the same device. Raises GRPCError with the plugin's own words."""
        config = self._state.config
        strict = config.one_at_most or config.strategy == sharing.MPS
        if strict and len(ids) > 1 and any(map(sharing.is_replica, ids)):
            refused = f"invalid request: maximum request size for shared resources is 1; found {len(ids)}"
            raise GRPCError(Status.UNKNOWN, f'invalid allocation request for "{self._resource}": {refused}')

    def _container(self, ids: list[str]) -> ContainerAllocateResponse:
        """What a container gets with these devices. Raises KeyError with an ID that is not a device of this node."""
        offered = {each.id: each.device for each in self._offers}
        # Two replicas of a device are that device, once.
        chosen = sorted({offered[each].uuid: offered[each] for each in ids}.values(), key=lambda device: device.index)
        response = ContainerAllocateResponse(envs=self._state.variables(chosen))
        if self._state.config.strategy == sharing.MPS:
            response.envs["CUDA_MPS_PIPE_DIRECTORY"] = f"/mps/{self._resource}/pipe"
        if self._state.faults.not_injected:
            return response
        uuids = [device.uuid for device in chosen]
        response.annotations["gpu.ai-lab.dev/devices"] = ",".join(uuids)
        for inside, outside, read_only in self._state.description.mounts(uuids):
            response.mounts.append(Mount(container_path=inside, host_path=outside, read_only=read_only))
        return response
