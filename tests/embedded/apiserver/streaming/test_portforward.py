"""kubectl port-forward and the Python client's, with servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.apiserver.streaming.spdy import Framer
from clusters.embedded.client import Object
from tests.embedded.apiserver.conftest import Http
from tests.embedded.apiserver.streaming.conftest import StandInKubelet, Start

Serve = Callable[[int, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]], Awaitable[None]]


@pytest.fixture
async def serve(kubelet: StandInKubelet) -> AsyncIterator[Serve]:
    """Lets the Pod listen on a port."""
    servers = []

    async def run(port: int, handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        kubelet.ports[port] = server.sockets[0].getsockname()[1]

    yield run
    for server in servers:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what it gets, and ends when the other side has said that it is through."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def forwarded(start: Start, *ports: str) -> tuple[asyncio.subprocess.Process, int]:
    process = await start("port-forward", "pod/web", *ports)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", line)
    assert found, line
    return process, int(found[1])


async def test_bytes_go_there_and_back(start: Start, serve: Serve, pod: Object) -> None:
    await serve(8080, echo)
    _, port = await forwarded(start, ":8080")
    payload = bytes(range(256)) * 40_000
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def send() -> None:
            for offset in range(0, len(payload), 1 << 16):
                writer.write(payload[offset : offset + (1 << 16)])
                await writer.drain()
            writer.write_eof()

        received, _ = await asyncio.gather(reader.read(-1), send())
    assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()


async def test_many_connections_at_once_do_not_mix(start: Start, serve: Serve, pod: Object) -> None:
    await serve(8080, echo)
    _, port = await forwarded(start, ":8080")

    async def one(number: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = f"{number} ".encode() * 5000
        writer.write(sent)
        writer.write_eof()
        received = await reader.read(-1)
        writer.close()
        return received == sent

    async with asyncio.timeout(60):
        assert all(await asyncio.gather(*(one(number) for number in range(40))))


async def test_one_slow_reader_holds_up_the_pod_and_not_the_memory(start: Start, serve: Serve, pod: Object) -> None:
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        with_pause = writer
        while True:
            with_pause.write(bytes(1 << 16))
            written += 1 << 16
            await with_pause.drain()

    await serve(8080, pour)
    process, port = await forwarded(start, ":8080")
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(1 << 20)
    before = -1
    async with asyncio.timeout(30):
        while written != before:
            before = written
            await asyncio.sleep(0.5)
    assert written < 64 << 20
    process.kill()


CHANNELS = "/api/v1/namespaces/default/pods/web/portforward?ports="


async def test_a_pod_that_reads_nothing_holds_up_the_client_and_not_the_memory(
    server: ApiServer, http: Http, serve: Serve, pod: Object
) -> None:
    let_go = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        writer.close()

    await serve(8080, ignore)
    sent, message = 0, b"\0" + bytes(4 << 20)
    async with http.session.ws_connect(server.url + CHANNELS + "8080", protocols=("v4.channel.k8s.io",)) as socket:
        # What the kernel's buffers take comes on top of what the server holds.
        with contextlib.suppress(TimeoutError):
            while sent < 128 << 20:
                async with asyncio.timeout(2):
                    await socket.send_bytes(message)
                sent += len(message)
        let_go.set()
    assert sent < 64 << 20


async def test_what_is_sent_to_a_port_that_nobody_listens_on_holds_up_no_other(
    server: ApiServer, http: Http, serve: Serve, pod: Object
) -> None:
    await serve(8080, echo)
    async with (
        asyncio.timeout(20),
        http.session.ws_connect(server.url + CHANNELS + "7070,8080", protocols=("v4.channel.k8s.io",)) as socket,
    ):
        for _ in range(100):
            await socket.send_bytes(b"\0" + bytes(8192))
        await socket.send_bytes(b"\2hello")
        opened, answers = set(), []
        while b"\2hello" not in answers:
            message = (await socket.receive()).data
            if message[0] in opened:
                answers.append(message)
            opened.add(message[0])
    assert b"connection refused" in next(each for each in answers if each[0] == 1)


async def test_nothing_listens(start: Start, pod: Object, kubelet: StandInKubelet) -> None:
    process, port = await forwarded(start, ":8080")
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        assert await reader.read(-1) == b""
        _, err = await process.communicate()
    text = err.decode()
    assert re.search(
        r"error forwarding port 8080 to pod [0-9a-f]{64}, uid : failed to execute portforward in network namespace "
        r'\\?"/var/run/netns/cni-[0-9a-f-]{36}\\?": failed to connect to localhost:8080 inside namespace \\?"[0-9a-f]{64}\\?", '
        r"IPv4: dial tcp4 127\.0\.0\.1:8080: connect: connection refused",
        text,
    ), text
    assert text.endswith("error: lost connection to pod\n")


async def test_a_server_that_resets_ends_its_connection_only(start: Start, serve: Serve, pod: Object) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(5) == b"reset":
            writer.transport.abort()
        else:
            writer.write(b"fine")
            writer.close()

    await serve(8080, reset)
    _, port = await forwarded(start, ":8080")
    for said, heard in ((b"reset", b""), (b"other", b"fine")):
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            assert await reader.read(-1) == heard


async def test_connections_end_with_the_client(start: Start, serve: Serve, pod: Object) -> None:
    ended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.read(-1)
        ended.set()

    await serve(8080, wait)
    process, port = await forwarded(start, ":8080")
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(1)
    process.kill()
    async with asyncio.timeout(20):
        await ended.wait()


async def test_the_python_client_forwards_ports(environment: dict[str, str], serve: Serve, pod: Object) -> None:
    await serve(8080, echo)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"greetings")
        writer.close()

    await serve(9090, greet)
    code = """
from kubernetes import client, config
from kubernetes.stream import portforward
config.load_kube_config()
forward = portforward(client.CoreV1Api().connect_get_namespaced_pod_portforward, "web", "default", ports="8080,9090,7070")
one = forward.socket(8080); one.settimeout(5); one.sendall(b"echoed")
two = forward.socket(9090); two.settimeout(5)
print(one.recv(100), two.recv(100))
import time
deadline = time.time() + 60
while forward.error(7070) is None and time.time() < deadline:
    time.sleep(0.02)
print("connection refused" in str(forward.error(7070)), forward.error(8080))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert out.decode() == "b'echoed' b'greetings'\nTrue None\n", err.decode()


async def test_bytes_that_are_no_spdy_end_the_stream(server: ApiServer, http: Http, pod: Object) -> None:
    url = f"{server.url}/api/v1/namespaces/default/pods/web/portforward"
    async with asyncio.timeout(20), http.session.ws_connect(url, protocols=("SPDY/3.1+portforward.k8s.io",)) as socket:
        await socket.send_bytes(Framer.ping(1))
        assert (await socket.receive()).data == Framer.ping(1)
        await socket.send_bytes(b"\x80\x02" + bytes(20))
        assert (await socket.receive()).data == Framer.goaway(0)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_requests_that_cannot_be_forwarded(http: Http, server: ApiServer, pod: Object) -> None:
    base = "/api/v1/namespaces/default/pods/web/portforward"
    for query in ("?ports=0", "?ports=x", "?ports=80,99999"):
        reply = await http("GET", base + query)
        assert (reply.status, reply.body["reason"]) == (400, "BadRequest")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.session.ws_connect(server.url + base, protocols=("v9.channel.k8s.io",))
    assert refused.value.status == 403
