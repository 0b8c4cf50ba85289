"""What the kubelet serves: commands in containers, attaching, logs that are not there, connections, usage."""

from __future__ import annotations

import asyncio

import pytest

from clusters.embedded.errors import ApiError
from clusters.embedded.kubelet import server as serving
from clusters.embedded.kubelet.output import LIMIT, OutputQueue
from clusters.embedded.kubelet.server import AttachedSession, Session

from .conftest import NODE, PYTHON, Node


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


async def test_a_command_has_its_own_exit_code_and_streams(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    assert await node.exec("quiet", "python3", "-c", "print(6*7)") == (0, "42\n")
    assert (await node.exec("quiet", "sh", "-c", "exit 4"))[0] == 4
    assert await node.exec("quiet", "cat", stdin=b"hello") == (0, "hello")


async def test_a_command_that_is_not_there_is_told_in_the_words_of_the_runtime(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    with pytest.raises(ApiError, match=r'OCI runtime exec failed: .* exec: "curl": executable file not found in \$PATH'):
        await node.exec("quiet", "curl", "localhost")


async def test_a_terminal_is_a_terminal(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    code, output = await node.exec("quiet", "sh", "-c", "test -t 0 && test -t 1 && echo yes", tty=True)
    assert (code, output) == (0, "yes\r\n")


async def test_a_session_that_is_closed_ends_its_command(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    server = node.connections.get(NODE)
    assert server is not None
    session = await server.exec("default", "quiet", "main", ["sleep", "300"], stdin=False, tty=False)
    await session.close()
    assert await asyncio.wait_for(session.wait(), 60) == 137


async def test_attaching_shows_what_comes_and_leaves_the_container_running(node: Node) -> None:
    await node.run("reads", "sh", "-c", "while read line; do echo got $line; done", stdin=True)
    await node.until_phase("reads", "Running")
    server = node.connections.get(NODE)
    assert server is not None
    session = await server.attach("default", "reads", "main", stdin=True, tty=False)
    await session.write_stdin(b"this\n")
    async for stream, data in session.output():
        assert (stream, data) == (1, b"got this\n")
        break
    await session.close()
    assert (await node.pod("reads"))["status"]["phase"] == "Running"


# More than pipes and queues hold together.
_LINES, _LINE = 40_000, 100
_WRITES = f"import os\nfor _ in range({_LINES}): os.write(1, b'z' * {_LINE - 1} + b'\\n')"


async def until_full(queue: OutputQueue) -> int:
    """How much waits once the program is held up."""
    for _ in range(6000):
        if queue.full:
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("the program is not held up")
    for _ in range(20):
        # What is ready to be read by now would be read in these turns.
        await asyncio.sleep(0)
    return queue._size


async def test_a_container_waits_for_a_client_that_is_attached_and_slow(node: Node) -> None:
    await node.run("loud", "sh", "-c", f'read line; exec python3 -c "{_WRITES}"', stdin=True, restartPolicy="Never")
    await node.until_phase("loud", "Running")
    server = node.connections.get(NODE)
    assert server is not None
    slow = await server.attach("default", "loud", "main", stdin=True, tty=False)
    assert isinstance(slow, AttachedSession)
    await slow.write_stdin(b"go\n")
    assert await until_full(slow._written) <= LIMIT + 2 * 65536
    # What was read is in the log, for everybody.
    assert len(await node.logs("loud")) >= LIMIT
    await slow.close()
    await node.until_phase("loud", "Succeeded")
    assert len(await node.logs("loud")) == _LINES * _LINE


async def test_a_container_goes_on_without_a_client_that_takes_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_PATIENCE", 0.2)
    await node.run("loud", "sh", "-c", f'read line; exec python3 -c "{_WRITES}"', stdin=True, restartPolicy="Never")
    await node.until_phase("loud", "Running")
    server = node.connections.get(NODE)
    assert server is not None
    gone = await server.attach("default", "loud", "main", stdin=True, tty=False)
    await gone.write_stdin(b"go\n")
    output = gone.output()
    await anext(output)
    await node.until_phase("loud", "Succeeded")
    assert [chunk async for chunk in output] == []
    with pytest.raises(ApiError, match="the container goes on without this client"):
        await gone.wait()
    await gone.close()


async def test_a_command_waits_for_a_slow_client_and_loses_nothing(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    server = node.connections.get(NODE)
    assert server is not None
    slow = await server.exec("default", "quiet", "main", ["python3", "-c", _WRITES], stdin=False, tty=False)
    assert isinstance(slow, Session)
    assert await until_full(slow._written) <= LIMIT + 2 * 65536
    async with asyncio.timeout(60):
        taken = sum([len(data) async for _, data in slow.output()])
        assert (taken, await slow.wait()) == (_LINES * _LINE, 0)
    await slow.close()


async def test_a_log_that_is_not_there_says_why(node: Node) -> None:
    await node.run("waits", "sleep", "600", envFrom=[{"configMapRef": {"name": "none"}}])
    await node.until_state("waits", "waiting", "CreateContainerConfigError")
    with pytest.raises(ApiError, match='container "main" in pod "waits" is waiting to start: CreateContainerConfigError'):
        await node.logs("waits")
    await node.run("runs", "sleep", "600")
    await node.until_phase("runs", "Running")
    with pytest.raises(ApiError, match='previous terminated container "main" in pod "runs" not found'):
        await node.logs("runs", previous=True)


async def test_a_connection_reaches_what_listens_in_the_pod(node: Node) -> None:
    await node.run("web", "python3", "-m", "http.server", "8080", readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})

    async def ready() -> bool:
        return (await node.status("web")).get("ready", False)

    await node.until(ready)
    server = node.connections.get(NODE)
    assert server is not None
    reader, writer = await server.dial("default", "web", 8080)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 200")
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await server.dial("default", "web", 9999)


async def test_memory_in_use_is_measured(node: Node) -> None:
    await node.run("holds", "python3", "-c", "x = bytearray(50 << 20); print('up', flush=True); import time; time.sleep(60)")
    await node.until_phase("holds", "Running")
    await node.until(lambda: node.logs("holds"))
    server = node.connections.get(NODE)
    assert server is not None
    used = server.usage()["pods"]["default/holds"]["main"]["memory"]
    assert 50 << 20 <= used < 100 << 20


async def test_a_debug_container_joins_a_running_pod(node: Node) -> None:
    await node.run("quiet", "sleep", "600")
    await node.until_phase("quiet", "Running")
    container = {"name": "debugger", "image": PYTHON, "command": ["sh", "-c", "echo looking"]}
    body = {"spec": {"ephemeralContainers": [container]}}
    await node.client.patch("pods", "quiet", body, "default", subresource="ephemeralcontainers", type="strategic")
    ended = await node.until_state("quiet", "terminated", "Completed", container="debugger")
    assert ended["exitCode"] == 0
    assert await node.logs("quiet", container="debugger") == "looking\n"
