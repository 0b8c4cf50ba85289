"""kubectl's port-forward: SPDY/3.1 inside a WebSocket, for each connection a pair of streams with one request id, `error` and `data`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import web

from clusters.embedded.apiserver.streaming import spdy, websocket
from clusters.embedded.apiserver.streaming.byte_queue import ByteQueue
from clusters.embedded.apiserver.streaming.pod_ports import CHUNK, PodPorts, close, copy_in
from clusters.embedded.apiserver.streaming.spdy import Frame, Framer
from clusters.embedded.errors import ApiError


class _Connection:
    """A pair of streams with one request id."""

    def __init__(self, port: int):
        self.port = port
        self.error: int | None = None
        self.data: int | None = None
        self.queue = ByteQueue()
        # The copying; cancelled when the client resets the data stream.
        self.copying: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        if self.copying is not None:
            self.copying.cancel()


class SpdyForwarder:
    """kubectl's side: any number of connections, one after the other and at the same time."""

    def __init__(self, socket: web.WebSocketResponse, ports: PodPorts):
        self._socket = socket
        self._ports = ports
        self._framer = Framer()
        self._sending = asyncio.Lock()
        self._pairs: dict[str, _Connection] = {}
        self._by_data: dict[int, _Connection] = {}
        self._last = 0

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._read(tasks)
                for connection in list(self._by_data.values()):
                    connection.cancel()
        except* spdy.SpdyError:
            await self._send(lambda: Framer.goaway(self._last))
        if not self._socket.closed:
            await self._socket.close()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while (message := await websocket.receive(self._socket)) is not None:
            for frame in self._framer.feed(message):
                if frame.type == spdy.GOAWAY:
                    return
                await self._handle(frame, tasks)

    async def _send(self, make: Callable[[], bytes]) -> bool:
        """`make` builds the frame when it is its turn: headers are compressed in the order in which they are sent."""
        async with self._sending:
            return await websocket.send(self._socket, make())

    async def _handle(self, frame: Frame, tasks: asyncio.TaskGroup) -> None:
        if frame.type == 0:
            connection = self._by_data.get(frame.stream)
            if connection is not None:
                if frame.data:
                    await connection.queue.put(frame.data)
                if frame.fin:
                    await connection.queue.put(None)
        elif frame.type == spdy.SYN_STREAM:
            await self._open(frame, tasks)
        elif frame.type == spdy.RST_STREAM:
            connection = self._by_data.get(frame.stream)
            if connection is not None:
                connection.cancel()
        elif frame.type == spdy.PING and frame.code % 2:
            await self._send(lambda: Framer.ping(frame.code))

    async def _open(self, frame: Frame, tasks: asyncio.TaskGroup) -> None:
        kind, request, port = (frame.headers.get(name, "") for name in ("streamtype", "requestid", "port"))
        if kind not in ("error", "data") or not port.isdigit() or not 0 < int(port) < 65536:
            await self._send(lambda: Framer.rst_stream(frame.stream, spdy.REFUSED_STREAM))
            return
        self._last = frame.stream
        await self._send(lambda: self._framer.syn_reply(frame.stream, {}))
        connection = self._pairs.setdefault(request or f"#{frame.stream}", _Connection(int(port)))
        if kind == "error":
            connection.error = frame.stream
        else:
            connection.data = frame.stream
            self._by_data[frame.stream] = connection
            if frame.fin:
                await connection.queue.put(None)
        if connection.error is not None and connection.data is not None:
            self._pairs.pop(request, None)
            connection.copying = asyncio.create_task(self._connect(connection, connection.error, connection.data))
            tasks.create_task(self._finish(connection, connection.copying, connection.error))

    async def _finish(self, connection: _Connection, copying: asyncio.Task[None], error: int) -> None:
        """Waits for the end of a connection, however it comes, and ends its error stream: that is what the client waits for."""
        try:
            await asyncio.wait([copying])
        finally:
            connection.cancel()
            # The client may still be sending: its frames go nowhere from now on, and must not wait for room.
            connection.queue.close()
        if connection.data is not None:
            self._by_data.pop(connection.data, None)
        await self._send(lambda: Framer.data(error, fin=True))

    async def _connect(self, connection: _Connection, error: int, data: int) -> None:
        try:
            reader, writer = await self._ports.dial(connection.port)
        except (OSError, ApiError) as failure:
            connection.queue.close()
            text = self._ports.refusal(connection.port, failure).encode()
            await self._send(lambda: Framer.data(error, text))
            await self._send(lambda: Framer.data(data, fin=True))
            return
        copying = asyncio.create_task(copy_in(connection.queue, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(CHUNK):
                    if not await self._send(lambda chunk=chunk: Framer.data(data, chunk)):  # type: ignore[misc]
                        return
            await self._send(lambda: Framer.data(data, fin=True))
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            connection.queue.close()
            self._by_data.pop(data, None)
            await close(writer)
