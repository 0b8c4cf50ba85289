"""The metrics adapter in a live cluster: from its manifest to a Deployment that grows by the length of a queue."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, LiveCluster

pytestmark = pytest.mark.cluster

ADAPTER = ROOT / "manifests/metrics-adapter/metrics-adapter.yaml"
API = "v1beta2.custom.metrics.k8s.io"
GENEROUS = 90
PROGRAM = """
import http.server, pathlib
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        length = pathlib.Path('/tmp/queue').read_text().strip()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f'# TYPE queue_length gauge\\nqueue_length {length}\\n'.encode())
http.server.ThreadingHTTPServer(('', 8080), Page).serve_forever()
"""


@pytest.fixture
def adapter(cluster: LiveCluster) -> Iterator[LiveCluster]:
    cluster.kubectl("-n", "kube-system", "apply", "-f", str(ADAPTER))
    try:
        cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{API}", f"--timeout={GENEROUS}s")
        yield cluster
    finally:
        cluster.run("delete", "deployment,hpa,service", "-l", "app=worker", "--grace-period=1")
        cluster.run("-n", "kube-system", "delete", "-f", str(ADAPTER), "--ignore-not-found")


def _worker(cluster: LiveCluster, queue: int) -> None:
    container = {
        "name": "main",
        "image": "python:3.12-slim",
        "command": ["sh", "-c", f'echo {queue} > /tmp/queue && exec python3 -c "$PROGRAM"'],
        "env": [{"name": "PROGRAM", "value": PROGRAM}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": "http"}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": {"app": "worker"}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "worker"}}, "template": template}
    metadata = {"name": "worker", "labels": {"app": "worker"}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("rollout", "status", "deployment/worker", f"--timeout={GENEROUS}s")


def test_a_deployment_grows_by_what_its_pods_tell(adapter: LiveCluster) -> None:
    _worker(adapter, 12)
    path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{adapter.namespace}/pods/*/queue_length?labelSelector=app%3Dworker"
    adapter.eventually(r'"value": "12"', "get", "--raw", path, within=GENEROUS)
    assert "queue_length" in adapter.kubectl("get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2")
    refused = adapter.run("get", "--raw", path, "--as=nobody")
    assert 'User "nobody" cannot get resource "pods/queue_length"' in refused.stderr

    metric = {"type": "Pods", "pods": {"metric": {"name": "queue_length"}, "target": {"type": "AverageValue", "averageValue": "6"}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, "metrics": [metric]}
    metadata = {"name": "worker", "labels": {"app": "worker"}}
    autoscaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    adapter.kubectl("apply", "-f", "-", stdin=json.dumps(autoscaler))
    adapter.eventually(r"New size: 2; reason: pods metric queue_length above target", "describe", "hpa", "worker", within=GENEROUS)
    adapter.eventually("^2$", "get", "deployment", "worker", "-o", "jsonpath={.spec.replicas}")


def test_without_its_pod_the_api_is_gone_and_says_why(adapter: LiveCluster) -> None:
    adapter.kubectl("-n", "kube-system", "scale", "deployment", "metrics-adapter", "--replicas=0")
    adapter.eventually("MissingEndpoints", "get", "apiservice", API, within=GENEROUS)
    refused = adapter.run("get", "--raw", f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{adapter.namespace}/pods/*/queue_length")
    assert "the server is currently unable to handle the request" in refused.stderr
