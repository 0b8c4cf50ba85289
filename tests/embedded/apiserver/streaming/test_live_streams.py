"""Streams and the Pod network on a whole cluster: real kubelets, real kubectl."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import LiveCluster

pytestmark = pytest.mark.cluster

SERVER = """
import http.server, json, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"host": socket.gethostname(), "peer": self.client_address[0]}).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def pod(name: str, command: list[str], probe: bool = True) -> dict[str, object]:
    container: dict[str, object] = {"name": "main", "image": "python:3.12-slim", "command": command, "ports": [{"containerPort": 8080}]}
    if probe:
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}


def servers(cluster: LiveCluster) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    items = [service, *(pod(name, ["python3", "-u", "-c", SERVER]) for name in ("one", "two"))]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/one", "pod/two", "--timeout=60s")
    cluster.eventually(r"8080.*8080", "get", "endpointslices", "-o", "jsonpath={.items[*].ports[*].port} {.items[*].ports[*].port}")


def test_pods_on_the_same_port_are_reached_by_address_service_and_name(cluster: LiveCluster) -> None:
    servers(cluster)
    address = cluster.get("pod", "two")["status"]["podIP"]
    own = cluster.get("pod", "one")["status"]["podIP"]
    code = "import json, sys, urllib.request as u\nfor url in sys.argv[1:]: print(u.urlopen(url, timeout=60).read().decode())"
    urls = (
        f"http://{address}:8080/",
        "http://localhost:8080/",
        *["http://web/"] * 12,
        f"http://web.{cluster.namespace}.svc.cluster.local/",
    )
    seen = [json.loads(line) for line in cluster.kubectl("exec", "one", "--", "python3", "-c", code, *urls).splitlines()]
    assert seen[:2] == [{"host": "two", "peer": own}, {"host": "one", "peer": "127.0.0.1"}]
    assert {each["host"] for each in seen[2:]} == {"one", "two"}


def test_a_service_is_forwarded_and_proxied(cluster: LiveCluster) -> None:
    servers(cluster)
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), "-n", cluster.namespace]
    process = subprocess.Popen([*kubectl, "port-forward", "svc/web", ":80"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+) -> 8080", process.stdout.readline())
        assert found
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=10) as answer:
            assert json.loads(answer.read())["host"] in ("one", "two")
    finally:
        process.kill()
        process.communicate()
    raw = cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{cluster.namespace}/services/web/proxy/")
    assert json.loads(raw)["host"] in ("one", "two")


def test_a_server_bound_to_localhost_is_not_ready_and_yet_forwarded(cluster: LiveCluster) -> None:
    server = SERVER.replace('("", 8080)', '("127.0.0.1", 8080)')
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod("hidden", ["python3", "-u", "-c", server])))
    address = cluster.eventually(r"10\.244\.", "get", "pod", "hidden", "-o", "jsonpath={.status.podIP}")
    refused = (
        rf'Readiness probe failed: Get "http://{re.escape(address)}:8080/": dial tcp {re.escape(address)}:8080: connect: connection refused'
    )
    cluster.eventually(refused, "events", "--for", "pod/hidden")
    seen = cluster.kubectl(
        "exec", "hidden", "--", "python3", "-c", "import urllib.request as u; print(u.urlopen('http://localhost:8080/').status)"
    )
    assert seen == "200\n"


def test_exec_logs_copy_and_top(cluster: LiveCluster, tmp_path: Path) -> None:
    servers(cluster)
    assert cluster.kubectl("logs", "one", "--tail=50").startswith("serving\n")
    failed = cluster.run("exec", "one", "--", "sh", "-c", "echo out; exit 3")
    assert (failed.returncode, failed.stdout) == (3, "out\n")
    assert cluster.kubectl("exec", "-i", "one", "--", "cat", stdin="typed") == "typed"
    (tmp_path / "in").write_bytes(b"weights" * 10_000)
    cluster.kubectl("cp", str(tmp_path / "in"), f"{cluster.namespace}/one:/tmp/weights")
    cluster.kubectl("cp", f"{cluster.namespace}/one:/tmp/weights", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"weights" * 10_000
    assert not Path("/tmp/weights").exists()
    cluster.eventually(r"one +main +\d+m +\d+Mi", "top", "pods", "--containers")
    assert "ai-lab-worker" in cluster.kubectl("top", "nodes")
