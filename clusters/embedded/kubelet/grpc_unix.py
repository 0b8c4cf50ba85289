"""gRPC over unix sockets to plugins: the channel, and a call whose failure reads as the kubelet's errors show one.

grpclib and protobuf are imported here and in the modules that use this one, and those are loaded only when a node has to do with a plugin.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from grpclib.client import Channel, Handler, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.protocol import H2Protocol

# What a call raises where the other end is not there, or not any more.
LOST = (OSError, ProtocolError, StreamTerminatedError)


class PluginError(Exception):
    """A call to a plugin that failed; the text is how the kubelet's errors show a gRPC status."""


class _Watched(Handler):
    """Tells when its connection is lost."""

    def __init__(self, lost: asyncio.Event):
        self._lost = lost

    def close(self) -> None:
        super().close()
        self._lost.set()


class UnixChannel(Channel):
    """A channel to the server at `socket`. Plugins written in Go refuse the authority that grpclib makes up for a unix socket."""

    def __init__(self, socket: Path):
        super().__init__(path=str(socket))
        self._lost = asyncio.Event()

    def _get_authority(self, host: str, port: int) -> str:
        return "localhost"

    def _protocol_factory(self) -> H2Protocol:
        protocol = super()._protocol_factory()
        self._lost = asyncio.Event()
        protocol.handler = _Watched(self._lost)
        return protocol

    async def connect(self) -> None:
        """Connects unless it is connected. Raises OSError where nobody listens."""
        await self.__connect__()

    async def until_lost(self) -> None:
        """Returns when the connection that `connect` made is lost."""
        await self._lost.wait()


async def call(channel: Channel, path: str, request: Any, reply: Any, seconds: float | None) -> Any:
    """The answer to one unary call; `path` is `/package.Service/Method`, `reply` the answer's message class. Raises PluginError."""
    try:
        return await UnaryUnaryMethod(channel, path, type(request), reply)(request, timeout=seconds)
    except GRPCError as error:
        raise PluginError(status_text(error)) from None
    except TimeoutError:
        raise PluginError("rpc error: code = DeadlineExceeded desc = context deadline exceeded") from None
    except LOST as error:
        keep_cancelled()
        raise PluginError(f"rpc error: code = Unavailable desc = {error}") from None


def keep_cancelled() -> None:
    """Raises CancelledError where the running task is cancelled.

    A cancellation that comes together with the end of the connection, as both do when a node ends, is lost in grpclib: it raises one of LOST.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def status_text(error: GRPCError) -> str:
    return f"rpc error: code = {_go_name(error.status)} desc = {error.message or ''}"


def _go_name(status: Status) -> str:
    """`DEADLINE_EXCEEDED` → `DeadlineExceeded`."""
    return "".join(word.title() for word in status.name.split("_"))
