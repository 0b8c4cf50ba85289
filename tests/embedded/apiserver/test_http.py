"""Requests over HTTPS: what is answered to good ones and to bad ones."""

from __future__ import annotations

import pytest

from clusters.embedded.apiserver.server import ApiServer, ServerError
from clusters.embedded.nodes import NodeConnections
from kubeobjects import Object

from .conftest import Http

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_objects_are_created_read_replaced_and_deleted(http: Http) -> None:
    created = await http("POST", MAPS, config_map("a", x="1"))
    assert created.status == 201
    assert (await http("GET", f"{MAPS}/a")).body == created.body
    replaced = await http("PUT", f"{MAPS}/a", {**created.body, "data": {"x": "2"}})
    assert (replaced.status, replaced.body["data"]) == (200, {"x": "2"})
    gone = await http("DELETE", f"{MAPS}/a")
    assert gone.body["status"] == "Success"
    assert gone.body["details"] == {"name": "a", "kind": "configmaps", "uid": created.body["metadata"]["uid"]}
    missing = await http("GET", f"{MAPS}/a")
    assert (missing.status, missing.body["message"]) == (404, 'configmaps "a" not found')


async def test_a_merge_patch_changes_what_it_names(http: Http) -> None:
    await http("POST", MAPS, config_map("a", x="1", y="2"))
    media = "application/merge-patch+json"
    patched = await http("PATCH", f"{MAPS}/a", {"data": {"x": None, "z": "3"}}, Content_Type=media)
    assert patched.body["data"] == {"y": "2", "z": "3"}


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "words"),
    [
        ("POST", MAPS, b"{not json", 400, "parse error"),
        ("POST", MAPS, b"", 400, "parse error"),
        ("POST", MAPS, b"[1, 2]", 400, "cannot unmarshal array"),
        ("POST", MAPS, b'"text"', 400, "cannot unmarshal string"),
        ("POST", MAPS, b"null", 400, "cannot unmarshal"),
        ("POST", MAPS, b'{"kind": 5, "apiVersion": []}', 400, "cannot unmarshal"),
        ("POST", MAPS, b'{"metadata": "text"}', 400, "cannot"),
        ("POST", MAPS, b'{"metadata": {"name": 5}}', 400, "cannot"),
        ("POST", MAPS, b'{"data": {"x": 5}, "metadata": {"name": "a"}}', 400, "cannot unmarshal"),
        ("POST", MAPS, b'{"kind": "Pod", "apiVersion": "v1"}', 400, "cannot be handled as a ConfigMap"),
        ("POST", MAPS, b'{"kind": "ConfigMap", "apiVersion": "v2"}', 400, 'no kind "ConfigMap" is registered for version "v2"'),
        ("POST", MAPS, b'{"metadata": {"name": "a", "namespace": "other"}}', 400, "namespace of the provided object does not match"),
        ("POST", MAPS, b"{}", 422, "name or generateName is required"),
        ("POST", MAPS + "?dryRun=Some", b'{"metadata": {"name": "a"}}', 422, "Unsupported value"),
        ("POST", MAPS + "?fieldValidation=Maybe", b'{"metadata": {"name": "a"}}', 422, "Unsupported value"),
        ("POST", "/api/v1/namespaces/nowhere/configmaps", b'{"metadata": {"name": "a"}}', 404, 'namespaces "nowhere" not found'),
        ("POST", "/api/v1/configmaps", b'{"metadata": {"name": "a"}}', 405, "does not allow this method"),
        ("PUT", MAPS, b"{}", 405, "does not allow this method"),
        ("POST", MAPS + "/a", b"{}", 405, "does not allow this method"),
        ("PUT", MAPS + "/a", b'{"metadata": {"name": "b"}}', 400, "does not match the name on the URL (a)"),
        ("PUT", MAPS + "/a", b'{"metadata": {"name": "a"}}', 404, 'configmaps "a" not found'),
        ("DELETE", MAPS + "/a", b'{"kind": "DeleteOptions", "propagationPolicy": "Never"}', 422, "Unsupported value"),
        ("DELETE", MAPS + "/a", b'{"kind": "DeleteOptions", "gracePeriodSeconds": "x"}', 400, "gracePeriodSeconds"),
        ("DELETE", MAPS + "/a", b"[]", 400, "cannot unmarshal"),
        ("GET", MAPS + "?limit=many", None, 400, "invalid syntax"),
        ("GET", MAPS + "?continue=rubbish", None, 400, "continue key is not valid"),
        ("GET", MAPS + "?labelSelector=a%3D%3D%3Db", None, 400, "unable to parse"),
        ("GET", MAPS + "?fieldSelector=spec.x%3Dy", None, 400, "is not a known field selector"),
        ("GET", MAPS + "?resourceVersion=abc", None, 400, "invalid syntax"),
        ("GET", MAPS + "?resourceVersion=999999", None, 504, "Too large resource version"),
        ("GET", "/api/v1/nonsense", None, 404, "could not find the requested resource"),
        ("GET", "/api/v9/pods", None, 404, "could not find the requested resource"),
        ("GET", "/apis/apps/v9/deployments", None, 404, "could not find the requested resource"),
        ("GET", "/nonsense", None, 404, "could not find the requested resource"),
        ("POST", "/version", b"{}", 405, "does not allow this method"),
        ("GET", MAPS + "/a/status", None, 404, "could not find the requested resource"),
        ("GET", "/openapi/v3/apis/nonsense/v1", None, 404, "could not find the requested resource"),
        ("DELETE", "/api/v1/namespaces/default", None, 403, "this namespace may not be deleted"),
    ],
)
async def test_bad_requests_get_a_status_that_says_why(
    http: Http, method: str, path: str, body: bytes | None, code: int, words: str
) -> None:
    reply = await http(method, path, body)
    assert (reply.status, reply.body["kind"], reply.body["code"]) == (code, "Status", code)
    assert words in reply.body["message"]


async def test_an_unknown_content_type_is_not_guessed(http: Http) -> None:
    reply = await http("POST", MAPS, b"x", Content_Type="text/csv")
    assert (reply.status, reply.body["reason"]) == (415, "UnsupportedMediaType")
    patch = await http("PATCH", f"{MAPS}/a", b"{}", Content_Type="application/json")
    assert patch.status == 415


async def test_yaml_is_read_and_bad_yaml_is_refused(http: Http) -> None:
    good = await http("POST", MAPS, b"metadata:\n  name: told\ndata:\n  a: b\n", Content_Type="application/yaml")
    assert (good.status, good.body["data"]) == (201, {"a": "b"})
    bad = await http("POST", MAPS, b"metadata: [a\n  : }", Content_Type="application/yaml")
    assert (bad.status, bad.body["reason"]) == (400, "BadRequest")


async def test_duplicate_fields_are_refused_warned_about_or_ignored(http: Http) -> None:
    body = b'{"metadata": {"name": "d"}, "data": {"a": "1", "a": "2"}}'
    strict = await http("POST", MAPS + "?fieldValidation=Strict", body)
    assert strict.status == 400
    assert 'strict decoding error: duplicate field "data.a"' in strict.body["message"]
    warned = await http("POST", MAPS + "?dryRun=All", body)
    assert warned.headers.getall("Warning") == ['299 - "duplicate field \\"data.a\\""']
    ignored = await http("POST", MAPS + "?dryRun=All&fieldValidation=Ignore", body)
    assert "Warning" not in ignored.headers


async def test_a_body_that_is_too_long_is_refused(http: Http) -> None:
    reply = await http("POST", MAPS, config_map("long", x="y" * (3 * 1024 * 1024)))
    assert (reply.status, reply.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_dry_run_answers_as_if_and_stores_nothing(http: Http) -> None:
    reply = await http("POST", MAPS + "?dryRun=All", config_map("a"))
    assert reply.status == 201
    assert reply.body["metadata"]["uid"]
    assert (await http("GET", f"{MAPS}/a")).status == 404


async def test_endpoints_are_answered_with_a_warning(http: Http) -> None:
    reply = await http("GET", "/api/v1/namespaces/default/endpoints")
    assert reply.headers["Warning"] == '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'


async def test_long_lists_come_in_pages(http: Http) -> None:
    for number in range(7):
        await http("POST", MAPS, config_map(f"m{number}"))
    first = await http("GET", f"{MAPS}?limit=3")
    assert [each["metadata"]["name"] for each in first.body["items"]] == ["m0", "m1", "m2"]
    assert first.body["metadata"]["remainingItemCount"] == 4
    token, names = first.body["metadata"]["continue"], []
    while token:
        page = await http("GET", f"{MAPS}?limit=3&continue={token}")
        assert page.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]
        names += [each["metadata"]["name"] for each in page.body["items"]]
        token = page.body["metadata"].get("continue")
    assert names == ["m3", "m4", "m5", "m6"]


async def test_large_replies_are_compressed_for_those_who_accept_it(http: Http) -> None:
    for number in range(3):
        await http("POST", MAPS, config_map(f"m{number}", x="y" * 100_000))
    assert (await http("GET", MAPS)).headers.get("Content-Encoding") == "gzip"
    assert "Content-Encoding" not in (await http("GET", MAPS, Accept_Encoding="identity")).headers


async def test_a_collection_is_deleted_by_selector(http: Http) -> None:
    for name, label in (("a", "x"), ("b", "y"), ("c", "x")):
        body = config_map(name)
        body["metadata"]["labels"] = {"app": label}
        await http("POST", MAPS, body)
    gone = await http("DELETE", MAPS + "?labelSelector=app%3Dx")
    assert [each["metadata"]["name"] for each in gone.body["items"]] == ["a", "c"]
    assert [each["metadata"]["name"] for each in (await http("GET", MAPS)).body["items"]] == ["b"]


async def test_discovery_has_a_tag_and_is_not_sent_twice(http: Http) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    first = await http("GET", "/apis", Accept=accept)
    assert first.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert first.body["kind"] == "APIGroupDiscoveryList"
    again = await http("GET", "/apis", Accept=accept, If_None_Match=first.headers["ETag"])
    assert again.status == 304
    assert (await http("GET", "/apis")).body["kind"] == "APIGroupList"


async def test_pods_are_evicted_through_the_policy_group(http: Http) -> None:
    rows = {each["name"]: each for each in (await http("GET", "/api/v1")).body["resources"]}
    eviction = rows["pods/eviction"]
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")
    assert rows["replicationcontrollers/scale"]["kind"] == "Scale"


async def test_health_is_told_in_short_and_at_length(http: Http) -> None:
    assert (await http("GET", "/readyz")).body == "ok"
    assert "readyz check passed" in (await http("GET", "/readyz?verbose")).body
    assert (await http("GET", "/healthz/etcd")).body == "ok"
    assert (await http("GET", "/version")).body["minor"] == "36"


async def test_a_port_that_is_taken_is_told(server: ApiServer) -> None:
    second = ApiServer(server.store, server.folder, NodeConnections())
    with pytest.raises(ServerError, match=f"port {server.port} on 127.0.0.1 cannot be used"):
        await second.start(server.port)


async def test_metadata_only_is_sent_to_who_asks_for_it(http: Http) -> None:
    await http("POST", MAPS, config_map("a", x="1"))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    reply = await http("GET", MAPS, Accept=accept)
    assert reply.body["kind"] == "PartialObjectMetadataList"
    assert "data" not in reply.body["items"][0]
