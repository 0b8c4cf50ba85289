"""Probes against real servers in containers."""

from __future__ import annotations

import re

from .conftest import Node

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = os.path.exists('/tmp/loaded')
        self.send_response(200 if ready or self.path != '/ready' else 503)
        self.end_headers()
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()
"""


async def test_a_server_is_ready_when_its_probe_says_so(node: Node) -> None:
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
    await node.run("api", "python3", "-c", SERVER, ports=[{"containerPort": 8080, "name": "http"}], readinessProbe=probe)

    async def refused() -> bool:
        return any("statuscode" in message for _, message in await node.messages("api"))

    await node.until(refused)
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") in await node.messages("api")
    assert (await node.status("api"))["ready"] is False
    conditions = {each["type"]: each for each in (await node.pod("api"))["status"]["conditions"]}
    assert conditions["Ready"]["message"] == "containers with unready status: [main]"
    assert await node.exec("api", "touch", "/tmp/loaded") == (0, "")

    async def ready() -> bool:
        return (await node.status("api"))["ready"]

    await node.until(ready)


async def test_a_liveness_probe_that_finds_nobody_restarts_the_container(node: Node) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}
    await node.run("stuck", "python3", "-c", "print('no server', flush=True); import time; time.sleep(600)", livenessProbe=probe)

    async def restarted() -> bool:
        return (await node.status("stuck")).get("restartCount", 0) >= 1

    await node.until(restarted)
    message = await node.until_event("stuck", "Unhealthy")
    pattern = r'Liveness probe failed: Get "http://(10\.244\.1\.\d+):8080/healthz": dial tcp \1:8080: connect: connection refused'
    assert re.fullmatch(pattern, message)
    assert await node.until_event("stuck", "Killing") == "Container main failed liveness probe, will be restarted"
    last = (await node.status("stuck"))["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("Error", 137)
    assert await node.logs("stuck", previous=True) == "no server\n"


async def test_a_startup_probe_holds_the_others_back(node: Node) -> None:
    startup = {"exec": {"command": ["cat", "/tmp/started"]}, "periodSeconds": 1, "failureThreshold": 30}
    ready = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    await node.run("slow", "sh", "-c", "sleep 600", startupProbe=startup, readinessProbe=ready)
    await node.until_event("slow", "Unhealthy")
    status = await node.status("slow")
    assert (status["started"], status["ready"]) == (False, False)
    await node.exec("slow", "touch", "/tmp/started")

    async def up() -> bool:
        status = await node.status("slow")
        return status["started"] and status["ready"]

    await node.until(up)


async def test_a_tcp_probe_wants_a_listener(node: Node) -> None:
    probe = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    await node.run("db", "python3", "-m", "http.server", "9000", readinessProbe=probe)

    async def ready() -> bool:
        return (await node.status("db")).get("ready", False)

    await node.until(ready)


async def test_a_probe_that_waits_too_long_says_so(node: Node) -> None:
    program = "import socket, time\ns = socket.create_server(('', 8080))\nc = s.accept()\ntime.sleep(600)"
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 1, "initialDelaySeconds": 1}
    await node.run("deaf", "python3", "-c", program, readinessProbe=probe)
    message = await node.until_event("deaf", "Unhealthy")
    assert message.endswith(':8080/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')


async def test_a_command_that_takes_too_long_fails_the_probe(node: Node) -> None:
    probe = {"exec": {"command": ["sleep", "30"]}, "periodSeconds": 5, "timeoutSeconds": 1}
    await node.run("slow", "sleep", "600", readinessProbe=probe)
    assert await node.until_event("slow", "Unhealthy") == 'Readiness probe failed: command timed out: "sleep 30" timed out after 1s'
