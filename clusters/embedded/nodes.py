"""What the API server asks of a kubelet, as it would over the kubelet's own port 10250.

The API server finds the kubelet of a node here by the node's name; this is the only way in which one component calls another,
and it carries nothing but byte streams: logs, exec, attach, port-forward, and the memory and CPU in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class LogOptions:
    """The query of `GET …/pods/{name}/log` (core/v1 PodLogOptions). `since_time` is RFC 3339."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str | None = None
    limit_bytes: int | None = None


class ExecSession(Protocol):
    """A process in a container with its streams; `stdin` takes bytes until `close_stdin`."""

    async def write_stdin(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(1, bytes) for stdout and (2, bytes) for stderr, until both are closed."""
        ...

    async def resize(self, columns: int, rows: int) -> None: ...

    async def wait(self) -> int:
        """The exit code; 128 + signal for a process that a signal ended."""
        ...

    async def close(self) -> None:
        """Ends the session when the client has gone; an exec'd process is killed, an attached one goes on."""
        ...


class KubeletServer(Protocol):
    """All methods raise `errors.ApiError` with the words of a real kubelet and API server (no such container, still starting)."""

    def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]: ...

    async def exec(self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool) -> ExecSession: ...

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> ExecSession: ...

    async def dial(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to what listens on `port` in the Pod; raises ConnectionRefusedError where nothing does."""
        ...

    def usage(self) -> dict[str, Any]:
        """{"node": {"cpu": millicores, "memory": bytes}, "pods": {"ns/name": {container: {"cpu": …, "memory": …, "cpu_milliseconds": …}}}} in use now."""
        ...


class NodeConnections:
    """The kubelets by node name. A kubelet registers itself when it starts to serve."""

    def __init__(self) -> None:
        self._servers: dict[str, KubeletServer] = {}

    def register(self, node: str, server: KubeletServer) -> None:
        self._servers[node] = server

    def unregister(self, node: str) -> None:
        self._servers.pop(node, None)

    def get(self, node: str) -> KubeletServer | None:
        return self._servers.get(node)
