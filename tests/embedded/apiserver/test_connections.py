"""Connections without credentials: few, short, told what is wrong, and no burden on those who have some."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clusters.embedded.apiserver import bodies, connections
from clusters.embedded.apiserver.connections import Listener
from clusters.embedded.apiserver.server import ApiServer

from .conftest import Http, trusting

SECONDS = 60
MAPS = "/api/v1/namespaces/default/configmaps"


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes before the server ends the connection."""
    async with asyncio.timeout(SECONDS):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return await reader.read()
    return b""


async def tls(server: ApiServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(server), server_hostname="localhost")


@contextlib.asynccontextmanager
async def crowd(server: ApiServer, count: int) -> AsyncIterator[list[socket.socket]]:
    """`count` TCP connections that say nothing."""
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            each = socket.socket()
            each.setblocking(False)
            opened.append(each)
            await loop.sock_connect(each, ("127.0.0.1", server.port))
        yield opened
    finally:
        for each in opened:
            each.close()


def listener_of(server: ApiServer) -> Listener:
    found = server._listener
    assert found is not None
    return found


async def test_a_crowd_without_credentials_keeps_nobody_out(server: ApiServer, http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    limit = connections._most_strangers()
    kept = await http("GET", "/version")
    async with crowd(server, limit + 64) as opened:
        async with asyncio.timeout(SECONDS):
            assert (await http("GET", "/version")).body == kept.body
            fresh = Http(server.url, http.session.connector._ssl)  # type: ignore[union-attr]
            assert (await fresh("GET", "/api/v1/namespaces")).status == 200
            await fresh.session.close()
            # The first to come are the first to go.
            assert await asyncio.get_running_loop().sock_recv(opened[0], 1) == b""
        assert listener_of(server).strangers <= limit
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_handshake_that_does_not_end_is_ended(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HANDSHAKE", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await until_closed(reader) == b""
    writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_client_that_never_asks_is_dismissed(server: ApiServer, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(connections, "INTRODUCTION", 0.2)
    reader, writer = await tls(server)
    writer.write(said)
    assert await until_closed(reader) == b""
    writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(server: ApiServer, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        server.port,
        ssl=http.session.connector._ssl,  # type: ignore[union-attr]
        server_hostname="localhost",
    )
    writer.write(f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    async with asyncio.timeout(SECONDS):
        head = await reader.readline()
    assert head.startswith(b"HTTP/1.1 504")
    writer.close()


async def test_a_watch_outlasts_the_time_of_introduction(
    server: ApiServer, http: Http, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "INTRODUCTION", 0.2)
    fresh = Http(server.url, http.session.connector._ssl)  # type: ignore[union-attr]
    async with asyncio.timeout(SECONDS), fresh.session.get(f"{server.url}{MAPS}?watch=1") as watch:
        # A stranger who comes later is gone before the watch hears of anything.
        reader, writer = await tls(server)
        await until_closed(reader)
        writer.close()
        await client.create("configmaps", {"metadata": {"name": "late", "namespace": "default"}})
        while (event := json.loads(await watch.content.readline()))["object"]["metadata"]["name"] != "late":
            assert event["type"] == "ADDED"
    await fresh.session.close()


@pytest.mark.parametrize(
    "said",
    [b"NONSENSE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nA: b\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"],
)
async def test_what_is_no_http_gets_a_status(server: ApiServer, caplog: pytest.LogCaptureFixture, said: bytes) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await tls(server)
    writer.write(said)
    answer = await until_closed(reader)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    status = json.loads(body)
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 400, "BadRequest")
    assert caplog.records == []


async def test_no_more_files_is_told_once_and_passes(
    server: ApiServer, http: Http, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        """A socket on which nothing can be accepted."""

        def __init__(self, real: socket.socket):
            self.real = real
            self.looks = 0
            self.looked_thrice = asyncio.Event()

        def accept(self) -> Any:
            self.looks += 1
            if self.looks == 3:
                self.looked_thrice.set()
            raise OSError(24, "Too many open files")

        def fileno(self) -> int:
            return self.real.fileno()

    monkeypatch.setattr(connections, "_PAUSE", 0.05)
    listener = listener_of(server)
    real = listener._socket
    assert real is not None
    full = Full(real)
    monkeypatch.setattr(listener, "_socket", full)
    waiting = asyncio.create_task(http("GET", "/version"))
    async with asyncio.timeout(SECONDS):
        await full.looked_thrice.wait()
        monkeypatch.setattr(listener, "_socket", real)
        assert (await waiting).status == 200
    words = [each.message for each in caplog.records if each.name == connections.__name__]
    assert words == ["new connections wait: Too many open files. `ulimit -n` says how many files may be open."]
