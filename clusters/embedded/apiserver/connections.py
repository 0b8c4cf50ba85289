"""Who is connected: accepts TLS connections on one socket, and keeps those few and short that have shown no credentials.

Anybody on this machine can connect. A connection on which no request has been authenticated yet must finish its handshake and its first
request in time; where there are too many of them, the oldest makes room for the next. What is authenticated stays: watches last.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import resource
import socket
import ssl
import sys
from asyncio import sslproto
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from clusters.embedded.apiserver import representation
from clusters.embedded.errors import bad_request

log = logging.getLogger(__name__)

# In seconds: a handshake; handshake and first request of a client without credentials; an idle connection (as by the real server).
HANDSHAKE, INTRODUCTION, IDLE = 10.0, 20.0, 90.0
# So many connections without credentials at a time, or less where few files may be open.
MOST_STRANGERS = 256
_BACKLOG = 1024
_ACCEPTED_AT_ONCE = 64
# Where no file can be opened any more: the next look at the socket, and the next word about it.
_PAUSE, _SILENCE = 1.0, 60.0
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# What is read at once. asyncio's own buffer of 256 KiB for each connection would be most of what an idle watch costs.
_TLS_BUFFER = 8 * 1024
# After so many connections have ended, memory goes back to the system: the allocator keeps it otherwise.
_TRIM_AFTER, _TRIM_SECONDS = 100, 1.0


class Connection(RequestHandler):
    """One client's connection. `introduced` once a request on it was authenticated."""

    __slots__ = ("introduced", "listener", "settled", "socket")

    def __init__(self, server: web.Server, listener: Listener, **options: Any):
        super().__init__(server, **options)
        self.listener = listener
        self.introduced = False
        # Done once the connection is introduced or has ended.
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Until there is a transport that closes it.
        self.socket: socket.socket | None = None

    def settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._request_in_progress

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.listener.left(self)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP is the client's own fault: it is told so, and the log does not grow by it."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        log.debug("%s is no HTTP request", exc)
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer has begun")
        why = " ".join((message or "").split()) or "malformed HTTP request"
        response = web.Response(status=400, body=representation.encode(bad_request(why).status), content_type=representation.JSON)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes a `Connection` for each client."""

    def __init__(self, handler: Any, listener: Listener, **options: Any):
        super().__init__(handler, handler_cancellation=True)
        self._listener = listener
        self._options = options

    def __call__(self) -> RequestHandler:
        return Connection(self, self._listener, loop=self._loop, **self._options)


class Listener:
    """Serves `handler` (a request in, a response out) over TLS on 127.0.0.1 between `start` and `stop`.

    `options` are those of aiohttp's RequestHandler.
    """

    def __init__(self, handler: Any, context: ssl.SSLContext, *, most_strangers: int | None = None, **options: Any):
        self._server = _Server(handler, self, access_log=None, keepalive_timeout=IDLE, **options)
        self._context = context
        self._most = most_strangers or _most_strangers()
        # In the order in which they came: what accepts them, and then the connection itself.
        self._strangers: dict[Connection, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._told = -_SILENCE
        self._ended = 0
        sslproto.SSLProtocol.max_size = _TLS_BUFFER  # type: ignore[attr-defined]

    @property
    def port(self) -> int:
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def strangers(self) -> int:
        """How many connections have shown no credentials yet."""
        return len(self._strangers)

    def start(self, port: int) -> None:
        """Raises OSError where the port cannot be had."""
        try:
            self._socket = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        except OverflowError as error:
            raise OSError(errno.EINVAL, str(error)) from None
        self._socket.setblocking(False)
        self._resume()

    async def stop(self, grace: float) -> None:
        """Ends all connections; what is under way has `grace` seconds."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        for connection in list(self._strangers):
            self._dismiss(connection)
        self._server.pre_shutdown()
        await self._server.shutdown(grace)

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def _resume(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                self._out_of_files(error)
                return
            client.setblocking(False)
            self._make_room()
            connection = self._server()
            assert isinstance(connection, Connection)
            connection.socket = client
            task = self._loop.create_task(self._introduce(connection), name="introduction")
            self._strangers[connection] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _out_of_files(self, error: OSError) -> None:
        """The socket stays ready while no file can be opened: looking again at once would take all the time there is."""
        assert self._socket is not None
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_PAUSE, self._resume)
        now = self._loop.time()
        if now - self._told >= _SILENCE:
            self._told = now
            log.warning("new connections wait: %s. `ulimit -n` says how many files may be open.", error.strerror)
        for _ in range(min(_ACCEPTED_AT_ONCE, len(self._strangers))):
            self._dismiss(next(iter(self._strangers)))

    def _make_room(self) -> None:
        while len(self._strangers) >= self._most:
            self._dismiss(next(iter(self._strangers)))

    def _dismiss(self, connection: Connection) -> None:
        task = self._strangers.pop(connection)
        task.cancel()
        if connection.socket is not None:
            connection.socket.close()
        elif isinstance(connection.transport, asyncio.Transport):
            connection.transport.abort()

    async def _introduce(self, connection: Connection) -> None:
        """Waits until a client has shown who it is, and dismisses one that takes too long."""
        client, connection.socket = connection.socket, None
        assert client is not None
        try:
            async with asyncio.timeout(INTRODUCTION):
                await self._loop.connect_accepted_socket(
                    lambda: connection, client, ssl=self._context, ssl_handshake_timeout=HANDSHAKE, ssl_shutdown_timeout=HANDSHAKE
                )
                await connection.settled
        except TimeoutError:
            # A request of a client without credentials may be under way; the next idle moment ends the connection.
            if connection in self._strangers and not connection.busy:
                self._dismiss(connection)
        except (OSError, ssl.SSLError):
            # No TLS, or gone already.
            client.close()
            self._strangers.pop(connection, None)

    def introduce(self, connection: object) -> None:
        """A request on the connection has been authenticated."""
        if isinstance(connection, Connection) and not connection.introduced:
            connection.introduced = True
            self._strangers.pop(connection, None)
            connection.settle()

    def left(self, connection: Connection) -> None:
        """The connection has ended."""
        self._strangers.pop(connection, None)
        connection.settle()
        self._ended += 1
        if self._ended == _TRIM_AFTER:
            self._loop.call_later(_TRIM_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._ended = 0
        trim_memory()


def _most_strangers() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_STRANGERS if soft == resource.RLIM_INFINITY else max(16, min(MOST_STRANGERS, soft // 8))


def trim_memory() -> None:
    """Gives free memory back to the system, where the C library can; a connection's parts refer to each other until they are collected."""
    gc.collect()
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
