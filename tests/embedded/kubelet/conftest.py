"""A control plane with one real kubelet, for tests that run containers; small ways to write what they put in and to wait for the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.errors import ApiError
from clusters.embedded.images import Catalogue
from clusters.embedded.kubelet import Kubelet, NodeSpec
from clusters.embedded.kubelet.namespace_support import is_possible
from clusters.embedded.kubelet.portable import PortableLauncher, shielded_folders
from clusters.embedded.kubelet.runtime import Launcher
from clusters.embedded.kubelet.strict import StrictLauncher
from clusters.embedded.kubelet.toolbox import Toolbox
from clusters.embedded.kubeproxy.pod_network import PodNetwork
from clusters.embedded.nodes import LogOptions, NodeConnections
from clusters.embedded.store import Store
from kubeobjects import Object

NODE = "node-1"
PYTHON = "python:3.12-slim"


class Node:
    """One node and its API. `start` and `stop` may be called again: a new kubelet on the same node."""

    def __init__(self, folder: Path, launcher: Launcher | None = None):
        self.folder = folder
        self._launcher = launcher
        self.store = Store(folder / "store.db")
        self.network = PodNetwork(folder / "network")
        self.connections = NodeConnections()
        self.server = ApiServer(self.store, folder / "server", self.connections, self.network)
        self.client = LocalClient(self.server.services, "system:admin", ["system:masters"], manager="test")
        self.root = folder / "node"
        self.spec = NodeSpec(NODE, 1, "172.18.0.3", "10.244.1.0/24")
        self.images = Catalogue()
        self._task: asyncio.Task[None] | None = None
        self.kubelet: Kubelet | None = None

    async def prepare(self) -> None:
        await self.server.bootstrap()
        for body in (
            {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}},
            {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "certificate"}},
        ):
            with contextlib.suppress(ApiError):
                await self.client.create("serviceaccounts" if body["kind"] == "ServiceAccount" else "configmaps", body, "default")

    async def start(self) -> None:
        client = LocalClient(self.server.services, f"system:node:{NODE}", ["system:nodes"])
        self.kubelet = Kubelet(client, self.spec, self.network, self.root, self.images, self.connections, launcher=self._launcher)
        self._task = asyncio.create_task(self.kubelet.run())
        await self.until(lambda: self.connections.get(NODE) is not None)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # Writing

    async def run(self, name: str, *command: str, **spec: Any) -> Object:
        """A Pod with one container `main`; keywords that belong to a container go there, the others into the Pod's spec."""
        container = {"name": "main", "image": PYTHON, "command": list(command)}
        for field in (
            "image",
            "env",
            "envFrom",
            "args",
            "ports",
            "resources",
            "lifecycle",
            "volumeMounts",
            "workingDir",
            "imagePullPolicy",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "terminationMessagePolicy",
            "securityContext",
            "stdin",
            "tty",
        ):
            if field in spec:
                container[field] = spec.pop(field)
        if not command:
            del container["command"]
        metadata = {"name": name, "namespace": "default", **spec.pop("metadata", {})}
        return await self.create({"metadata": metadata, "spec": {"containers": [container], **spec}})

    async def create(self, pod: Object) -> Object:
        spec = {"nodeName": NODE, "terminationGracePeriodSeconds": 1, **pod["spec"]}
        metadata = {"namespace": "default", **pod["metadata"]}
        return await self.client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, "default")

    # Reading

    async def pod(self, name: str) -> Object:
        return await self.client.get("pods", name, "default")

    async def status(self, name: str, container: str = "main") -> Object:
        """The status of one container, empty where there is none yet."""
        status = (await self.pod(name)).get("status") or {}
        everyone = [
            each
            for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
            for each in status.get(field) or []
        ]
        return next((each for each in everyone if each["name"] == container), {})

    async def events(self, name: str) -> list[Object]:
        listed = await self.client.list("events", "default")
        return [each for each in listed.items if each["involvedObject"]["name"] == name]

    async def messages(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of all events about the object."""
        return [(each["reason"], each["message"]) for each in await self.events(name)]

    async def logs(self, name: str, **options: Any) -> str:
        server = self.connections.get(NODE)
        assert server is not None
        chosen = LogOptions(**{"container": "main", **options})
        return b"".join([chunk async for chunk in server.logs("default", name, chosen)]).decode()

    async def exec(self, name: str, *command: str, stdin: bytes = b"", tty: bool = False) -> tuple[int, str]:
        server = self.connections.get(NODE)
        assert server is not None
        session = await server.exec("default", name, "main", list(command), stdin=bool(stdin), tty=tty)
        if stdin:
            await session.write_stdin(stdin)
            await session.close_stdin()
        output = b"".join([data async for _, data in session.output()])
        return await session.wait(), output.decode()

    # Waiting

    async def until(self, check: Callable[[], Any], seconds: float = 60.0) -> Any:
        """What `check` (awaited where it must be) gives once it is true."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            found = check()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError("what was waited for did not come")
            await asyncio.sleep(0.02)

    async def until_phase(self, name: str, phase: str, seconds: float = 60.0) -> Object:
        async def reached() -> Object | None:
            pod = await self.pod(name)
            return pod if (pod.get("status") or {}).get("phase") == phase else None

        return await self.until(reached, seconds)

    async def until_state(self, name: str, kind: str, reason: str = "", container: str = "main", seconds: float = 60.0) -> Object:
        async def reached() -> Object | None:
            state = (await self.status(name, container)).get("state", {}).get(kind)
            return state if state is not None and state.get("reason", "") == (reason or state.get("reason", "")) else None

        return await self.until(reached, seconds)

    async def until_event(self, name: str, reason: str, seconds: float = 60.0) -> str:
        async def came() -> str | None:
            return next((message for why, message in await self.messages(name) if why == reason), None)

        return await self.until(came, seconds)

    async def until_gone(self, name: str, seconds: float = 60.0) -> None:
        async def gone() -> bool:
            try:
                await self.pod(name)
            except ApiError as error:
                return error.code == 404
            return False

        await self.until(gone, seconds)


def _launcher(name: str, folder: Path) -> Launcher:
    if name == "portable":
        return PortableLauncher(Toolbox(folder / "toolbox"), shielded_folders(folder))
    if not is_possible():
        pytest.skip("this machine has no user namespaces for ordinary processes")
    return StrictLauncher(folder / "programs")


@contextlib.asynccontextmanager
async def running_node(folder: Path, launcher: Launcher | None = None) -> AsyncIterator[Node]:
    made = Node(folder, launcher)
    await made.prepare()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        made.store.close()


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node that is registered and runs Pods in the way that suits this machine."""
    async with running_node(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(params=["portable", "strict"])
async def any_node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Node]:
    """The same with each of the launchers: what a container sees must not depend on them."""
    async with running_node(tmp_path, _launcher(request.param, tmp_path)) as running:
        yield running
