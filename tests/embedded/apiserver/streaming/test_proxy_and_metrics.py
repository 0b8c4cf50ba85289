"""The proxy of Pods, Services and nodes, and metrics.k8s.io."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.client import Object
from tests.embedded.apiserver.conftest import Http
from tests.embedded.apiserver.streaming.conftest import NODE, StandInKubelet
from tests.embedded.apiserver.test_kubectl import Ran

Kubectl = Callable[..., Coroutine[Any, Any, Ran]]
PODS = "/api/v1/namespaces/default/pods/"
SERVICES = "/api/v1/namespaces/default/services/"


@pytest.fixture
async def listening(kubelet: StandInKubelet) -> AsyncIterator[None]:
    """A web application on the Pod's port 8080."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/stream":
            response = web.StreamResponse()
            await response.prepare(request)
            for number in range(3):
                await response.write(f"{number};".encode())
            return response
        if request.path == "/fails":
            return web.Response(status=503, text="not yet")
        body = (await request.read()).decode()
        return web.json_response(
            {"method": request.method, "path": request.raw_path, "body": body, "secret": "Authorization" in request.headers}
        )

    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kubelet.ports[8080] = runner.addresses[0][1]
    yield
    await runner.cleanup()


async def test_a_request_reaches_the_pod_as_it_was(http: Http, pod: Object, listening: None) -> None:
    reply = await http("POST", PODS + "web:8080/proxy/a%2Fb/c?q=1&r=%20", {"x": 1}, Authorization="Bearer secret-of-the-cluster")
    if reply.status == 401:
        reply = await http("POST", PODS + "web:8080/proxy/a%2Fb/c?q=1&r=%20", {"x": 1})
    assert reply.body == {"method": "POST", "path": "/a%2Fb/c?q=1&r=%20", "body": '{"x":1}', "secret": False}
    assert (await http("GET", PODS + "web/proxy/")).body["path"] == "/"
    assert (await http("GET", PODS + "http:web:8080/proxy/stream")).body == "0;1;2;"
    failed = await http("GET", PODS + "web/proxy/fails")
    assert (failed.status, failed.body) == (503, "not yet")


async def test_a_service_is_reached_by_the_name_of_its_port(http: Http, client: LocalClient, pod: Object, listening: None) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 9400, "targetPort": 9400}]
    await client.create("services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}, "default")
    missing = await http("GET", SERVICES + "web:http/proxy/")
    assert (missing.status, missing.body["message"]) == (503, 'no endpoints available for service "web:http"')
    unknown = await http("GET", SERVICES + "web:nope/proxy/")
    assert (unknown.status, unknown.body["message"]) == (503, 'no service port "nope" found for service "web"')
    slice_ = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": True}}],
    }
    await client.create("endpointslices.discovery.k8s.io", slice_, "default")
    for name in ("web:http", "web:80", "http:web:http"):
        assert (await http("GET", SERVICES + f"{name}/proxy/ready")).body["path"] == "/ready"


async def test_nothing_listens_behind_a_proxy(http: Http, pod: Object) -> None:
    reply = await http("GET", PODS + "web/proxy/")
    assert (reply.status, reply.body["reason"], reply.body["message"]) == (
        503,
        "ServiceUnavailable",
        "error trying to reach service: dial tcp 10.244.1.2:8080: connect: connection refused",
    )


async def test_kubectl_reads_raw_paths_through_the_proxy(kubectl: Kubectl, pod: Object, listening: None) -> None:
    done = await kubectl("get", "--raw", PODS + "web:8080/proxy/stream")
    assert (done.code, done.out) == (0, "0;1;2;")


async def make_node(client: LocalClient) -> None:
    made = await client.create("nodes", {"metadata": {"name": NODE, "labels": {"zone": "a"}}})
    capacity = {"cpu": "2", "memory": "4Gi", "pods": "110"}
    await client.update("nodes", {**made, "status": {"capacity": capacity, "allocatable": capacity}}, subresource="status")


async def test_the_kubelet_tells_what_it_knows(http: Http, client: LocalClient, pod: Object) -> None:
    await make_node(client)
    base = f"/api/v1/nodes/{NODE}/proxy"
    summary = await http("GET", base + "/stats/summary")
    assert summary.body["node"]["cpu"]["usageNanoCores"] == 300_000_000
    assert {each["podRef"]["uid"] for each in summary.body["pods"]} == {pod["metadata"]["uid"]}
    assert (await http("GET", base + "/healthz")).body == "ok"
    assert [each["metadata"]["name"] for each in (await http("GET", base + "/pods")).body["items"]] == ["web"]
    resource = (await http("GET", base + "/metrics/resource")).body.splitlines()
    assert resource[:2] == [
        "# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds",
        "# TYPE container_cpu_usage_seconds_total counter",
    ]
    assert resource[2].rpartition(" ")[0] == 'container_cpu_usage_seconds_total{container="main",namespace="default",pod="web"} 1.5'
    assert 'pod_memory_working_set_bytes{namespace="default",pod="web"} 6.815744e+07' in [line.rpartition(" ")[0] for line in resource]
    firsts = {
        "": "# HELP aggregator_discovery",
        "/cadvisor": "# HELP cadvisor_version_info",
        "/probes": "# HELP process_start_time_seconds",
    }
    for path, first in firsts.items():
        assert (await http("GET", f"{base}/metrics{path}")).body.startswith(first)
    assert (await http("GET", base + "/nosuch")).status == 404
    assert (await http("GET", "/api/v1/nodes/nobody/proxy/healthz")).status == 404


async def test_kubectl_top_shows_what_is_in_use(kubectl: Kubectl, client: LocalClient, pod: Object) -> None:
    await make_node(client)
    assert (await kubectl("top", "nodes")).out.splitlines()[1].split() == [NODE, "300m", "15%", "1024Mi", "25%"]
    assert (await kubectl("top", "pods")).out.splitlines()[1].split() == ["web", "255m", "65Mi"]
    rows = (await kubectl("top", "pods", "--containers")).out.splitlines()[1:]
    assert [row.split() for row in rows] == [["web", "main", "250m", "64Mi"], ["web", "side", "5m", "1Mi"]]
    assert "No resources found" in (await kubectl("top", "pods", "-l", "app=other")).err
    assert (await kubectl("top", "pod", "nobody")).err == (
        'Error from server (NotFound): podmetrics.metrics.k8s.io "default/nobody" not found\n'
    )


async def test_metrics_are_resources_like_others(kubectl: Kubectl, http: Http, client: LocalClient, pod: Object) -> None:
    await make_node(client)
    shown = await kubectl("get", "pods.metrics.k8s.io")
    assert [line.split() for line in shown.out.splitlines()] == [
        ["NAME", "CPU", "MEMORY", "WINDOW"],
        ["web", "255000000n", "66560Ki", "15s"],
    ]
    one = await http("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web")
    assert one.body["containers"][0] == {"name": "main", "usage": {"cpu": "250000000n", "memory": "65536Ki"}}
    assert (await http("GET", "/apis/metrics.k8s.io/v1beta1/pods?labelSelector=app%20in%20(")).status == 400
    assert (await http("GET", "/apis/metrics.k8s.io/v1beta1/services")).status == 404
    assert (await http("DELETE", "/apis/metrics.k8s.io/v1beta1/nodes/x")).status == 405
