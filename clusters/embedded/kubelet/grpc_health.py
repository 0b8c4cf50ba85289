"""The gRPC probe: grpc.health.v1.Health/Check over the Pod network (pkg/probe/grpc).

The two messages of that protocol have one field each, so that they are written and read here by hand. grpclib is loaded at the first probe.
"""

from __future__ import annotations

import asyncio
from typing import Any

from clusters.embedded.network import Network

SUCCESS, FAILURE = "success", "failure"
_STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def request(service: str) -> bytes:
    """HealthCheckRequest: the service's name is field 1."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def serving_status(answer: bytes) -> str:
    """The name of field 1 of a HealthCheckResponse; absent means UNKNOWN."""
    return _STATUS.get(answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0, "UNKNOWN")


async def _ask(network: Network, ip: str, port: int, service: str) -> bytes:
    from grpclib.client import Channel, UnaryUnaryMethod
    from grpclib.encoding.base import CodecBase

    class Bytes(CodecBase):
        __content_subtype__ = "proto"

        def encode(self, message: Any, message_type: Any) -> bytes:
            return message

        def decode(self, data: bytes, message_type: Any) -> bytes:
            return data

    class PodChannel(Channel):
        """A channel whose connection goes through the Pod network."""

        async def _create_connection(self) -> Any:
            _, writer = await network.dial(ip, port)
            socket = writer.get_extra_info("socket").dup()
            writer.close()
            _, protocol = await asyncio.get_running_loop().create_connection(self._protocol_factory, sock=socket)
            return protocol

    channel = PodChannel(host=ip, port=port, codec=Bytes())
    try:
        return await UnaryUnaryMethod(channel, "/grpc.health.v1.Health/Check", bytes, bytes)(request(service))
    finally:
        channel.close()


async def check(network: Network, ip: str, port: int, service: str, seconds: float) -> tuple[str, str]:
    """(success or failure; what to say)."""
    from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

    unreachable = f'timeout: failed to connect service "{ip}:{port}" within {round(seconds)}s: context deadline exceeded'
    try:
        async with asyncio.timeout(seconds):
            answer = await _ask(network, ip, port, service)
    except GRPCError as error:
        if error.status.name == "UNIMPLEMENTED":
            return FAILURE, f"this server does not implement the grpc health protocol (grpc.health.v1.Health): {error.message}"
        code = "".join(word.title() for word in error.status.name.split("_"))
        return FAILURE, f"service health check failed: rpc error: code = {code} desc = {error.message}"
    except (TimeoutError, OSError, ProtocolError, StreamTerminatedError):
        return FAILURE, unreachable
    status = serving_status(answer)
    if status == "SERVING":
        return SUCCESS, "service healthy"
    return FAILURE, f'service unhealthy (responded with "{status}")'
