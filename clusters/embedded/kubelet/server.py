"""What the kubelet serves to the API server: logs, exec, attach, connections into Pods, usage. Implements `nodes.KubeletServer`."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from clusters.embedded.errors import ApiError, bad_request, internal
from clusters.embedded.kubelet import logs
from clusters.embedded.kubelet.containers import PodContainer
from clusters.embedded.kubelet.instance import Instance
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.output import OutputQueue
from clusters.embedded.kubelet.pod_worker import PodWorker
from clusters.embedded.kubelet.runtime import Process, StartError
from clusters.embedded.nodes import ExecSession, LogOptions

log = logging.getLogger(__name__)

# In seconds: how long a container waits for a client that is attached and takes nothing.
_PATIENCE = 60.0


class Session:
    """Implements `nodes.ExecSession` for a process that was exec'd. `ended` is called once when it is over."""

    def __init__(self, ended: Callable[[], None]):
        self._written = OutputQueue(self._hold)
        self._ended = ended
        self._process: Process | None = None
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None

    def feed(self, stream: int, data: bytes) -> None:
        self._written.put(stream, data)

    def _hold(self) -> None:
        if self._process:
            self._process.hold(self._written.full)

    def begin(self, process: Process) -> None:
        self._process = process
        self._watcher = asyncio.create_task(self._watch(process))

    async def _watch(self, process: Process) -> None:
        try:
            self._code.set_result(await process.wait())
        finally:
            self._written.end()
            self._ended()

    async def write_stdin(self, data: bytes) -> None:
        if self._process:
            await self._process.write_stdin(data)

    async def close_stdin(self) -> None:
        if self._process:
            self._process.close_stdin()

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._written.take()

    async def resize(self, columns: int, rows: int) -> None:
        if self._process:
            self._process.resize(columns, rows)

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    async def close(self) -> None:
        if self._process:
            self._process.kill()
        self._written.drop()


class AttachedSession:
    """Implements `nodes.ExecSession` for the first process of a container: closing it leaves the container running.

    A client that takes nothing for a minute while the container waits for it is let go: it may be stopped, and gone for good.
    """

    def __init__(self, instance: Instance):
        self._instance = instance
        self._written = instance.attach()
        self._is_let_go = False

    async def write_stdin(self, data: bytes) -> None:
        if self._instance.process:
            await self._instance.process.write_stdin(data)

    async def close_stdin(self) -> None:
        if self._instance.process and self._instance.stdin_once:
            self._instance.process.close_stdin()

    async def resize(self, columns: int, rows: int) -> None:
        if self._instance.process:
            self._instance.process.resize(columns, rows)

    async def wait(self) -> int:
        if self._is_let_go:
            raise internal(f"nothing was taken for {_PATIENCE:g} seconds: the container goes on without this client")
        await self._instance.ended.wait()
        return self._instance.exit_code

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        loop = asyncio.get_running_loop()
        async for chunk in self._written.take():
            # The next round begins when the client has taken this chunk.
            patience = loop.call_later(_PATIENCE, self._let_go)
            try:
                yield chunk
            finally:
                patience.cancel()

    def _let_go(self) -> None:
        if self._written.full:
            log.info(
                "a client that is attached to container %s takes nothing any more: the container goes on without it", self._instance.id
            )
            self._is_let_go = True
            self._instance.detach(self._written)

    async def close(self) -> None:
        self._instance.detach(self._written)


class Server:
    """`workers` finds a Pod's worker by (namespace, name)."""

    def __init__(self, services: NodeServices, worker: Callable[[str, str], PodWorker | None], workers: Callable[[], list[PodWorker]]):
        self._services = services
        self._worker = worker
        self._workers = workers

    def _container(self, namespace: str, pod: str, name: str) -> PodContainer:
        worker = self._worker(namespace, pod)
        if worker is None:
            raise ApiError(404, "NotFound", f'pods "{pod}" not found')
        found = worker.container(name) if name else next((each for each in worker.containers if each.kind == "container"), None)
        if found is None:
            raise bad_request(f"container {name} is not valid for pod {pod}")
        return found

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        worker = self._worker(namespace, pod)
        if worker is None:
            raise bad_request(f'container "{options.container}" in pod "{pod}" is waiting to start: ContainerCreating')
        container = self._container(namespace, pod, options.container)
        path = container.log_path(options.previous)
        if path is None:
            if options.previous:
                raise bad_request(f'previous terminated container "{container.name}" in pod "{pod}" not found')
            raise bad_request(f'container "{container.name}" in pod "{pod}" is waiting to start: {_waiting_reason(worker, container)}')
        writer = container.instance.log if container.instance and not options.previous and container.instance.log.path == path else None
        async for chunk in logs.read(path, options, writer):
            yield chunk

    def _running(self, namespace: str, pod: str, name: str) -> Instance:
        container = self._container(namespace, pod, name)
        if not container.running or container.instance is None:
            raise internal(f'container not found ("{container.name}")')
        return container.instance

    async def exec(self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool) -> ExecSession:
        instance = self._running(namespace, pod, container)
        assert instance.container is not None
        process: Process | None = None

        def ended() -> None:
            if process is not None:
                instance.execs.discard(process)

        session = Session(ended)
        try:
            process = instance.container.exec(command, session.feed, stdin=stdin, tty=tty)
        except StartError as error:
            # Twice: the streaming server reports an internal error, and what it ran into was one.
            raise internal(
                f'Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "{secrets.token_hex(32)}": '
                f"OCI runtime exec failed: exec failed: unable to start container process: {error}"
            ) from None
        instance.execs.add(process)
        session.begin(process)
        return session

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> ExecSession:
        return AttachedSession(self._running(namespace, pod, container))

    async def dial(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        worker = self._worker(namespace, pod)
        ip = worker.addresses.get("podIP") if worker else None
        if not ip:
            raise ConnectionRefusedError(f"pod {namespace}/{pod} has no address")
        return await self._services.network.dial(ip, port, loopback=True)

    def usage(self) -> dict[str, Any]:
        pods: dict[str, dict[str, dict[str, int]]] = {}
        for worker in self._workers():
            used = {
                container.name: self._services.memory.usage(container.instance.id)
                for container in worker.containers
                if container.running and container.instance
            }
            if used:
                pods[worker.key] = {name: amounts for name, amounts in used.items() if amounts}
        totals = [amounts for each in pods.values() for amounts in each.values()]
        return {"node": {"cpu": sum(each["cpu"] for each in totals), "memory": sum(each["memory"] for each in totals)}, "pods": pods}


def _waiting_reason(worker: PodWorker, container: PodContainer) -> str:
    if container.waiting:
        return container.waiting[0]
    return "PodInitializing" if any(each.kind == "init" for each in worker.containers) else "ContainerCreating"
