"""One small request must not stop the server: whatever a body or a query unfolds into, the answer comes, and others get theirs meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import yarl

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer

from .conftest import Http, trusting

MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
REVIEW, TOKENS = "/apis/authentication.k8s.io/v1/selfsubjectreviews", "/apis/authentication.k8s.io/v1/tokenreviews"
YAML, JSON, APPLY = "application/yaml", "application/json", "application/apply-patch+yaml"
MERGE, STRATEGIC, PATCH = "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ALIASING = "error converting YAML to JSON: yaml: document contains excessive aliasing"
DEPTH = "couldn't get version/kind; json parse error: exceeded max depth"
REJECTED = "the server rejected our request due to an error in our request"
# Generous: the bodies below stand for gigabytes and hours.
SECONDS, MEBIBYTES = 60, 400


def bomb(levels: int = 9) -> bytes:
    lines = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: bomb}", "a: &a [" + ",".join('"x"' for _ in range(9)) + "]"]
    names = "abcdefghij"
    for number in range(levels):
        lines.append(f"{names[number + 1]}: &{names[number + 1]} [" + ",".join(f"*{names[number]}" for _ in range(9)) + "]")
    return "\n".join(lines).encode()


def merges() -> bytes:
    keys = ",".join(f"k{number}: 1" for number in range(2000))
    return f"a: &a {{{keys}}}\nb:\n".encode() + b"  - {<<: *a}\n" * 2000


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def pod(**container: Any) -> bytes:
    return json.dumps({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a", **container}]}}).encode()


def quantity(text: str) -> bytes:
    return pod(resources={"limits": {"memory": text}})


def cron(schedule: str) -> bytes:
    container = {"name": "c", "image": "a"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return json.dumps({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}}}).encode()


def copies() -> bytes:
    first = {"op": "add", "path": "/data", "value": {"a": "x" * 1000}}
    return json.dumps([first, *({"op": "copy", "from": "/data", "path": f"/data/k{number}"} for number in range(40))]).encode()


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    done = b""
    while value > 127:
        done += bytes([value & 127 | 128])
        value >>= 7
    return done + bytes([value])


def protobuf(kind: str, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, b"v1") + field(2, kind.encode())) + field(2, message)


PACKED = "couldn't get version/kind; json parse error: invalid character '\\x1f' looking for beginning of value"
NINES = "9" * 30_000
CRON = "/apis/batch/v1/namespaces/default/cronjobs?dryRun=All"
BODIES = [
    pytest.param("POST", MAPS, bomb(), YAML, 400, ALIASING, id="aliases"),
    pytest.param("POST", MAPS + "?dryRun=All", bomb(), YAML, 400, ALIASING, id="aliases-dry-run"),
    pytest.param("POST", REVIEW, bomb(), YAML, 400, ALIASING, id="aliases-selfsubjectreviews"),
    pytest.param("POST", TOKENS, bomb(), YAML, 400, ALIASING, id="aliases-tokenreviews"),
    pytest.param("PUT", MAPS + "/kept", bomb(), YAML, 400, ALIASING, id="aliases-update"),
    pytest.param("DELETE", MAPS + "/kept", bomb(), YAML, 400, ALIASING, id="aliases-delete"),
    pytest.param("PATCH", MAPS + "/kept?fieldManager=m", bomb(), APPLY, 400, ALIASING, id="aliases-apply"),
    pytest.param("POST", MAPS, merges(), YAML, 400, ALIASING, id="merge-keys"),
    pytest.param(
        "POST", MAPS, b"a: &a [*a]", YAML, 400, "error converting YAML to JSON: yaml: anchor 'a' value contains itself", id="self"
    ),
    pytest.param(
        "POST",
        MAPS,
        b'a: &a "' + b"x" * 100_000 + b'"\nb: [' + b"*a," * 900 + b"]",
        YAML,
        413,
        "Request entity too large: limit is 3145728",
        id="one-long-text-many-aliases",
    ),
    pytest.param("POST", MAPS, b"a: " + b"1:" * 10_000 + b"1", YAML, 422, "name or generateName is required", id="base-60"),
    pytest.param("POST", MAPS, gzip.compress(b" " * 100_000_000), "gzip", 400, PACKED, id="gzip-bomb"),
    pytest.param("POST", MAPS, b"\x1f\x8bgarbage", "gzip", 400, PACKED, id="gzip-garbage"),
    pytest.param("POST", MAPS, zlib.compress(b"{}"), "deflate", 400, "invalid character 'x'", id="deflate"),
    pytest.param("POST", MAPS, nested(20_000), JSON, 400, DEPTH, id="deep"),
    pytest.param("POST", MAPS, nested(900), JSON, 400, DEPTH, id="less-deep"),
    pytest.param("PATCH", MAPS + "/kept", nested(900), MERGE, 400, DEPTH, id="deep-merge-patch"),
    pytest.param("PATCH", MAPS + "/kept", nested(900), STRATEGIC, 400, DEPTH, id="deep-strategic-patch"),
    pytest.param(
        "POST", PODS, b'{"spec":{"terminationGracePeriodSeconds":' + NINES.encode() + b"}}", JSON, 400, "parse error", id="digits"
    ),
    pytest.param("POST", PODS, quantity("1e999999999"), JSON, 400, "unable to parse quantity's suffix", id="exponent"),
    pytest.param("POST", PODS, quantity("1e-999999999"), JSON, 400, "unable to parse quantity's suffix", id="small-exponent"),
    pytest.param("POST", PODS, quantity(NINES), JSON, 400, "unable to parse numeric part of quantity", id="quantity-of-many-digits"),
    pytest.param("POST", PODS, quantity(NINES + "!"), JSON, 400, "quantities must match the regular expression", id="no-quantity"),
    pytest.param("POST", CRON, cron("@every " + NINES), JSON, 422, "invalid duration", id="cron-duration"),
    pytest.param("POST", CRON, cron(NINES + " * * * *"), JSON, 422, "value out of range", id="cron-number"),
    pytest.param("PATCH", MAPS + "/kept", copies(), PATCH, 422, REJECTED, id="copies-of-copies"),
    pytest.param("POST", MAPS, protobuf("ConfigMap", b"\xff" * 60_000), PROTOBUF, 400, "protobuf", id="protobuf-garbage"),
    pytest.param(
        "POST", MAPS, protobuf("ConfigMap", field(1, field(8, b"\x08" + varint(2**62)))), PROTOBUF, 400, "protobuf", id="protobuf-time"
    ),
]
QUERIES = [
    pytest.param(f"{PODS}?labelSelector={quote(' ' * 15_000 + '!')}", 400, "expected: identifier", id="spaces-before"),
    pytest.param(f"{PODS}?labelSelector={quote('a =' + ' ' * 15_000 + '(')}", 400, "expected: identifier", id="spaces-after"),
    pytest.param(f"{PODS}?limit={NINES}", 400, "value out of range", id="limit"),
    pytest.param(f"{PODS}?watch=1&timeoutSeconds={NINES}", 400, "value out of range", id="timeout"),
    pytest.param(f"{PODS}?resourceVersion={NINES}", 504, "Too large resource version", id="version"),
    pytest.param(f"{PODS}/kept/log?tailLines={NINES}", 400, "value out of range", id="tail"),
    pytest.param(f"{PODS}/kept/log?sinceSeconds={2**63 - 1}", 200, "", id="since"),
    pytest.param(f"{PODS}/kept:{NINES}/proxy/", 400, "", id="port"),
]


@pytest.fixture
async def kept(client: LocalClient) -> None:
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    await client.create("configmaps", {"metadata": {"name": "kept", "namespace": "default"}, "data": {"a": "b"}})
    spec = {"containers": [{"name": "c", "image": "a"}]}
    await client.create("pods", {"metadata": {"name": "kept", "namespace": "default"}, "spec": spec})


async def answered(http: Http, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str]:
    """The answer to a request, while another is answered and memory stays within bounds."""
    memory = psutil.Process().memory_info()
    url = yarl.URL(http.url + path, encoded=True)
    async with asyncio.timeout(SECONDS):
        asked = http.session.request(method, url, data=body, headers=headers)
        other = asyncio.create_task(http("GET", "/readyz"))
        async with asked as response:
            text = await response.text()
        assert (await other).body == "ok"
    assert psutil.Process().memory_info().rss - memory.rss < MEBIBYTES * 1024**2
    message = json.loads(text).get("message", "") if response.content_type == JSON else text
    return response.status, message


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("method", "path", "body", "media", "code", "words"), BODIES)
async def test_a_body_that_unfolds_is_refused(http: Http, method: str, path: str, body: bytes, media: str, code: int, words: str) -> None:
    packed = {"Content-Encoding": media, "Content-Type": JSON} if media in ("gzip", "deflate") else {"Content-Type": media}
    status, message = await answered(http, method, path, body, packed)
    assert (status, words in message) == (code, True), message


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("path", "code", "words"), QUERIES)
async def test_a_query_that_takes_long_to_read_is_answered(http: Http, path: str, code: int, words: str) -> None:
    status, message = await answered(http, "GET", path, None, {})
    assert (status, words in message) == (code, True), message


@pytest.fixture
async def maker(server: ApiServer, http: Http, client: LocalClient) -> AsyncIterator[Http]:
    """An account that may create ClusterRoles, and holds nothing to put into them."""
    await client.create("serviceaccounts", {"metadata": {"name": "maker", "namespace": "default"}})
    token = await client.create("serviceaccounts", {"spec": {}}, "default", subresource="token", name="maker")
    group = "rbac.authorization.k8s.io"
    rules = [{"verbs": ["create"], "apiGroups": [group], "resources": ["clusterroles"]}]
    subject = {"kind": "ServiceAccount", "name": "maker", "namespace": "default"}
    await http("POST", f"/apis/{group}/v1/clusterroles", {"metadata": {"name": "m"}, "rules": rules})
    binding = {"metadata": {"name": "m"}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "m"}, "subjects": [subject]}
    await http("POST", f"/apis/{group}/v1/clusterrolebindings", binding)
    found = Http(server.url, trusting(server), {"Authorization": f"Bearer {token['status']['token']}"})
    yield found
    await found.session.close()


async def test_a_role_of_millions_of_permissions_is_refused(maker: Http) -> None:
    many = [f"v{number}" for number in range(300)]
    body = {"metadata": {"name": "r"}, "rules": [{"verbs": many, "apiGroups": many, "resources": many}]}
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    status, message = await answered(maker, "POST", path, json.dumps(body).encode(), {"Content-Type": JSON})
    assert status == 403
    assert "is attempting to grant RBAC permissions not currently held" in message


async def test_aliases_within_reason_are_followed(http: Http) -> None:
    body = b"""
metadata: {name: aliased}
data: &data
  <<: {a: one, b: two}
  b: three
  on: "yes"
  time: 2001-01-01
binaryData: {}
"""
    reply = await http("POST", MAPS, body, Content_Type=YAML)
    assert reply.body["data"] == {"a": "one", "b": "three", "true": "yes", "time": "2001-01-01"}
