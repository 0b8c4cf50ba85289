"""gRPC with DRA drivers and with whatever else registers by a socket in `plugins_registry`.

Loaded only when such a socket is there: it brings grpclib and protobuf.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpclib.client import UnaryStreamMethod
from grpclib.exceptions import GRPCError

from clusters.embedded.kubelet.dra_state import HEALTH_SECONDS, HEALTHY, UNHEALTHY, UNKNOWN, ClaimInfo, Device, DraError, Health
from clusters.embedded.kubelet.draplugin import dra_pb2 as dra
from clusters.embedded.kubelet.draplugin import health_pb2 as health_api
from clusters.embedded.kubelet.draplugin import registration_pb2 as registration
from clusters.embedded.kubelet.grpc_unix import LOST, PluginError, UnixChannel, call, keep_cancelled, status_text

# The services that a driver may register with, the newest first; the messages of both are the same on the wire.
SERVICES = {
    "v1.DRAPlugin": "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
    "v1beta1.DRAPlugin": "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
}
HEALTH_SERVICE = "v1alpha1.DRAResourceHealth"
# defaultClientCallTimeout.
_CALL_SECONDS = 45.0
_HEALTH = {health_api.HEALTHY: HEALTHY, health_api.UNHEALTHY: UNHEALTHY}


@dataclass(frozen=True)
class PluginInfo:
    """What a plugin says of itself when it is asked at its registration socket."""

    type: str
    name: str
    endpoint: str
    versions: tuple[str, ...]


class RegistrationClient:
    """The kubelet's side of one registration socket."""

    def __init__(self, socket: Path):
        self._channel = UnixChannel(socket)

    async def info(self) -> PluginInfo:
        """Raises PluginError."""
        path = "/pluginregistration.Registration/GetInfo"
        found = await call(self._channel, path, registration.InfoRequest(), registration.PluginInfo, 1.0)
        return PluginInfo(found.type, found.name, found.endpoint, tuple(found.supported_versions))

    async def notify(self, error: str) -> None:
        """Tells the plugin that it is registered, or why it is not. Raises PluginError."""
        status = registration.RegistrationStatus(plugin_registered=not error, error=error)
        path = "/pluginregistration.Registration/NotifyRegistrationStatus"
        await call(self._channel, path, status, registration.RegistrationStatusResponse, 5.0)

    def close(self) -> None:
        self._channel.close()


class DraPlugin:
    """The kubelet's side of one driver's plugin at `socket`; `service` is one of SERVICES."""

    def __init__(self, driver: str, endpoint: str, socket: Path, service: str, *, tells_health: bool):
        self.driver = driver
        self.endpoint = endpoint
        self.tells_health = tells_health
        self.connected = False
        self._service = SERVICES[service]
        self._channel = UnixChannel(socket)

    async def connect(self) -> None:
        """Raises OSError where the plugin does not listen."""
        await self._channel.connect()

    async def until_lost(self) -> None:
        await self._channel.until_lost()

    def close(self) -> None:
        self._channel.close()

    async def prepare(self, claims: list[ClaimInfo]) -> dict[str, list[Device]]:
        """The devices of each claim, by its UID. Raises DraError where the driver could not prepare all of them."""
        request = dra.NodePrepareResourcesRequest(claims=_named(claims))
        answers = await self._call("NodePrepareResources", request, dra.NodePrepareResourcesResponse, claims)
        return {
            uid: [
                Device(
                    each.pool_name,
                    each.device_name,
                    tuple(each.request_names),
                    tuple(each.cdi_device_ids),
                    each.share_id if each.HasField("share_id") else None,
                )
                for each in answer.devices
            ]
            for uid, answer in answers.items()
        }

    async def unprepare(self, claims: list[ClaimInfo]) -> None:
        """Raises DraError where the driver did not undo all of them."""
        request = dra.NodeUnprepareResourcesRequest(claims=_named(claims))
        await self._call("NodeUnprepareResources", request, dra.NodeUnprepareResourcesResponse, claims)

    async def _call(self, method: str, request: Any, reply: Any, claims: list[ClaimInfo]) -> Any:
        """The answers by UID, after every claim was found in them without an error."""
        try:
            response = await call(self._channel, f"/{self._service}/{method}", request, reply, _CALL_SECONDS)
        except PluginError as error:
            raise DraError(f"{method}: {error}") from None
        names = {claim.uid: claim.name for claim in claims}
        for uid, answer in response.claims.items():
            if uid not in names:
                raise DraError(f"{method} returned result for unknown claim UID {uid}")
            if answer.error:
                raise DraError(f"{method} failed for ResourceClaim {names[uid]}: {answer.error}")
        if missing := len(claims) - len(response.claims):
            raise DraError(f"{method} skipped {missing} ResourceClaims")
        return response.claims

    async def watch_health(self) -> AsyncIterator[dict[tuple[str, str], Health]]:
        """Health by (pool, device), each time the driver tells. Raises PluginError when the stream breaks."""
        path = f"/{HEALTH_SERVICE}/NodeWatchResources"
        method = UnaryStreamMethod(self._channel, path, health_api.NodeWatchResourcesRequest, health_api.NodeWatchResourcesResponse)
        try:
            async with method.open() as stream:
                await stream.send_message(health_api.NodeWatchResourcesRequest(), end=True)
                async for response in stream:
                    yield {(each.device.pool_name, each.device.device_name): _health(each) for each in response.devices}
        except GRPCError as error:
            raise PluginError(status_text(error)) from None
        except LOST as error:
            keep_cancelled()
            raise PluginError(str(error)) from None


def _named(claims: Iterable[ClaimInfo]) -> list[Any]:
    return [dra.Claim(namespace=each.namespace, uid=each.uid, name=each.name) for each in claims]


def _health(device: Any) -> Health:
    seconds = device.health_check_timeout_seconds if device.health_check_timeout_seconds > 0 else HEALTH_SECONDS
    return Health(_HEALTH.get(device.health, UNKNOWN), device.message, time.monotonic() + seconds)
