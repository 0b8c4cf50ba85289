"""The plugin's life beside the kubelet: serve on a socket, register, and do both again whenever the kubelet has started anew.

A kubelet that starts empties its plugin folder and creates kubelet.sock again: the file's identity changes, or the plugin's own
socket is gone.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.server import Server

from gpu_device_plugin.deviceplugin.v1beta1_grpc import RegistrationStub
from gpu_device_plugin.deviceplugin.v1beta1_pb2 import DevicePluginOptions, RegisterRequest
from gpu_device_plugin.grpc_unix import UnixChannel
from gpu_device_plugin.plugin import DevicePlugin, NodeDevices

log = logging.getLogger(__name__)

VERSION = "v1beta1"
_LOOK_EVERY = 0.25
_RETRY_AFTER = 1.0


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells one socket file from the next of the same name; inode numbers are used again, so the time counts too."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_ctime_ns)


class Registrar:
    """Keeps the plugin registered for one resource. `folder` is the kubelet's device plugin folder, in which the plugin has its socket."""

    def __init__(self, state: NodeDevices, folder: Path, resource: str):
        endpoint = f"nvidia-{resource.partition('/')[2]}.sock"
        self._state = state
        self._kubelet = folder / "kubelet.sock"
        self._socket = folder / endpoint
        self._endpoint = endpoint
        self._resource = resource
        self._plugin: DevicePlugin | None = None
        self._server: Server | None = None

    async def run(self) -> None:
        """Serves and registers until it is cancelled."""
        try:
            while True:
                known = _identity(self._kubelet)
                if known is None or not await self._register():
                    await asyncio.sleep(_RETRY_AFTER)
                    continue
                # There is no portable way to be told of a change in a folder, so it is looked at; two stats cost microseconds.
                while _identity(self._kubelet) == known and _identity(self._socket):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_EVERY)
                log.info("%s created, restarting.", self._kubelet)
        finally:
            await self._stop()

    async def _register(self) -> bool:
        await self._stop()
        try:
            await self._serve()
            async with UnixChannel(path=str(self._kubelet)) as channel:
                await RegistrationStub(channel).Register(
                    RegisterRequest(
                        version=VERSION,
                        endpoint=self._endpoint,
                        resource_name=self._resource,
                        options=DevicePluginOptions(get_preferred_allocation_available=True),
                    ),
                    timeout=5,
                )
        except (OSError, GRPCError, ProtocolError, StreamTerminatedError, TimeoutError) as error:
            log.error("Could not register device plugin: %s", error)
            return False
        log.info("Registered device plugin for '%s' with Kubelet", self._resource)
        return True

    async def _serve(self) -> None:
        log.info("Starting to serve '%s' on %s", self._resource, self._socket)
        self._plugin = DevicePlugin(self._state, self._resource)
        self._server = Server([self._plugin])
        self._socket.unlink(missing_ok=True)
        await self._server.start(path=str(self._socket))

    async def _stop(self) -> None:
        """Ends the streams, then the server; the socket goes with it."""
        if self._server is None or self._plugin is None:
            return
        self._plugin.stop()
        self._server.close()
        await self._server.wait_closed()
        self._socket.unlink(missing_ok=True)
        self._server = self._plugin = None
