"""portforward: connections of the client to ports inside a Pod.

kubectl speaks SPDY/3.1 inside a WebSocket (`SPDY/3.1+portforward.k8s.io`): for each connection a pair of streams with one request id,
`error` and `data`. The Python client speaks `v4.channel.k8s.io`: for the n-th port a channel 2n for data and 2n+1 for an error, each opened
with the port's number. Back-pressure holds in both directions: what one side does not read, the other does not get rid of.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from clusters.embedded.apiserver.streaming import location, spdy, websocket
from clusters.embedded.apiserver.streaming.spdy import Frame, Framer
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.nodes import KubeletServer
from kubeobjects import Object

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange

Dial = Callable[[int], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

SPDY_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOL = "v4.channel.k8s.io"
_CHUNK = 32 * 1024
# Messages of one connection that may wait for the Pod to read before the client is held up.
_WAITING = 32


class PodPorts:
    """The ports of one Pod, and the words for those that do not answer."""

    def __init__(self, kubelet: KubeletServer, pod: Object):
        self._kubelet = kubelet
        self._metadata = pod["metadata"]

    async def dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError or ApiError."""
        return await self._kubelet.dial(self._metadata["namespace"], self._metadata["name"], port)

    def refusal(self, port: int, error: Exception) -> str:
        """What kubelet and containerd say of a port that cannot be reached (internal/cri/server/sandbox_portforward_linux.go)."""
        uid = self._metadata["uid"]
        sandbox = hashlib.sha256(uid.encode()).hexdigest()
        namespace = f"/var/run/netns/cni-{uuid.uuid5(uuid.NAMESPACE_OID, uid)}"
        why = error.message if isinstance(error, ApiError) else (getattr(error, "strerror", None) or str(error)).lower()
        return (
            f'error forwarding port {port} to pod {sandbox}, uid : failed to execute portforward in network namespace "{namespace}": '
            f'failed to connect to localhost:{port} inside namespace "{sandbox}", IPv4: dial tcp4 127.0.0.1:{port}: connect: {why} '
            f"IPv6 dial tcp6: address localhost: no suitable address found "
        )


async def serve(server: ApiServer, exchange: Exchange) -> web.StreamResponse:
    pod = location.find_pod(server, exchange)
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    kubelet = location.running_on(server, pod, f"/portForward/{namespace}/{name}")
    ports = PodPorts(kubelet, pod)
    asked = exchange.http.query.getall("ports", [])
    # The Python client names its ports in the query; kubectl names each in its streams.
    numbers = _numbers(asked) if asked else []
    socket = await websocket.accept(exchange, (SPDY_PROTOCOL, CHANNEL_PROTOCOL))
    if socket.ws_protocol == SPDY_PROTOCOL:
        await _Spdy(socket, ports).run()
    else:
        await _Channels(socket, ports, numbers).run()
    return socket


def _numbers(asked: Sequence[str]) -> list[int]:
    """`ports=80&ports=443` or `ports=80,443`. Raises ApiError 400."""
    found = []
    for text in ",".join(asked).split(","):
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise bad_request(f'unable to parse "{text}" as a port: it must be a number from 1 to 65535')
        found.append(int(text))
    return found


async def _copy_in(queue: asyncio.Queue[bytes | None], writer: asyncio.StreamWriter) -> None:
    """What the client sent, to the Pod; None closes that direction only."""
    try:
        while (data := await queue.get()) is not None:
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # The Pod takes no more. What still comes is thrown away, so that it holds up no other connection.
        while True:
            await queue.get()


def _empty(queue: asyncio.Queue[bytes | None]) -> None:
    """Makes room for one who waits to put something into the queue of a connection that is over."""
    while not queue.empty():
        queue.get_nowait()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class _Connection:
    """A pair of streams with one request id."""

    def __init__(self, port: int):
        self.port = port
        self.error: int | None = None
        self.data: int | None = None
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        # The copying; cancelled when the client resets the data stream.
        self.copying: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        if self.copying is not None:
            self.copying.cancel()


class _Spdy:
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
        if connection.data is not None:
            self._by_data.pop(connection.data, None)
        await self._send(lambda: Framer.data(error, fin=True))

    async def _connect(self, connection: _Connection, error: int, data: int) -> None:
        try:
            reader, writer = await self._ports.dial(connection.port)
        except (OSError, ApiError) as failure:
            text = self._ports.refusal(connection.port, failure).encode()
            await self._send(lambda: Framer.data(error, text))
            await self._send(lambda: Framer.data(data, fin=True))
            return
        copying = asyncio.create_task(_copy_in(connection.queue, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(_CHUNK):
                    if not await self._send(lambda chunk=chunk: Framer.data(data, chunk)):  # type: ignore[misc]
                        return
            await self._send(lambda: Framer.data(data, fin=True))
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            # The client may still be sending: its frames go nowhere from now on, and must not wait for room.
            self._by_data.pop(data, None)
            _empty(connection.queue)
            await _close(writer)


class _Channels:
    """The Python client's side: one connection for each port, made at once; over when the Pod has closed all of them."""

    def __init__(self, socket: web.WebSocketResponse, ports: PodPorts, numbers: list[int]):
        self._socket = socket
        self._ports = ports
        self._numbers = numbers
        self._queues: dict[int, asyncio.Queue[bytes | None]] = {index: asyncio.Queue(_WAITING) for index in range(len(numbers))}

    async def run(self) -> None:
        reading, forwarding = asyncio.create_task(self._read()), asyncio.create_task(self._forward_all())
        try:
            await asyncio.wait([reading, forwarding], return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            forwarding.cancel()
            await asyncio.gather(reading, forwarding, return_exceptions=True)
        if not self._socket.closed:
            await self._socket.close()

    async def _read(self) -> None:
        while (message := await websocket.receive(self._socket)) is not None:
            if not message:
                continue
            index, is_error = divmod(message[0], 2)
            queue = self._queues.get(index)
            if not is_error and queue is not None and len(message) > 1:
                await queue.put(message[1:])

    async def _forward_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for index, port in enumerate(self._numbers):
                tasks.create_task(self._forward(index, port))

    async def _forward(self, index: int, port: int) -> None:
        data, error = bytes([2 * index]), bytes([2 * index + 1])
        for channel in (data, error):
            await websocket.send(self._socket, channel + port.to_bytes(2, "little"))
        queue = self._queues[index]
        try:
            reader, writer = await self._ports.dial(port)
        except (OSError, ApiError) as failure:
            await websocket.send(self._socket, error + self._ports.refusal(port, failure).encode())
            return
        copying = asyncio.create_task(_copy_in(queue, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(_CHUNK):
                    if not await websocket.send(self._socket, data + chunk):
                        return
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            del self._queues[index]
            _empty(queue)
            await _close(writer)
