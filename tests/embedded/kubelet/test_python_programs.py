"""Programs of the lab in images without Python: busybox's wget, nslookup and nc, and what a device plugin mounts."""

from __future__ import annotations

import pytest

from clusters.embedded.kubelet.namespace_support import has_own_pids

from .conftest import Node

BUSYBOX = "busybox:1.37"


async def serving(node: Node) -> str:
    """The address of a Pod that serves HTTP on 8080."""
    await node.run("model", "python3", "-c", SERVER, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})

    async def ready() -> str:
        return (await node.pod("model"))["status"]["podIP"] if (await node.status("model")).get("ready") else ""

    return await node.until(ready)


SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 404, "OK" if self.path == "/" else "Not Found"); self.end_headers()
        self.wfile.write(b"hello from the model\\n" if self.path == "/" else b"")
    do_HEAD = do_GET
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


async def test_busybox_speaks_with_the_pod_network(any_node: Node) -> None:
    address = await serving(any_node)
    any_node.network.publish(
        {"services": {"10.96.0.50": {"tcp-80": {"to": [f"{address}:8080"]}}}, "names": {"model.default": ["10.96.0.50"]}}
    )
    await any_node.run("box", "sleep", "600", image=BUSYBOX)
    await any_node.until_state("box", "running")

    async def said(*command: str) -> tuple[int, str]:
        return await any_node.exec("box", *command)

    assert await said("wget", "-qO-", "http://model/") == (0, "hello from the model\n")
    assert await said("sh", "-c", "cd /tmp && wget -O page model && cat page") == (
        0,
        "Connecting to model (10.96.0.50:80)\nsaving to 'page'\n"
        f"page                 100% |{'*' * 32}|    21  0:00:00 ETA\n'page' saved\nhello from the model\n",
    )
    assert await said("wget", "--spider", "--timeout=1", "model") == (0, "Connecting to model (10.96.0.50:80)\nremote file exists\n")
    assert await said("wget", "-q", "-O-", "model/nothing") == (1, "wget: server returned error: HTTP/1.0 404 Not Found\n")
    assert await said("wget", "-O-", "nobody") == (1, "wget: bad address 'nobody'\n")
    assert await said("wget", "-qO-", f"{address}:8081") == (1, f"wget: can't connect to remote host ({address}): Connection refused\n")
    found = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"
    assert await said("nslookup", "model") == (0, f"{found}Name:\tmodel.default.svc.cluster.local\nAddress: 10.96.0.50\n\n")
    assert await said("nslookup", "nobody") == (1, f"{found}** server can't find nobody: NXDOMAIN\n\n")
    assert await said("nc", "-zv", "-w", "2", "model", "80") == (0, "model (10.96.0.50:80) open\n")
    assert await said("nc", "-zvv", address, "8081") == (1, f"nc: {address} ({address}:8081): Connection refused\n")
    code, page = await any_node.exec("box", "nc", address, "8080", stdin=b"GET / HTTP/1.0\r\n\r\n")
    assert (code, page.splitlines()[-1]) == (0, "hello from the model")


async def test_a_policy_is_felt_by_busybox_too(any_node: Node) -> None:
    address = await serving(any_node)
    any_node.network.publish_policies({address: {"node": "172.18.0.3", "ingress": []}})
    await any_node.run("box", "sleep", "600", image=BUSYBOX)
    await any_node.until_state("box", "running")
    blocked = await any_node.exec("box", "wget", "--spider", "--timeout=1", f"{address}:8080")
    assert blocked == (1, f"Connecting to {address}:8080 ({address}:8080)\nwget: download timed out\n")
    silent = await any_node.exec("box", "nc", "-zv", "-w", "1", address, "8080")
    assert silent == (1, f"nc: {address} ({address}:8080): Connection timed out\n")


async def test_busybox_listens(any_node: Node) -> None:
    await any_node.run("ear", "nc", "-lk", "-p", "9000", "-e", "echo", "heard", image=BUSYBOX)
    await any_node.until_state("ear", "running")
    await any_node.run("box", "sleep", "600", image=BUSYBOX)
    await any_node.until_state("box", "running")
    address = (await any_node.pod("ear"))["status"]["podIP"]

    async def heard() -> bool:
        return await any_node.exec("box", "nc", "-w", "2", address, "9000", stdin=b"\n") == (0, "heard\n")

    await any_node.until(heard)


@pytest.mark.parametrize("image", ["debian:12", BUSYBOX])
async def test_a_mounted_program_needs_no_python_in_the_image(any_node: Node, image: str) -> None:
    program = any_node.root / "opt/tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]), open('/data/x').read())\n")
    program.chmod(0o755)
    (any_node.root / "data").mkdir()
    (any_node.root / "data/x").write_text("seen")
    await any_node.run(
        "tool",
        "sh",
        "-c",
        "tool -q 'a b'; which python3 || echo none",
        image=image,
        restartPolicy="Never",
        volumeMounts=[{"name": "tool", "mountPath": "/usr/bin/tool"}, {"name": "data", "mountPath": "/data"}],
        volumes=[{"name": "tool", "hostPath": {"path": "/opt/tool"}}, {"name": "data", "hostPath": {"path": "/data"}}],
    )
    await any_node.until_phase("tool", "Succeeded")
    assert await any_node.logs("tool") == '["-q", "a b"] seen\nnone\n'


async def test_busybox_shows_its_processes(node: Node) -> None:
    """Those of the container alone, where it has processes of its own."""
    await node.run("box", "sh", "-c", "nc -l -p 9000 & sleep 600", image=BUSYBOX)
    await node.until_state("box", "running")

    async def listed() -> list[str]:
        lines = (await node.exec("box", "ps"))[1].splitlines()
        return lines if any("nc -l -p 9000" in line for line in lines) else []

    lines = await node.until(listed)
    assert lines[0] == "  PID USER     TIME  COMMAND"
    if has_own_pids():
        assert [line.split(maxsplit=3)[3] for line in lines[1:]] == ["sh -c nc -l -p 9000 & sleep 600", "nc -l -p 9000", "sleep 600", "ps"]
    assert (await node.exec("box", "ps", "-o", "pid,comm"))[1].splitlines()[0] == "  PID COMMAND"
