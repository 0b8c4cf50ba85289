"""A DRA driver's plugin to test the kubelet with: real gRPC on real sockets; what it answers is set by the test."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server

from clusters.embedded.kubelet.draplugin import dra_pb2 as dra
from clusters.embedded.kubelet.draplugin import health_pb2 as health
from clusters.embedded.kubelet.draplugin import registration_pb2 as registration

DRIVER = "gpu.example.com"
KIND = f"k8s.{DRIVER}/claim"
_UNARY = Cardinality.UNARY_UNARY


class _Server(Server):
    """Ends as a process does: what was connected is cut."""

    def __init__(self, served: Any):
        super().__init__([served])
        self._protocols: list[H2Protocol] = []

    def _protocol_factory(self) -> H2Protocol:
        self._protocols.append(super()._protocol_factory())
        return self._protocols[-1]

    def cut(self) -> None:
        for protocol in self._protocols:
            if hasattr(protocol, "connection"):
                protocol.connection.close()


class Driver:
    """`root` is the node's folder. `claims` has, for each prepared claim, its devices as (request, device)."""

    def __init__(self, root: Path, *versions: str, name: str = DRIVER):
        self._name = name
        self._cdi = root / "var/run/cdi"
        self._plugins = (root / "var/lib/kubelet/plugins").resolve() / name
        self._registry = (root / "var/lib/kubelet/plugins_registry").resolve()
        self.versions = versions or ("v1.DRAPlugin", "v1alpha1.DRAResourceHealth")
        self.type = "DRAPlugin"
        self.devices = [("gpu", "gpu-0")]
        self.prepared: list[str] = []
        self.unprepared: list[str] = []
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.refusal = ""
        self.skips = False
        self.called = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.holds = ""
        self._health: dict[str, Any] = {}
        self._changed = asyncio.Condition()
        self._stopped = False
        self._streams: set[asyncio.Task[Any]] = set()
        self._servers: list[_Server] = []

    @property
    def socket(self) -> Path:
        return self._registry / f"{self._name}-reg.sock"

    def __mapping__(self) -> dict[str, Handler]:
        served = {
            "/pluginregistration.Registration/GetInfo": Handler(self._info, _UNARY, registration.InfoRequest, registration.PluginInfo),
            "/pluginregistration.Registration/NotifyRegistrationStatus": Handler(
                self._notified, _UNARY, registration.RegistrationStatus, registration.RegistrationStatusResponse
            ),
            "/v1alpha1.DRAResourceHealth/NodeWatchResources": Handler(
                self._watch, Cardinality.UNARY_STREAM, health.NodeWatchResourcesRequest, health.NodeWatchResourcesResponse
            ),
        }
        for version in ("v1", "v1beta1"):
            if f"{version}.DRAPlugin" in self.versions:
                path = f"/k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin"
                served[f"{path}/NodePrepareResources"] = Handler(
                    self._prepare, _UNARY, dra.NodePrepareResourcesRequest, dra.NodePrepareResourcesResponse
                )
                served[f"{path}/NodeUnprepareResources"] = Handler(
                    self._unprepare, _UNARY, dra.NodeUnprepareResourcesRequest, dra.NodeUnprepareResourcesResponse
                )
        return served

    async def start(self) -> None:
        """Serves, and has its registration socket found by the kubelet."""
        self._stopped = False
        self._plugins.mkdir(parents=True, exist_ok=True)
        self._cdi.mkdir(parents=True, exist_ok=True)
        for path in (self._plugins / "dra.sock", self.socket):
            path.unlink(missing_ok=True)
            server = _Server(self)
            await server.start(path=str(path))
            self._servers.append(server)

    async def registered(self) -> Any:
        """Waits for the kubelet's word on the registration."""
        return await asyncio.wait_for(self.told.get(), 60)

    async def stop(self, *, crashed: bool = False) -> None:
        """Ends; one that crashed leaves its sockets behind."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._streams:
            await asyncio.wait(self._streams)
        for server in self._servers:
            server.close()
            server.cut()
            await server.wait_closed()
        self._servers.clear()
        if not crashed:
            (self._plugins / "dra.sock").unlink(missing_ok=True)
            self.socket.unlink(missing_ok=True)

    async def set_health(self, device: str, state: str, message: str = "") -> None:
        """`state` is HEALTHY or UNHEALTHY."""
        async with self._changed:
            self._health[device] = (state, message)
            self._changed.notify_all()

    def cdi(self, claim: str, device: str) -> str:
        """The CDI name of a claim's device."""
        return f"{KIND}={claim}-{device}"

    # What the kubelet calls

    async def _info(self, stream: Any) -> None:
        await stream.recv_message()
        endpoint = f"/var/lib/kubelet/plugins/{self._name}/dra.sock"
        await stream.send_message(
            registration.PluginInfo(type=self.type, name=self._name, endpoint=endpoint, supported_versions=self.versions)
        )

    async def _notified(self, stream: Any) -> None:
        self.told.put_nowait(await stream.recv_message())
        await stream.send_message(registration.RegistrationStatusResponse())

    async def _prepare(self, stream: Any) -> None:
        request = await stream.recv_message()
        self.called.set()
        await self.goes_on.wait()
        if self.refusal == "general":
            raise GRPCError(Status.UNKNOWN, "the driver is out of order")
        response = dra.NodePrepareResourcesResponse()
        for claim in [] if self.skips else request.claims:
            answer = response.claims[claim.uid]
            if self.refusal:
                answer.error = self.refusal
                continue
            self.prepared.append(claim.name)
            self._write_spec(claim.uid)
            for request_name, device in self.devices:
                answer.devices.add(
                    request_names=[request_name], pool_name="node-1", device_name=device, cdi_device_ids=[self.cdi(claim.uid, device)]
                )
        await stream.send_message(response)

    def _write_spec(self, claim: str) -> None:
        devices = [
            {
                "name": f"{claim}-{device}",
                "containerEdits": {
                    "env": [f"GPU={device}", f"SEEN_{device.upper().replace('-', '_')}=yes"],
                    "mounts": [{"hostPath": "/opt/driver", "containerPath": "/driver", "options": ["ro", "rbind"]}],
                },
            }
            for _, device in self.devices
        ]
        spec = {"cdiVersion": "0.6.0", "kind": KIND, "containerEdits": {"env": ["DRIVER=fake"]}, "devices": devices}
        (self._cdi / f"{claim}.json").write_text(json.dumps(spec))

    async def _unprepare(self, stream: Any) -> None:
        request = await stream.recv_message()
        response = dra.NodeUnprepareResourcesResponse()
        for claim in request.claims:
            response.claims[claim.uid].error = self.holds
            if not self.holds:
                self.unprepared.append(claim.name)
                (self._cdi / f"{claim.uid}.json").unlink(missing_ok=True)
        await stream.send_message(response)

    async def _watch(self, stream: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)
        await stream.recv_message()
        async with self._changed:
            while not self._stopped:
                response = health.NodeWatchResourcesResponse()
                for device, (state, message) in self._health.items():
                    told = response.devices.add(health=health.HealthStatus.Value(state), message=message)
                    told.device.pool_name, told.device.device_name = "node-1", device
                await stream.send_message(response)
                await self._changed.wait()
