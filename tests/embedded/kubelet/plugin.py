"""A device plugin to test the kubelet with: devices, health and failures are set by the test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from clusters.embedded.kubelet.deviceplugin.v1beta1 import api_pb2 as api

RESOURCE = "nvidia.com/gpu"


class Plugin:
    """Serves `gpu.sock` in the kubelet's plugin folder."""

    def __init__(self, folder: Path, **devices: bool):
        self._folder = folder.resolve()
        self.devices = {name.replace("_", "-"): healthy for name, healthy in devices.items()}
        self.refusal = ""
        self.preferred: list[str] = []
        self.allocated: list[list[str]] = []
        self._changed = asyncio.Condition()
        self._stopped = False
        self._watchers: set[asyncio.Task[Any]] = set()
        self._server: Server | None = None

    def __mapping__(self) -> dict[str, Handler]:
        unary, stream = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        path = "/v1beta1.DevicePlugin/"
        return {
            path + "ListAndWatch": Handler(self._watch, stream, api.Empty, api.ListAndWatchResponse),
            path + "Allocate": Handler(self._allocate, unary, api.AllocateRequest, api.AllocateResponse),
            path + "GetPreferredAllocation": Handler(self._prefer, unary, api.PreferredAllocationRequest, api.PreferredAllocationResponse),
        }

    async def start(self, version: str = "v1beta1") -> None:
        self._stopped = False
        self._server = Server([self])
        await self._server.start(path=str(self._folder / "gpu.sock"))
        channel = Channel(path=str(self._folder / "kubelet.sock"))
        try:
            register = UnaryUnaryMethod(channel, "/v1beta1.Registration/Register", api.RegisterRequest, api.Empty)
            options = api.DevicePluginOptions(get_preferred_allocation_available=True)
            await register(api.RegisterRequest(version=version, endpoint="gpu.sock", resource_name=RESOURCE, options=options))
        finally:
            channel.close()

    async def stop(self) -> None:
        """Ends as a process does: nothing it served goes on."""
        if self._server is None:
            return
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._watchers:
            await asyncio.wait(self._watchers)
        self._server.close()
        await self._server.wait_closed()
        self._server = None
        (self._folder / "gpu.sock").unlink(missing_ok=True)

    async def set(self, device: str, healthy: bool) -> None:
        async with self._changed:
            self.devices[device] = healthy
            self._changed.notify_all()

    async def _watch(self, stream: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)
        await stream.recv_message()
        async with self._changed:
            while not self._stopped:
                devices = [api.Device(ID=name, health="Healthy" if well else "Unhealthy") for name, well in self.devices.items()]
                await stream.send_message(api.ListAndWatchResponse(devices=devices))
                await self._changed.wait()

    async def _allocate(self, stream: Any) -> None:
        request = await stream.recv_message()
        if self.refusal:
            raise GRPCError(Status.UNKNOWN, self.refusal)
        devices = list(request.container_requests[0].devices_ids)
        self.allocated.append(devices)
        response = api.ContainerAllocateResponse(envs={"NVIDIA_VISIBLE_DEVICES": ",".join(devices)})
        response.mounts.add(container_path="/usr/bin/nvidia-smi", host_path="/opt/bin/nvidia-smi", read_only=True)
        await stream.send_message(api.AllocateResponse(container_responses=[response]))

    async def _prefer(self, stream: Any) -> None:
        request = (await stream.recv_message()).container_requests[0]
        chosen = self.preferred or list(request.available_deviceIDs)[: request.allocation_size]
        await stream.send_message(
            api.PreferredAllocationResponse(container_responses=[api.ContainerPreferredAllocationResponse(deviceIDs=chosen)])
        )
