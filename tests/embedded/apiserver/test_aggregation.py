"""APIServices: who stands behind one is found, judged and asked on behalf of the user."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.errors import ApiError
from kubeobjects import meta

from .conftest import Http, Loopback, administrator, serving

CA = trustme.CA()
HOST = "adapter.default.svc"
PATH = "/apis/custom.metrics.k8s.io/v1beta2"
NAME = "v1beta2.custom.metrics.k8s.io"
SERVICES = "/api/v1/namespaces/default/services"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
ROW = {"name": "pods/queue_depth", "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}


class Behind(Loopback):
    """An API server behind ours, which says what it was asked; every address of the network leads to it."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in rest:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        certificate = dict(each[0] for each in writer.get_extra_info("peercert")["subject"])
        target = first.split()[1]
        self.asked.append((target, headers, certificate["commonName"]))
        found: Any = {"kind": "MetricValueList", "items": []}
        if target == PATH:
            found = {"kind": "APIResourceList", "groupVersion": PATH[6:], "resources": [ROW]}
        elif "nothing" in target:
            found = {"kind": "Status", "reason": "NotFound", "message": "no such metric", "code": 404}
        status = 404 if "nothing" in target else self.status
        body = json.dumps(found).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[tuple[ApiServer, Http, Behind]]:
    behind = Behind()
    async with serving(folder, behind) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CA.issue_cert(HOST).configure_cert(context)
        context.load_verify_locations(server.certificates.front_proxy_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        listener = await asyncio.start_server(behind.answer, "127.0.0.1", 0, ssl=context)
        behind.real = listener.sockets[0].getsockname()[1]
        try:
            async with administrator(server) as http:
                yield server, http, behind
        finally:
            listener.close()


def api_service(**spec: Any) -> dict[str, Any]:
    shared = {"group": "custom.metrics.k8s.io", "version": "v1beta2", "groupPriorityMinimum": 100, "versionPriority": 100}
    service = {"name": "adapter", "namespace": "default", "port": 443}
    bundle = base64.b64encode(CA.cert_pem.bytes()).decode()
    return {"metadata": {"name": NAME}, "spec": shared | {"service": service, "caBundle": bundle} | spec}


async def stand(http: Http) -> None:
    """A Service with an endpoint."""
    ports = [{"name": "https", "port": 443, "targetPort": 6443}]
    assert (await http("POST", SERVICES, {"metadata": {"name": "adapter"}, "spec": {"ports": ports}})).status == 201
    slice_ = {
        "metadata": {"name": "adapter-a", "labels": {"kubernetes.io/service-name": "adapter"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 6443}],
        "endpoints": [{"addresses": ["10.244.0.8"], "conditions": {"ready": True}}],
    }
    assert (await http("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)).status == 201


async def condition(http: Http, reason: str) -> dict[str, Any]:
    """The condition Available, once it has this reason."""
    while True:
        found = meta.condition((await http("GET", f"{API_SERVICES}/{NAME}")).body, "Available")
        if found is not None and found["reason"] == reason:
            return found
        await asyncio.sleep(0.05)


async def test_who_answers_is_available_and_discovered(tmp_path: Path) -> None:
    async with standing(tmp_path) as (_, http, behind):
        await stand(http)
        await http("POST", API_SERVICES, api_service())
        found = await condition(http, "Passed")
        groups = (await http("GET", "/apis")).body["groups"]
        group = (await http("GET", "/apis/custom.metrics.k8s.io")).body
        told = (await http("GET", "/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")).headers
    assert (found["status"], found["message"]) == ("True", "all checks passed")
    assert "custom.metrics.k8s.io" in [each["name"] for each in groups]
    assert group["preferredVersion"] == {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"}
    assert "APIGroupDiscoveryList" in told["Content-Type"]
    target, headers, client = behind.asked[0]
    assert (target, client) == (PATH, "front-proxy-client")
    assert (headers["x-remote-user"], headers["x-remote-group"]) == (["system:kube-aggregator"], ["system:masters"])


async def test_a_request_is_sent_on_as_its_user_and_says_so_alone(tmp_path: Path) -> None:
    async with standing(tmp_path) as (_, http, behind):
        await stand(http)
        await http("POST", API_SERVICES, api_service())
        await condition(http, "Passed")
        reply = await http("GET", f"{PATH}/namespaces/default/pods/*/queue_depth?labelSelector=app%3Dapi", X_Remote_User="somebody")
    assert (reply.status, reply.body["kind"]) == (200, "MetricValueList")
    target, headers, _ = behind.asked[-1]
    assert target == f"{PATH}/namespaces/default/pods/*/queue_depth?labelSelector=app%3Dapi"
    assert headers["x-remote-user"] == ["kubernetes-admin"]
    assert "system:masters" in headers["x-remote-group"]


async def test_a_component_asks_as_an_account_and_gets_the_status(tmp_path: Path) -> None:
    async with standing(tmp_path) as (server, http, behind):
        client = LocalClient(server.services, "system:kube-controller-manager")
        with pytest.raises(ApiError) as missing:
            await client.get_raw("/apis/custom.metrics.k8s.io")
        await stand(http)
        await http("POST", API_SERVICES, api_service())
        await condition(http, "Passed")
        group = await client.get_raw("/apis/custom.metrics.k8s.io")
        found = await client.get_raw(f"{PATH}/namespaces/default/pods/*/q", {"labelSelector": "a=b"}, account="kube-system/scaler")
        with pytest.raises(ApiError) as refused:
            await client.get_raw(f"{PATH}/namespaces/default/pods/*/nothing")
    assert (missing.value.code, group["name"], found["items"]) == (404, "custom.metrics.k8s.io", [])
    assert (refused.value.code, refused.value.message) == (404, "no such metric")
    _, headers, _ = behind.asked[-2]
    assert headers["x-remote-user"] == ["system:serviceaccount:kube-system:scaler"]


async def test_why_nobody_answers_is_told(tmp_path: Path) -> None:
    async with standing(tmp_path) as (_, http, behind):
        behind.status = 500
        await http("POST", API_SERVICES, api_service())
        absent = await condition(http, "ServiceNotFound")
        refused = await http("GET", f"{PATH}/namespaces/default/pods/*/q")
        groups = (await http("GET", "/apis")).body["groups"]
        await http("POST", SERVICES, {"metadata": {"name": "adapter"}, "spec": {"clusterIP": "10.96.3.4", "ports": [{"port": 80}]}})
        wrong = await condition(http, "ServicePortError")
        await http("DELETE", f"{SERVICES}/adapter")
        await stand(http)
        bad = await condition(http, "FailedDiscoveryCheck")
    assert absent["message"] == 'service/adapter in "default" is not present'
    assert (refused.status, refused.body) == (503, "service unavailable\n")
    assert "custom.metrics.k8s.io" not in [each["name"] for each in groups]
    assert wrong["message"] == 'service/adapter in "default" is not listening on port 443'
    assert bad["message"].endswith(f"{PATH}: 500")


async def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path) -> None:
    async with standing(tmp_path) as (_, http, _behind):
        await stand(http)
        await http("POST", API_SERVICES, api_service(caBundle=base64.b64encode(trustme.CA().cert_pem.bytes()).decode()))
        found = await condition(http, "FailedDiscoveryCheck")
    assert "tls: failed to verify certificate: x509: " in found["message"]


async def test_groups_of_the_server_itself_are_not_given_away(tmp_path: Path) -> None:
    async with standing(tmp_path) as (_, http, _behind):
        own = api_service(group="apps", version="v1")
        await http("POST", API_SERVICES, {**own, "metadata": {"name": "v1.apps"}})
        assert (await http("GET", "/apis/apps/v1/namespaces/default/deployments")).status == 200
