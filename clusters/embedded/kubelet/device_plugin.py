"""gRPC with device plugins: the kubelet's Registration and PodResourcesLister services, and its client of a plugin's DevicePlugin service.

Loaded only when a node serves plugins: it brings grpclib and protobuf.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from grpclib.client import UnaryStreamMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from clusters.embedded.kubelet.deviceplugin.v1beta1 import api_pb2 as api
from clusters.embedded.kubelet.dra_state import Device
from clusters.embedded.kubelet.grpc_unix import LOST, PluginError, UnixChannel, call, keep_cancelled
from clusters.embedded.kubelet.podresources.v1 import podresources_pb2 as podresources

log = logging.getLogger(__name__)

VERSION = "v1beta1"
# (namespace, Pod, container, resource, device ids) of each allocation.
Holdings = Callable[[], Iterable[tuple[str, str, str, str, list[str]]]]
# (namespace, Pod, container, the claim's name, [(driver, device)]) of each ResourceClaim that a container uses.
ClaimHoldings = Callable[[], Iterable[tuple[str, str, str, str, list[tuple[str, Device]]]]]
# Called with (resource name, socket's file name, options) when a plugin registers.
Registered = Callable[[str, str, Any], None]


class PluginClient:
    """The kubelet's side of one plugin; `socket` is where the plugin serves."""

    def __init__(self, socket: Path):
        self._channel = UnixChannel(socket)

    async def _call(self, method: str, request: Any, reply: Any, seconds: float | None) -> Any:
        return await call(self._channel, f"/v1beta1.DevicePlugin/{method}", request, reply, seconds)

    async def list_and_watch(self) -> AsyncIterator[dict[str, bool]]:
        """Device id → healthy, each time the plugin tells; ends or raises PluginError when the plugin is gone."""
        method = UnaryStreamMethod(self._channel, "/v1beta1.DevicePlugin/ListAndWatch", api.Empty, api.ListAndWatchResponse)
        try:
            async with method.open() as stream:
                await stream.send_message(api.Empty(), end=True)
                async for response in stream:
                    yield {device.ID: device.health == "Healthy" for device in response.devices}
        except (GRPCError, *LOST) as error:
            keep_cancelled()
            raise PluginError(str(error)) from None

    async def preferred(self, available: list[str], must_include: list[str], size: int) -> list[str]:
        """The devices that the plugin would rather give, of those available."""
        request = api.PreferredAllocationRequest(
            container_requests=[
                api.ContainerPreferredAllocationRequest(
                    available_deviceIDs=available, must_include_deviceIDs=must_include, allocation_size=size
                )
            ]
        )
        response = await self._call("GetPreferredAllocation", request, api.PreferredAllocationResponse, None)
        return list(response.container_responses[0].deviceIDs) if response.container_responses else []

    async def allocate(self, devices: list[str]) -> bytes:
        """The plugin's ContainerAllocateResponse for these devices, as bytes."""
        request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=devices)])
        response = await self._call("Allocate", request, api.AllocateResponse, None)
        if not response.container_responses:
            raise PluginError("no containers return in allocation response")
        return response.container_responses[0].SerializeToString()

    async def pre_start(self, devices: list[str]) -> None:
        """PreStartContainer, for a plugin that asked for it; it has 30 s."""
        await self._call("PreStartContainer", api.PreStartContainerRequest(devices_ids=devices), api.PreStartContainerResponse, 30.0)

    def close(self) -> None:
        self._channel.close()


def allocation(data: bytes) -> tuple[dict[str, str], list[tuple[str, str, bool]], dict[str, str]]:
    """(environment, [(container path, host path, read only)], annotations) of an Allocate answer."""
    response = api.ContainerAllocateResponse.FromString(data)
    mounts = [(mount.container_path, mount.host_path, mount.read_only) for mount in response.mounts]
    mounts += [(device.container_path, device.host_path, device.permissions == "r") for device in response.devices]
    return dict(response.envs), mounts, dict(response.annotations)


class _Service:
    """What grpclib calls: paths to handlers."""

    def __init__(self, handlers: dict[str, tuple[Callable[[Any], Awaitable[Any]], Any, Any]]):
        self._handlers = handlers

    def __mapping__(self) -> dict[str, Handler]:
        return {
            path: Handler(_unary(answer), Cardinality.UNARY_UNARY, request, reply)
            for path, (answer, request, reply) in self._handlers.items()
        }


def _unary(answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    async def handle(stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        await stream.send_message(await answer(request))

    return handle


class RegistrationServer:
    """Serves `kubelet.sock` of the device plugin folder."""

    def __init__(self, socket: Path, registered: Registered):
        self._socket = socket
        self._registered = registered
        self._server = Server([_Service({"/v1beta1.Registration/Register": (self._register, api.RegisterRequest, api.Empty)})])

    async def start(self) -> None:
        await self._server.start(path=str(self._socket))

    async def _register(self, request: Any) -> Any:
        if request.version != VERSION:
            raise GRPCError(
                Status.UNKNOWN, f'requested API version "{request.version}" is not supported by kubelet. Supported version is ["{VERSION}"]'
            )
        if "/" not in request.resource_name or request.resource_name.split("/")[0].endswith("kubernetes.io"):
            raise GRPCError(Status.UNKNOWN, f'the ResourceName "{request.resource_name}" is invalid')
        log.info("device plugin %s registered for %s", request.endpoint, request.resource_name)
        self._registered(request.resource_name, request.endpoint, request.options)
        return api.Empty()

    async def stop(self) -> None:
        await _stop(self._server)


class PodResourcesServer:
    """Serves `pod-resources/kubelet.sock`: which container holds which device, and which claims it uses."""

    def __init__(self, socket: Path, holdings: Holdings, claims: ClaimHoldings):
        self._socket = socket
        self._holdings = holdings
        self._claims = claims
        list_path = "/v1.PodResourcesLister/List"
        self._server = Server(
            [_Service({list_path: (self._list, podresources.ListPodResourcesRequest, podresources.ListPodResourcesResponse)})]
        )

    async def start(self) -> None:
        await self._server.start(path=str(self._socket))

    async def _list(self, request: Any) -> Any:
        pods: dict[tuple[str, str], Any] = {}

        def shown(namespace: str, pod: str, container: str) -> Any:
            found = pods.setdefault((namespace, pod), podresources.PodResources(name=pod, namespace=namespace))
            return next((each for each in found.containers if each.name == container), None) or found.containers.add(name=container)

        for namespace, pod, container, resource, devices in self._holdings():
            shown(namespace, pod, container).devices.add(resource_name=resource, device_ids=devices)
        for namespace, pod, container, claim, claimed in self._claims():
            told = shown(namespace, pod, container).dynamic_resources.add(claim_name=claim, claim_namespace=namespace)
            for driver, device in claimed:
                names = [podresources.CDIDevice(name=each) for each in device.cdi]
                told.claim_resources.add(
                    cdi_devices=names, driver_name=driver, pool_name=device.pool, device_name=device.name, share_id=device.share
                )
        return podresources.ListPodResourcesResponse(pod_resources=list(pods.values()))

    async def stop(self) -> None:
        await _stop(self._server)


async def _stop(server: Server) -> None:
    server.close()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 1.0)
