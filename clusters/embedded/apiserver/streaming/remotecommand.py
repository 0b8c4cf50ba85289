"""exec and attach: a process's stdin, stdout and stderr in the channels of a WebSocket (k8s.io/apimachinery/pkg/util/remotecommand).

Channels: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a `metav1.Status`, 4 the terminal's size. With v5 the client closes a channel by
255 and its number; v4 has no way to say that stdin has ended.
"""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import location, websocket
from clusters.embedded.errors import ApiError, bad_request, internal
from clusters.embedded.nodes import ExecSession
from kubeobjects import Object

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_LARGEST_CHUNK = 32 * 1024

# Messages to stdin that may wait for the process to read: each may be long.
_WAITING = 2


def exit_status(code: int) -> Object:
    """The outcome of a command that ran to its end."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def serve(services: Services, exchange: Exchange) -> web.StreamResponse:
    pod = location.find_pod(services, exchange)
    query = exchange.http.query
    container = location.container_name(pod, query.get("container", ""))
    stdin, stdout, stderr, tty = (is_true(query.get(name)) for name in ("stdin", "stdout", "stderr", "tty"))
    if not (stdin or stdout or stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    command = query.getall("command", [])
    attach = exchange.info.subresource == "attach"
    if not attach and not command:
        raise bad_request("you must specify at least one command for the container")
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    kubelet = location.running_on(services, pod, f"/{exchange.info.subresource}/{namespace}/{name}/{container}")
    socket = await websocket.accept(exchange, PROTOCOLS)
    try:
        if attach:
            session = await kubelet.attach(namespace, name, container, stdin=stdin, tty=tty)
        else:
            session = await kubelet.exec(namespace, name, container, command, stdin=stdin, tty=tty)
    except ApiError as error:
        await _finish(socket, error.status)
        return socket
    wanted = {_STDOUT: stdout, _STDERR: stderr and not tty}
    try:
        await _Stream(socket, session, wanted, attach=attach).run()
    finally:
        await session.close()
    return socket


async def _finish(socket: web.WebSocketResponse, status: Object) -> None:
    await websocket.send(socket, bytes([_ERROR]) + orjson.dumps(status))
    if not socket.closed:
        await socket.close()


class _Stream:
    """One session: what the client sends goes in, what the process writes comes out, until one of them is through."""

    def __init__(self, socket: web.WebSocketResponse, session: ExecSession, wanted: dict[int, bool], *, attach: bool):
        self._socket = socket
        self._session = session
        self._wanted = wanted
        self._attach = attach

    async def run(self) -> None:
        # The client waits for a first message, which says that the process is there.
        first = next((channel for channel, wanted in self._wanted.items() if wanted), _ERROR)
        await websocket.send(self._socket, bytes([first]))
        incoming = asyncio.create_task(self._incoming())
        outgoing = asyncio.create_task(self._outgoing())
        try:
            await asyncio.wait([incoming, outgoing], return_when=asyncio.FIRST_COMPLETED)
            if outgoing.done():
                await _finish(self._socket, outgoing.result())
        finally:
            for task in (incoming, outgoing):
                task.cancel()
            await asyncio.gather(incoming, outgoing, return_exceptions=True)

    async def _outgoing(self) -> Object:
        """Copies output until there is no more; the outcome."""
        try:
            async for channel, data in self._session.output():
                if self._wanted.get(channel):
                    for start in range(0, len(data), _LARGEST_CHUNK):
                        if not await websocket.send(self._socket, bytes([channel]) + data[start : start + _LARGEST_CHUNK]):
                            return exit_status(0)
            code = await self._session.wait()
        except ApiError as error:
            return error.status
        except OSError as error:
            return internal(str(error)).status
        # An attached client hears that the container has ended; how it ended is told by the Pod's status.
        return exit_status(0 if self._attach else code)

    async def _incoming(self) -> None:
        """Copies input until the client has gone."""
        stdin: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=_WAITING)
        writing = asyncio.create_task(self._write(stdin))
        try:
            while (message := await websocket.receive(self._socket)) is not None:
                if not message:
                    continue
                channel, data = message[0], message[1:]
                if channel == _STDIN and data:
                    await stdin.put(data)
                elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
                    await stdin.put(None)
                elif channel == _RESIZE:
                    await self._resize(data)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, stdin: asyncio.Queue[bytes | None]) -> None:
        while (data := await stdin.get()) is not None:
            await self._session.write_stdin(data)
        await self._session.close_stdin()

    async def _resize(self, data: bytes) -> None:
        try:
            size = orjson.loads(data)
            columns, rows = int(size["Width"]), int(size["Height"])
        except (ValueError, KeyError, TypeError):
            return
        if 0 < columns < 65536 and 0 < rows < 65536:
            await self._session.resize(columns, rows)
