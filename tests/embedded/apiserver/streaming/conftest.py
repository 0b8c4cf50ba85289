"""A server with one node whose kubelet is a small stand-in: its containers are programs of this machine, its logs are lists."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.client import Object
from clusters.embedded.errors import ApiError, bad_request, internal
from clusters.embedded.nodes import LogOptions
from tests.embedded.apiserver.conftest import serving
from tests.embedded.apiserver.test_kubectl import Ran

NODE = "ai-lab-worker"


class Session:
    def __init__(self, process: asyncio.subprocess.Process):
        self.process = process
        self.sizes: list[tuple[int, int]] = []
        self.closed = False
        self._output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(4)
        self._readers = [asyncio.create_task(self._read(number, pipe)) for number, pipe in ((1, process.stdout), (2, process.stderr))]
        self._ending = asyncio.create_task(self._end())

    async def _read(self, number: int, pipe: asyncio.StreamReader | None) -> None:
        assert pipe is not None
        while data := await pipe.read(65536):
            await self._output.put((number, data))

    async def _end(self) -> None:
        await asyncio.gather(*self._readers)
        await self._output.put(None)

    async def write_stdin(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        while (found := await self._output.get()) is not None:
            yield found

    async def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def wait(self) -> int:
        return await self.process.wait()

    async def close(self) -> None:
        self.closed = True
        if self.process.returncode is None:
            # It may be over, and nobody has waited for it yet.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for task in (*self._readers, self._ending):
            task.cancel()


class StandInKubelet:
    """`written` is what each container has logged; a container that is not in it waits to start."""

    def __init__(self) -> None:
        self.written: dict[str, list[bytes]] = {"main": [b"one\n", b"two\n"]}
        self.more = asyncio.Event()
        self.sessions: list[Session] = []
        self.asked: list[LogOptions] = []
        self.ports: dict[int, int] = {}
        self.open_logs = 0

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        if options.container not in self.written:
            raise bad_request(f'container "{options.container}" in pod "{pod}" is waiting to start: CreateContainerConfigError')
        self.open_logs += 1
        try:
            sent = 0
            while True:
                for line in self.written[options.container][sent:]:
                    sent += 1
                    yield line
                if not options.follow:
                    return
                await self.more.wait()
                self.more.clear()
        finally:
            self.open_logs -= 1

    async def exec(self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool) -> Session:
        if container not in self.written:
            raise internal(f'unable to upgrade connection: container not found ("{container}")')
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except FileNotFoundError:
            raise internal(f'error executing command in container: exec: "{command[0]}": executable file not found in $PATH') from None
        self.sessions.append(Session(process))
        return self.sessions[-1]

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> Session:
        return await self.exec(namespace, pod, container, ["sh", "-c", "echo attached; exit 3"], stdin=stdin, tty=tty)

    async def dial(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if port not in self.ports:
            raise ConnectionRefusedError(111, "Connection refused")
        return await asyncio.open_connection("127.0.0.1", self.ports[port])

    def usage(self) -> dict[str, Any]:
        measured = (("main", 250, 64 << 20), ("side", 5, 1 << 20))
        pods = {"default/web": {name: {"cpu": cpu, "memory": memory, "cpu_milliseconds": 1500} for name, cpu, memory in measured}}
        return {"node": {"cpu": 300, "memory": 1 << 30}, "pods": pods}


class PodPorts:
    """A network in which every address leads to the stand-in's ports."""

    def __init__(self, kubelet: StandInKubelet):
        self._kubelet = kubelet

    async def dial(self, ip: str, port: int, *, loopback: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._kubelet.dial("", "", port)


@pytest.fixture
def stand_in() -> StandInKubelet:
    return StandInKubelet()


@pytest.fixture
async def server(tmp_path: Path, stand_in: StandInKubelet) -> AsyncIterator[ApiServer]:
    """A server that reaches the stand-in's ports."""
    async with serving(tmp_path, PodPorts(stand_in)) as found:  # type: ignore[arg-type]
        yield found


@pytest.fixture
async def kubelet(server: ApiServer, stand_in: StandInKubelet) -> AsyncIterator[StandInKubelet]:
    server.services.connections.register(NODE, stand_in)
    yield stand_in
    for session in stand_in.sessions:
        await session.close()


async def make_pod(client: LocalClient, name: str = "web", *containers: str, node: str = NODE, ports: tuple[int, ...] = ()) -> Object:
    """A Pod that runs, as far as the API shows."""
    listed = [
        {"name": each, "image": "python:3.12-slim", "ports": [{"containerPort": port} for port in ports]}
        for each in containers or ("main",)
    ]
    body: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": listed}}
    if node:
        body["spec"]["nodeName"] = node
    try:
        await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}}, "default")
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    made = await client.create("pods", body, "default")
    states = [{"name": each, "ready": True, "restartCount": 0, "state": {"running": {}}} for each in containers or ("main",)]
    status = {"phase": "Running" if node else "Pending", "podIP": "10.244.1.2", "containerStatuses": states}
    return await client.update("pods", {**made, "status": {**made.get("status", {}), **status}}, subresource="status")


@pytest.fixture
async def pod(client: LocalClient, kubelet: StandInKubelet) -> Object:
    return await make_pod(client, "web", "main", "side", ports=(8080,))


Start = Callable[..., Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
def environment(server: ApiServer, tmp_path: Path) -> dict[str, str]:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    return {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path)}


@pytest.fixture
async def start(environment: dict[str, str]) -> AsyncIterator[Start]:
    """Starts kubectl with pipes; it is ended with the test."""
    running: list[asyncio.subprocess.Process] = []

    async def run(*arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        program = str(Path(sys.executable).parent / "kubectl")
        process = await asyncio.create_subprocess_exec(program, *arguments, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
        running.append(process)
        return process

    yield run
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def kubectl(start: Start) -> Callable[..., Coroutine[Any, Any, Ran]]:
    async def run(*arguments: str, stdin: bytes = b"") -> Ran:
        process = await start(*arguments)
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    return run
