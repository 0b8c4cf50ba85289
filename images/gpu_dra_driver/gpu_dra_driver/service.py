"""The driver's gRPC services: claims in, devices with their CDI names out; the health of devices; registration at the kubelet."""

from __future__ import annotations

import asyncio
import http.client
import logging
import time
from typing import Any

from gpu_device_plugin.api_server import ApiServer
from gpu_device_plugin.mig import name, parts
from gpu_device_plugin.node_devices import NodeDevices
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from gpu_dra_driver.claims import ClaimError, Claims, Prepared, shown
from gpu_dra_driver.devices import DRIVER, health_message
from gpu_dra_driver.draplugin.dra_grpc import DRAPluginBase
from gpu_dra_driver.draplugin.dra_pb2 import Device, NodePrepareResourcesResponse, NodeUnprepareResourcesResponse
from gpu_dra_driver.draplugin.health_grpc import DRAResourceHealthBase
from gpu_dra_driver.draplugin.health_pb2 import HEALTHY, UNHEALTHY, DeviceHealth, DeviceIdentifier, NodeWatchResourcesResponse
from gpu_dra_driver.draplugin.registration_grpc import RegistrationBase
from gpu_dra_driver.draplugin.registration_pb2 import PluginInfo, RegistrationStatusResponse

log = logging.getLogger(__name__)

Object = dict[str, Any]
# In the order of preference; health is a service of its own.
SERVICES = ("v1.DRAPlugin", "v1alpha1.DRAResourceHealth")
# A kubelet believes a report on health for so long, and is told again in time.
_HEALTH_SECONDS = 60
_TELL_EVERY = 20.0


class DraPlugin(DRAPluginBase):
    """Prepares and unprepares, one claim after another."""

    def __init__(self, claims: Claims, state: NodeDevices, server: ApiServer):
        self._claims = claims
        self._state = state
        self._api = server
        self._lock = asyncio.Lock()

    async def NodePrepareResources(self, stream: Any) -> None:
        request = await stream.recv_message()
        claims = [await self._claim(each) for each in request.claims]
        if delay := self._state.faults.allocate_delay:
            log.warning("NodePrepareResources waits %g s for the driver", delay)
            await asyncio.sleep(delay)
        response = NodePrepareResourcesResponse()
        async with self._lock:
            for claim in claims:
                answer = response.claims[claim["metadata"]["uid"]]
                try:
                    answer.devices.extend(_told(each) for each in self._claims.prepare(claim))
                except (ClaimError, OSError) as error:
                    answer.error = f"error preparing devices for claim {shown(claim)}: prepare devices failed: {error}"
                    log.error("%s", answer.error)
        await stream.send_message(response)

    async def _claim(self, wanted: Any) -> Object:
        """The claim as the API has it. Raises GRPCError where it is not the one that the kubelet means."""
        named = f"{wanted.namespace}/{wanted.name}"
        path = f"/apis/resource.k8s.io/v1/namespaces/{wanted.namespace}/resourceclaims/{wanted.name}"
        try:
            claim = await asyncio.to_thread(self._api.request, "GET", path)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _failed(f"retrieve claim {named}: {getattr(error, 'message', error)}") from None
        if not (claim.get("status") or {}).get("allocation"):
            raise _failed(f"claim {named} not allocated")
        if claim["metadata"]["uid"] != wanted.uid:
            raise _failed(f"claim {named} got replaced")
        return claim

    async def NodeUnprepareResources(self, stream: Any) -> None:
        request = await stream.recv_message()
        response = NodeUnprepareResourcesResponse()
        async with self._lock:
            for claim in request.claims:
                answer = response.claims[claim.uid]
                try:
                    self._claims.unprepare(claim.uid)
                except OSError as error:
                    answer.error = f"error unpreparing devices for claim {claim.namespace}/{claim.name}:{claim.uid}: {error}"
                    log.error("%s", answer.error)
        await stream.send_message(response)


def _failed(why: str) -> GRPCError:
    log.error("get resource claims: %s", why)
    return GRPCError(Status.UNKNOWN, f"get resource claims: {why}")


def _told(made: Prepared) -> Device:
    return Device(request_names=[made.request], pool_name=made.pool, device_name=made.device, cdi_device_ids=[made.cdi])


class Health(DRAResourceHealthBase):
    """Tells the kubelet which devices are well. `stop` ends the streams that it has open."""

    def __init__(self, state: NodeDevices, *, dynamic_mig: bool):
        self._state = state
        self._dynamic_mig = dynamic_mig
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def NodeWatchResources(self, stream: Any) -> None:
        await stream.recv_message()
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while not self._stopped.is_set():
                changed = asyncio.ensure_future(self._state.changed.wait())
                await stream.send_message(NodeWatchResourcesResponse(devices=self._report()))
                await asyncio.wait((changed, stopped), timeout=_TELL_EVERY, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            stopped.cancel()

    def _report(self) -> list[DeviceHealth]:
        return [
            DeviceHealth(
                device=DeviceIdentifier(pool_name=self._state.node, device_name=each),
                health=HEALTHY if device.healthy else UNHEALTHY,
                last_updated_time=int(time.time()),
                health_check_timeout_seconds=_HEALTH_SECONDS,
                message=health_message(device),
            )
            for device in self._state.devices
            for each in (name(device), *(part.name for part in parts(device) if self._dynamic_mig))
        ]


class Registration(RegistrationBase):
    """Answers the kubelet, which finds the registration socket and asks what is behind it. `registered` is set once it has taken the driver."""

    def __init__(self, endpoint: str):
        self._endpoint = endpoint
        self.registered = asyncio.Event()

    async def GetInfo(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(PluginInfo(type="DRAPlugin", name=DRIVER, endpoint=self._endpoint, supported_versions=SERVICES))

    async def NotifyRegistrationStatus(self, stream: Any) -> None:
        status = await stream.recv_message()
        if not status.plugin_registered:
            log.error("Kubelet refused the registration: %s", status.error)
            raise GRPCError(Status.UNKNOWN, f"failed registration process: {status.error}")
        log.info("Registered DRA driver '%s' with Kubelet", DRIVER)
        self.registered.set()
        await stream.send_message(RegistrationStatusResponse())
