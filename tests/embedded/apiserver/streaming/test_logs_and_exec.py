"""kubectl logs, exec, attach and cp, and the Python client, through the API server's streams."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.client import Object
from tests.embedded.apiserver.conftest import Http
from tests.embedded.apiserver.streaming.conftest import StandInKubelet, Start, make_pod
from tests.embedded.apiserver.test_kubectl import Ran

Kubectl = Callable[..., Coroutine[Any, Any, Ran]]


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_logs_are_what_the_container_wrote(kubectl: Kubectl, kubelet: StandInKubelet, pod: Object) -> None:
    assert await kubectl("logs", "web", "-c", "main", "--tail=5", "--timestamps", "--since=1h") == Ran(0, "one\ntwo\n", "")
    asked = kubelet.asked[-1]
    assert (asked.tail_lines, asked.timestamps, asked.since_seconds, asked.follow) == (5, True, 3600, False)


async def test_a_follower_sees_lines_as_they_are_written(start: Start, kubelet: StandInKubelet, pod: Object) -> None:
    process = await start("logs", "-f", "web", "-c", "main")
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert [await process.stdout.readline() for _ in range(2)] == [b"one\n", b"two\n"]
        kubelet.written["main"].append(b"three\n")
        kubelet.more.set()
        assert await process.stdout.readline() == b"three\n"
    process.terminate()
    await eventually(lambda: kubelet.open_logs == 0)


async def test_logs_that_there_are_none_of(kubectl: Kubectl, http: Http, client: LocalClient, pod: Object) -> None:
    waiting = await kubectl("logs", "web", "-c", "side")
    assert waiting.err == (
        'Error from server (BadRequest): container "side" in pod "web" is waiting to start: CreateContainerConfigError\n'
    )
    base = "/api/v1/namespaces/default/pods/web/log"
    for query, status, message in (
        ("?container=nope", 400, "container nope is not valid for pod web"),
        ("", 400, "a container name must be specified for pod web, choose one of: [main side]"),
        (
            "?container=main&tailLines=-1",
            422,
            'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
        ),
        ("?container=main&sinceSeconds=0", 422, 'PodLogOptions "web" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
        ("?container=main&tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ):
        reply = await http("GET", base + query)
        assert (reply.status, reply.body["message"]) == (status, message)
    await make_pod(client, "pending", node="")
    assert await kubectl("logs", "pending") == Ran(0, "", "")


async def test_a_node_whose_kubelet_is_gone(http: Http, client: LocalClient, kubelet: StandInKubelet) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "lost"}}
    made = await client.create("nodes", node)
    status = {"addresses": [{"type": "InternalIP", "address": "172.18.0.9"}]}
    await client.update("nodes", {**made, "status": status}, subresource="status")
    await make_pod(client, "far", node="lost")
    reply = await http("GET", "/api/v1/namespaces/default/pods/far/log")
    assert (reply.status, reply.body["message"]) == (
        500,
        'Get "https://172.18.0.9:10250/containerLogs/default/far/main": dial tcp 172.18.0.9:10250: connect: connection refused',
    )


async def test_exec_gives_output_and_exit_code(kubectl: Kubectl, pod: Object) -> None:
    assert await kubectl("exec", "web", "-c", "main", "--", "echo", "hello") == Ran(0, "hello\n", "")
    failed = await kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 4")
    assert (failed.code, failed.out) == (4, "out\n")
    assert failed.err == "err\ncommand terminated with exit code 4\n"


async def test_exec_reads_stdin_to_its_end(kubectl: Kubectl, pod: Object) -> None:
    big = bytes(range(256)) * 8192
    done = await kubectl("exec", "-i", "web", "-c", "main", "--", "sh", "-c", "wc -c; echo done", stdin=big)
    assert (done.code, done.out.split()) == (0, [str(len(big)), "done"])


async def test_much_output_arrives_whole(kubectl: Kubectl, pod: Object) -> None:
    done = await kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "seq 1 200000")
    assert done.out == "".join(f"{number}\n" for number in range(1, 200001))


async def test_exec_says_what_cannot_be_started(kubectl: Kubectl, http: Http, pod: Object) -> None:
    missing = await kubectl("exec", "web", "-c", "main", "--", "nosuch")
    assert missing.code == 1
    assert 'Internal error occurred: error executing command in container: exec: "nosuch": executable file not found' in missing.err
    stopped = await kubectl("exec", "web", "-c", "side", "--", "ls")
    assert stopped.err == 'error: Internal error occurred: unable to upgrade connection: container not found ("side")\n'
    plain = await http("GET", "/api/v1/namespaces/default/pods/web/exec?container=main&command=ls&stdout=true")
    assert (plain.status, plain.body["message"]) == (400, "Upgrade request required")
    spdy = await http(
        "POST",
        "/api/v1/namespaces/default/pods/web/exec?container=main&command=ls&stdout=true",
        Connection="Upgrade",
        Upgrade="SPDY/3.1",
    )
    assert spdy.status == 400
    assert "WebSockets only" in spdy.body["message"]


async def test_a_client_that_leaves_ends_its_process(start: Start, kubelet: StandInKubelet, pod: Object) -> None:
    process = await start("exec", "-i", "web", "-c", "main", "--", "sleep", "600")
    await eventually(lambda: bool(kubelet.sessions))
    process.kill()
    await eventually(lambda: kubelet.sessions[0].closed)


async def test_attach_ends_well_when_the_container_does(kubectl: Kubectl, pod: Object) -> None:
    done = await kubectl("attach", "web", "-c", "main")
    assert (done.code, done.out) == (0, "attached\n")


async def test_files_are_copied_in_and_out(kubectl: Kubectl, pod: Object, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"weights" * 50000)
    there = tmp_path / "container"
    there.mkdir()
    done = await kubectl("cp", str(tmp_path / "in"), f"web:{there}/w", "-c", "main")
    assert done.code == 0, done.err
    assert (there / "w").read_bytes() == b"weights" * 50000
    done = await kubectl("cp", f"web:{there}/w", str(tmp_path / "back"), "-c", "main")
    assert done.code == 0, done.err
    assert (tmp_path / "back").read_bytes() == b"weights" * 50000


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_the_python_client_executes_commands(environment: dict[str, str], pod: Object, protocol: str) -> None:
    code = """
from kubernetes import client, config
from kubernetes.stream import stream, ws_client
config.load_kube_config()
core = client.CoreV1Api()
session = stream(core.connect_get_namespaced_pod_exec, "web", "default", container="main", command=["cat"],
                 stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
session.write_stdin("typed\\n")
print(session.readline_stdout(timeout=5), session.is_open())
session.close()
session = stream(core.connect_get_namespaced_pod_exec, "web", "default", container="main", command=["sh", "-c", "exit 7"],
                 stdout=True, stderr=True, _preload_content=False)
session.run_forever(timeout=5)
print(session.returncode)
print(core.read_namespaced_pod_log("web", "default", container="main"))
"""
    other = "v5.channel.k8s.io" if protocol.startswith("v4") else "v4.channel.k8s.io"
    code = f"import kubernetes.stream.ws_client as w\nw.{other[:2].upper()}_CHANNEL_PROTOCOL = '{protocol}'\n" + code
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert out.decode() == "typed True\n7\none\ntwo\n\n", err.decode()


async def test_the_size_of_a_terminal_is_passed_on(environment: dict[str, str], kubelet: StandInKubelet, pod: Object) -> None:
    code = """
import json, pty, fcntl, os, struct, sys, termios, time
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["kubectl", "exec", "-it", "web", "-c", "main", "--", "sleep", "60"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
os.kill(pid, 28)
time.sleep(60)
"""
    kubectl = str(Path(sys.executable).parent / "kubectl")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, kubectl, env=environment, start_new_session=True)
    try:
        await eventually(lambda: bool(kubelet.sessions) and (97, 31) in kubelet.sessions[0].sizes)
    finally:
        process.kill()
        await process.wait()
