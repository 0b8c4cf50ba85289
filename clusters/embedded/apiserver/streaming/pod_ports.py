"""The ports of one Pod, as portforward reaches them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid

from clusters.embedded.apiserver.streaming.byte_queue import ByteQueue
from clusters.embedded.errors import ApiError
from clusters.embedded.nodes import KubeletServer
from kubeobjects import Object

CHUNK = 32 * 1024


class PodPorts:
    """`refusal` has the words for a port that does not answer."""

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


async def copy_in(queue: ByteQueue, writer: asyncio.StreamWriter) -> None:
    """What the client sent, to the Pod; its end closes that direction only."""
    try:
        while (data := await queue.get()) is not None:
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # The Pod takes no more. What still comes is thrown away, so that it holds up no other connection.
        queue.close()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
