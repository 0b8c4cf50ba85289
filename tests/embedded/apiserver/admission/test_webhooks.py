"""Admission webhooks: which requests they are asked about, what they are asked, and what follows from each answer."""

from __future__ import annotations

import asyncio
import base64
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from aiohttp import web

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.admission.webhooks import validating
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_name
from tests.embedded.apiserver.conftest import Http, Loopback, Reply, administrator, serving
from tests.embedded.apiserver.semantics import Object

from .webhook_server import CA, WebhookServer, deny, listening, patch

GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING, MUTATING = f"{GROUP}/validatingwebhookconfigurations", f"{GROUP}/mutatingwebhookconfigurations"
MAPS = "/api/v1/namespaces/default/configmaps"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
CONFIG_MAP = {"metadata": {"name": "settings"}, "data": {"replicas": "5"}}


@pytest.fixture
async def hook() -> AsyncIterator[WebhookServer]:
    async with listening() as found:
        yield found


def webhook(config: Object, name: str = "check.example.com", **fields: Any) -> Object:
    spec = {"name": name, "clientConfig": config, "rules": [RULE], "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return {**spec, "timeoutSeconds": 5, **fields}


async def configure(http: Http, path: str, *webhooks: Object, name: str = "hooks") -> None:
    created = await http("POST", path, {"metadata": {"name": name}, "webhooks": list(webhooks)})
    assert created.status == 201, created.body


async def create(http: Http, body: Object = CONFIG_MAP, query: str = "") -> Reply:
    return await http("POST", MAPS + query, body)


async def test_a_webhook_is_asked_as_a_real_server_asks(http: Http, hook: WebhookServer) -> None:
    await configure(http, VALIDATING, webhook(hook.url()))
    assert (await create(http, query="?fieldManager=me")).status == 201
    [review] = hook.asked
    request = review["request"]
    assert (review["apiVersion"], review["kind"], hook.paths) == ("admission.k8s.io/v1", "AdmissionReview", ["/check?timeout=5s"])
    kind, resource = {"group": "", "version": "v1", "kind": "ConfigMap"}, {"group": "", "version": "v1", "resource": "configmaps"}
    assert (request["kind"], request["requestKind"]) == (kind, kind)
    assert (request["resource"], request["requestResource"]) == (resource, resource)
    assert (request["name"], request["namespace"], request["operation"]) == ("settings", "default", "CREATE")
    assert "system:masters" in request["userInfo"]["groups"]
    assert (request["object"]["data"], request["oldObject"], request["dryRun"]) == ({"replicas": "5"}, None, False)
    assert request["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"}


async def test_updates_and_deletes_carry_what_was_there(http: Http, hook: WebhookServer) -> None:
    await create(http)
    await configure(http, VALIDATING, webhook(hook.url()))
    await http("PATCH", f"{MAPS}/settings", {"data": {"replicas": "6"}}, Content_Type="application/merge-patch+json")
    await http("DELETE", f"{MAPS}/settings", {"gracePeriodSeconds": 0})
    update, delete = (each["request"] for each in hook.asked)
    assert (update["operation"], update["oldObject"]["data"], update["object"]["data"]) == ("UPDATE", {"replicas": "5"}, {"replicas": "6"})
    assert update["options"]["kind"] == "UpdateOptions"
    assert (delete["operation"], delete["object"], delete["oldObject"]["data"]) == ("DELETE", None, {"replicas": "6"})
    assert delete["options"] == {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 0}


@pytest.mark.parametrize(
    ("status", "code", "reason", "says"),
    [
        ({"message": "too many replicas", "code": 403}, 403, None, ": too many replicas"),
        ({"reason": "Forbidden", "code": 403}, 403, "Forbidden", ": Forbidden"),
        ({"message": "no", "code": 200}, 400, None, ": no"),
        ({}, 400, None, " without explanation"),
    ],
)
async def test_a_denial_keeps_the_webhooks_code_and_words(
    http: Http, hook: WebhookServer, status: Object, code: int, reason: str | None, says: str
) -> None:
    await configure(http, VALIDATING, webhook(hook.url()))
    hook.answer = deny(**status)
    refused = await create(http)
    assert (refused.status, refused.body.get("reason")) == (code, reason)
    assert refused.body["message"] == f'admission webhook "check.example.com" denied the request{says}'
    assert (await http("GET", f"{MAPS}/settings")).status == 404


async def test_warnings_reach_the_client_and_annotations_the_audit_log(http: Http, server: ApiServer, hook: WebhookServer) -> None:
    await configure(http, VALIDATING, webhook(hook.url()))
    hook.answer = lambda request: {"allowed": True, "warnings": ["too big"], "auditAnnotations": {"size": "5"}}
    reply = await create(http)
    assert reply.headers["Warning"] == '299 - "too big"'
    assert '"check.example.com/size":"5"' in (server.folder / "audit.log").read_text()


async def test_a_patch_changes_the_object_and_is_noted(http: Http, server: ApiServer, hook: WebhookServer) -> None:
    await configure(http, MUTATING, webhook(hook.url()))
    hook.answer = patch({"op": "add", "path": "/metadata/labels", "value": {"team": "serving"}}, {"op": "remove", "path": "/data/replicas"})
    created = await create(http)
    assert (created.status, created.body["metadata"]["labels"], created.body.get("data")) == (201, {"team": "serving"}, None)
    # What the server fills in afterwards is not shown.
    assert {"uid", "creationTimestamp"}.isdisjoint(hook.asked[0]["request"]["object"]["metadata"])
    assert created.body["metadata"]["uid"]
    audited = (server.folder / "audit.log").read_text()
    assert "mutation.webhook.admission.k8s.io/round_0_index_0" in audited
    assert r"\"mutated\":true" in audited


async def test_the_audit_log_keeps_no_patch_of_a_secret(http: Http, server: ApiServer, hook: WebhookServer) -> None:
    await configure(http, MUTATING, webhook(hook.url(), rules=[{**RULE, "resources": ["secrets"]}]))
    hook.answer = patch({"op": "add", "path": "/data", "value": {"token": "aHVzaA=="}})
    assert (await http("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "one"}})).body["data"] == {"token": "aHVzaA=="}
    audited = (server.folder / "audit.log").read_text()
    assert "mutation.webhook.admission.k8s.io/round_0_index_0" in audited
    assert "aHVzaA==" not in audited


async def test_a_generated_name_is_not_there_yet(http: Http, hook: WebhookServer) -> None:
    await configure(http, MUTATING, webhook(hook.url()))
    created = await create(http, {"metadata": {"generateName": "run-"}})
    assert created.body["metadata"]["name"].startswith("run-")
    assert "name" not in hook.asked[0]["request"]
    assert "name" not in hook.asked[0]["request"]["object"]["metadata"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (patch({"op": "replace", "path": "/data/nope", "value": "1"}), "Internal error occurred: the server rejected our request"),
        (patch({"op": "add", "path": "/data", "value": ["a"]}), "json: cannot unmarshal array into Go struct field"),
        (lambda request: {"allowed": True, "patch": "bm8="}, "webhook returned response.patch but not response.patchType"),
        (lambda request: {"allowed": True, "patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        (lambda request: {"allowed": True, "uid": "1"}, ', got "1"'),
        (lambda request: web.json_response({}), "received invalid webhook response: webhook response was absent"),
        (lambda request: web.json_response({"response": {"uid": request["uid"]}}), "Kind=AdmissionReview, got /, Kind="),
        (
            lambda request: web.Response(text="nope"),
            "failed to call webhook: couldn't get version/kind; json parse error: invalid character",
        ),
        (
            lambda request: web.Response(status=404, text="not here"),
            "failed to call webhook: the server could not find the requested resource",
        ),
        (
            lambda request: web.Response(status=500, text="boom"),
            'failed to call webhook: an error on the server ("boom") has prevented the request from succeeding',
        ),
    ],
)
async def test_an_answer_that_is_none_fails_the_request(http: Http, hook: WebhookServer, answer: Any, says: str) -> None:
    await configure(http, MUTATING, webhook(hook.url()))
    hook.answer = answer
    refused = await create(http)
    assert (refused.status, refused.body["reason"]) == (500, "InternalError")
    assert says in refused.body["message"]


async def test_what_a_validating_webhook_may_not_do(http: Http, hook: WebhookServer) -> None:
    await configure(http, VALIDATING, webhook(hook.url()))
    hook.answer = patch({"op": "remove", "path": "/data"})
    says = 'failed calling webhook "check.example.com": received invalid webhook response: validating webhook may not return response.patch'
    assert (await create(http)).body["message"] == f"Internal error occurred: {says}"


async def test_webhooks_see_what_those_before_them_made_in_the_order_of_names(http: Http, hook: WebhookServer) -> None:
    def count(request: Object) -> Object:
        done = request["object"]["data"].get("done", "")
        return patch({"op": "add", "path": "/data/done", "value": done + request["object"]["data"].get("next", "a")})(request)

    hook.answer = count
    await configure(http, MUTATING, webhook(hook.url("/second"), "second.example.com"), name="b")
    await configure(http, MUTATING, webhook(hook.url("/first"), "first.example.com"), name="a")
    assert (await create(http)).body["data"]["done"] == "aa"
    assert [each.partition("?")[0] for each in hook.paths] == ["/first", "/second"]


@pytest.mark.parametrize(("policy", "asked"), [("Never", ["/first", "/second"]), ("IfNeeded", ["/first", "/second", "/first"])])
async def test_a_webhook_is_asked_again_where_it_wants_to_be(http: Http, hook: WebhookServer, policy: str, asked: list[str]) -> None:
    async with listening() as other:
        other.answer = patch({"op": "add", "path": "/data/late", "value": "1"})
        first = webhook(hook.url("/first"), "first.example.com", reinvocationPolicy=policy)
        await configure(http, MUTATING, first, webhook(other.url("/second"), "second.example.com"))
        await create(http)
        assert len(hook.asked) + len(other.asked) == len(asked)
        assert ("late" in hook.asked[-1]["request"]["object"]["data"]) is (policy == "IfNeeded")


@pytest.mark.parametrize(
    "fields",
    [
        {"rules": [{**RULE, "resources": ["secrets"]}]},
        {"rules": [{**RULE, "operations": ["DELETE"]}]},
        {"rules": [{**RULE, "scope": "Cluster"}]},
        {"rules": []},
        {"namespaceSelector": {"matchLabels": {"team": "serving"}}},
        {"objectSelector": {"matchLabels": {"team": "serving"}}},
        {"matchConditions": [{"name": "few", "expression": "object.data.replicas == '1'"}]},
    ],
)
async def test_a_webhook_without_a_say_is_not_asked(http: Http, hook: WebhookServer, fields: Object) -> None:
    hook.answer = deny()
    await configure(http, VALIDATING, webhook(hook.url(), **fields))
    assert (await create(http)).status == 201
    assert hook.asked == []


@pytest.mark.parametrize(("policy", "code"), [("Fail", 403), ("Ignore", 201)])
async def test_a_match_condition_that_cannot_be_told_follows_the_failure_policy(
    http: Http, hook: WebhookServer, policy: str, code: int
) -> None:
    condition = {"name": "broken", "expression": "object.nope == 1"}
    await configure(http, VALIDATING, webhook(hook.url(), matchConditions=[condition], failurePolicy=policy))
    assert ((await create(http)).status, hook.asked) == (code, [])


async def test_configurations_are_beyond_webhooks(http: Http, hook: WebhookServer) -> None:
    hook.answer = deny()
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    await configure(http, VALIDATING, webhook(hook.url(), rules=[everything]))
    assert (await create(http)).status == 400
    assert (await http("DELETE", f"{VALIDATING}/hooks")).status == 200
    assert (await create(http)).status == 201


@pytest.mark.parametrize(("effects", "code"), [("None", 201), ("NoneOnDryRun", 201), ("Some", 400)])
async def test_a_dry_run_asks_only_who_does_nothing_else(http: Http, hook: WebhookServer, effects: str, code: int) -> None:
    await configure(http, VALIDATING, webhook(hook.url()))
    # v1 takes no other values, but objects of earlier versions may have them.
    configuration = (await http("GET", f"{VALIDATING}/hooks")).body
    configuration["webhooks"][0]["sideEffects"] = effects
    request = AdmissionRequest("CREATE", by_name()["configmaps"], NoObjects(), namespace="default", object=dict(CONFIG_MAP), dry_run=True)
    if code == 201:
        await validating.validate([configuration], request)
        assert hook.asked[0]["request"]["dryRun"] is True
        return
    with pytest.raises(ApiError) as refused:
        await validating.validate([configuration], request)
    assert (refused.value.code, refused.value.message) == (400, 'admission webhook "check.example.com" does not support dry run')


class NoObjects:
    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return None

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return []


# What cannot be called


async def failure(http: Http, config: Object, **fields: Any) -> str:
    """What a request fails with, after the URL."""
    await configure(http, VALIDATING, webhook(config, **fields))
    refused = await create(http)
    assert (refused.status, refused.body["reason"]) == (500, "InternalError")
    says = refused.body["message"]
    assert refused.body["details"]["causes"] == [{"message": says.removeprefix("Internal error occurred: ")}]
    start = 'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post "https://'
    assert says.startswith(start)
    return str(says[len(start) :].partition('": ')[2])


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_nobody_listens(http: Http) -> None:
    port = closed_port()
    says = await failure(http, {"url": f"https://127.0.0.1:{port}/", "caBundle": base64.b64encode(CA.cert_pem.bytes()).decode()})
    assert says == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


async def test_an_answer_takes_too_long(http: Http, hook: WebhookServer) -> None:
    hook.pause = 30
    assert await failure(http, hook.url(), timeoutSeconds=1) == "context deadline exceeded"


async def test_the_server_answers_others_meanwhile(http: Http, hook: WebhookServer) -> None:
    hook.pause = 0.5
    await configure(http, VALIDATING, webhook(hook.url()))
    waiting = asyncio.create_task(create(http))
    await hook.called.wait()
    assert (await http("GET", MAPS)).status == 200
    assert not waiting.done()
    assert (await waiting).status == 201


async def test_services_that_wait_for_a_webhook_get_addresses_of_their_own(http: Http, hook: WebhookServer) -> None:
    hook.pause = 0.3
    rule = {**RULE, "resources": ["services"], "operations": ["CREATE"]}
    await configure(http, VALIDATING, webhook(hook.url(), rules=[rule]))
    path, spec = "/api/v1/namespaces/default/services", {"type": "NodePort", "ports": [{"port": 80}]}
    # Allocation is by chance; a node port that is asked for is what both want for sure.
    wanted = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
    made = await asyncio.gather(*(http("POST", path, {"metadata": {"name": name}, "spec": spec}) for name in "abc"))
    assert len({each.body["spec"]["clusterIP"] for each in made}) == 3
    first, second = await asyncio.gather(*(http("POST", path, {"metadata": {"name": name}, "spec": wanted}) for name in "de"))
    assert sorted((first.status, second.status)) == [201, 422]
    refused = first if first.status == 422 else second
    assert "provided port is already allocated" in refused.body["message"]


async def test_the_certificate_is_of_a_stranger(http: Http, hook: WebhookServer) -> None:
    config = {**hook.url(), "caBundle": base64.b64encode(trustme.CA().cert_pem.bytes()).decode()}
    assert await failure(http, config) == "tls: failed to verify certificate: x509: certificate signed by unknown authority"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("10.0.0.1",), "certificate is valid for 10.0.0.1, not 127.0.0.1"),
        (("other.example.com",), "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"),
    ],
)
async def test_the_certificate_is_for_another_name(http: Http, names: tuple[str, ...], says: str) -> None:
    async with listening(*names) as other:
        assert await failure(http, other.url()) == f"tls: failed to verify certificate: x509: {says}"


async def test_the_certificate_has_expired(http: Http) -> None:
    last = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    async with listening(certificate=CA.issue_cert("127.0.0.1", not_before=last - datetime.timedelta(1), not_after=last)) as old:
        says = await failure(http, old.url())
    assert says.startswith("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time ")
    assert says.endswith("Z is after 2024-01-02T03:04:05Z")


async def test_the_server_speaks_plain_http(http: Http) -> None:
    async with listening(plain=True) as plain:
        assert await failure(http, plain.url()) == "http: server gave HTTP response to HTTPS client"


@pytest.mark.parametrize("greets", [False, True])
async def test_the_server_hangs_up(http: Http, greets: bool) -> None:
    """Before TLS begins, or instead of an answer."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greets:
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context if greets else None) as listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
        assert await failure(http, {"url": url, "caBundle": base64.b64encode(CA.cert_pem.bytes()).decode()}) == "EOF"


async def test_a_bundle_without_certificates(http: Http, hook: WebhookServer) -> None:
    await configure(http, VALIDATING, webhook({**hook.url(), "caBundle": base64.b64encode(b"none").decode()}))
    says = "could not get REST client: unable to load root certificates: unable to parse bytes as PEM block"
    assert (await create(http)).body["message"].endswith(says)


@pytest.mark.parametrize("path", [VALIDATING, MUTATING])
async def test_a_failure_may_be_ignored_and_is_noted(http: Http, server: ApiServer, path: str) -> None:
    config = {"url": f"https://127.0.0.1:{closed_port()}/"}
    await configure(http, path, webhook(config, failurePolicy="Ignore"))
    assert (await create(http)).status == 201
    assert "failed-open." in (server.folder / "audit.log").read_text()


# Services


async def test_a_service_that_is_not_there(http: Http) -> None:
    assert await failure(http, {"service": {"name": "hooks", "namespace": "default"}}) == 'service "hooks" not found'


async def test_a_service_without_endpoints(tmp_path: Any) -> None:
    """It is called at its own address, which kube-proxy refuses."""
    config = {"service": {"name": "hooks", "namespace": "default"}}
    spec = {"clusterIP": "10.96.3.4", "ports": [{"port": 443}]}
    network = Loopback()
    network.real = closed_port()
    async with serving(tmp_path, network) as server, administrator(server) as http:
        await http("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "hooks"}, "spec": spec})
        says = await failure(http, config)
    assert says == "dial tcp 10.96.3.4:443: connect: connection refused"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"clusterIP": "None", "ports": [{"port": 443}]}, 'cannot route to service with ClusterIP "None"'),
        ({"ports": [{"port": 80}]}, 'no service port 443 found for service "hooks"'),
    ],
)
async def test_a_service_that_cannot_be_called(http: Http, spec: dict[str, Any], says: str) -> None:
    await http("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "hooks"}, "spec": spec})
    assert await failure(http, {"service": {"name": "hooks", "namespace": "default"}}) == says


async def test_a_service_is_called_at_its_address_by_the_name_in_the_certificate(tmp_path: Any) -> None:
    pods = Loopback()
    async with serving(tmp_path, pods) as server, listening("hooks.default.svc") as hook, administrator(server) as http:
        pods.real = hook.port
        spec = {"clusterIP": "10.96.3.4", "ports": [{"name": "https", "port": 8443, "targetPort": 9443}]}
        await http("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "hooks"}, "spec": spec})
        service = {"name": "hooks", "namespace": "default", "port": 8443, "path": "/v1/check"}
        await configure(http, VALIDATING, webhook({"service": service, "caBundle": hook.bundle}))
        assert (await create(http)).status == 201
        assert (hook.paths, pods.dialed) == (["/v1/check?timeout=5s"], [("10.96.3.4", 8443)])


# Streams


STREAMS = {"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/*", "services/proxy"]}


async def test_a_stream_is_asked_about_with_its_options(http: Http, hook: WebhookServer) -> None:
    hook.answer = lambda request: {"allowed": False, "status": {"message": "no shells here"}}
    await configure(http, VALIDATING, webhook(hook.url(), rules=[STREAMS]))
    reply = await http("POST", "/api/v1/namespaces/default/pods/web/exec?command=sh&command=-c&container=main&stdin=true&tty=false")
    refusal = 'admission webhook "check.example.com" denied the request: no shells here'
    assert (reply.status, reply.body["message"]) == (400, refusal)
    request = hook.asked[0]["request"]
    assert (request["operation"], request["name"], request["subResource"]) == ("CONNECT", "web", "exec")
    assert request["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    stream = {"stdin": True, "container": "main", "command": ["sh", "-c"]}
    assert request["object"] == {"kind": "PodExecOptions", "apiVersion": "v1", **stream}
    assert (request["oldObject"], request["options"]) == (None, None)


@pytest.mark.parametrize(
    ("path", "kind", "options"),
    [
        ("pods/web/portforward?ports=80,443", "PodPortForwardOptions", {"ports": [80, 443]}),
        ("pods/web/attach?stdout=true", "PodAttachOptions", {"stdout": True}),
        ("pods/web:80/proxy/a/b", "PodProxyOptions", {"path": "/a/b"}),
        ("services/web/proxy/", "ServiceProxyOptions", {"path": "/"}),
    ],
)
async def test_every_stream_has_options_of_its_own_kind(http: Http, hook: WebhookServer, path: str, kind: str, options: Object) -> None:
    hook.answer = lambda request: {"allowed": False}
    await configure(http, VALIDATING, webhook(hook.url(), rules=[STREAMS]))
    assert (await http("POST", f"/api/v1/namespaces/default/{path}")).status == 400
    assert hook.asked[0]["request"]["object"] == {"kind": kind, "apiVersion": "v1", **options}


async def test_a_policy_may_keep_shells_out(http: Http) -> None:
    rule = {"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"]}
    validation = {"expression": "!('sh' in object.command)", "message": "no shells here"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    group = "/apis/admissionregistration.k8s.io/v1"
    await http("POST", f"{group}/validatingadmissionpolicies", {"metadata": {"name": "shells"}, "spec": spec})
    bound = {"policyName": "shells", "validationActions": ["Deny"]}
    await http("POST", f"{group}/validatingadmissionpolicybindings", {"metadata": {"name": "shells"}, "spec": bound})
    refused = await http("POST", "/api/v1/namespaces/default/pods/web/exec?command=sh")
    allowed = await http("POST", "/api/v1/namespaces/default/pods/web/exec?command=ls")
    assert (refused.status, "no shells here" in refused.body["message"]) == (422, True)
    assert (allowed.status, allowed.body["message"]) == (404, 'pods "web" not found')
