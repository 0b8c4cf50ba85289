"""The Python client's port-forward: for the n-th port a channel 2n for data and 2n+1 for an error, each opened with the port's number."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from clusters.embedded.apiserver.streaming import websocket
from clusters.embedded.apiserver.streaming.byte_queue import ByteQueue
from clusters.embedded.apiserver.streaming.pod_ports import CHUNK, PodPorts, close, copy_in
from clusters.embedded.errors import ApiError


class ChannelForwarder:
    """The Python client's side: one connection for each port, made at once; over when the Pod has closed all of them."""

    def __init__(self, socket: web.WebSocketResponse, ports: PodPorts, numbers: list[int]):
        self._socket = socket
        self._ports = ports
        self._numbers = numbers
        self._queues = {index: ByteQueue() for index in range(len(numbers))}

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
            queue.close()
            await websocket.send(self._socket, error + self._ports.refusal(port, failure).encode())
            return
        copying = asyncio.create_task(copy_in(queue, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(CHUNK):
                    if not await websocket.send(self._socket, data + chunk):
                        return
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            # The client may still be sending: that goes nowhere from now on, and must not wait for room.
            queue.close()
            await close(writer)
