"""From method and path to what a request asks for."""

from __future__ import annotations

import pytest

from clusters.embedded.apiserver.request import parse


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "", "pods", "", None, "")),
        ("GET", "/api/v1/pods", {"watch": "true"}, ("watch", "", "pods", "", None, "")),
        ("GET", "/api/v1/pods", {"watch": "0"}, ("list", "", "pods", "", None, "")),
        ("GET", "/api/v1/watch/pods", {}, ("watch", "", "pods", "", None, "")),
        ("GET", "/api/v1/namespaces", {}, ("list", "", "namespaces", "", None, "")),
        ("GET", "/api/v1/namespaces/a", {}, ("get", "", "namespaces", "", "a", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "namespaces", "finalize", "a", "a")),
        ("GET", "/api/v1/namespaces/a/status", {}, ("get", "", "namespaces", "status", "a", "a")),
        ("POST", "/api/v1/namespaces/a/pods", {}, ("create", "", "pods", "", "a", "")),
        ("GET", "/api/v1/namespaces/a/pods/b", {}, ("get", "", "pods", "", "a", "b")),
        ("GET", "/api/v1/namespaces/a/pods/b", {"watch": "1"}, ("watch", "", "pods", "", "a", "b")),
        ("GET", "/api/v1/namespaces/a/pods/b/log", {"follow": "true"}, ("get", "", "pods", "log", "a", "b")),
        ("POST", "/api/v1/namespaces/a/pods/b/eviction", {}, ("create", "", "pods", "eviction", "a", "b")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/scale", {}, ("patch", "apps", "deployments", "scale", "a", "b")),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments", {}, ("deletecollection", "apps", "deployments", "", "a", "")),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/b", {}, ("delete", "apps", "deployments", "", "a", "b")),
        ("GET", "/api/v1/pods", {"fieldSelector": "metadata.name=x"}, ("list", "", "pods", "", None, "x")),
        ("GET", "/api/v1/nodes/n1", {}, ("get", "", "nodes", "", None, "n1")),
        ("GET", "/apis/x.y/v1/things", {}, ("list", "x.y", "things", "", None, "")),
    ],
)
def test_paths_name_resources(method: str, path: str, query: dict[str, str], expected: tuple[str | None, ...]) -> None:
    info = parse(method, path, query)
    assert (info.verb, info.group, info.resource, info.subresource, info.namespace, info.name) == expected


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/openapi/v3"])
def test_other_paths_name_none(path: str) -> None:
    info = parse("GET", path, {})
    assert (info.resource, info.verb, info.path) == (None, "get", path)


def test_what_follows_a_proxy_is_kept() -> None:
    info = parse("GET", "/api/v1/namespaces/a/services/http:web:80/proxy/v1/ready", {})
    assert (info.name, info.subresource, info.rest) == ("http:web:80", "proxy", "v1/ready")


def test_a_slash_inside_a_name_does_not_split_it() -> None:
    assert parse("GET", "/api/v1/namespaces/a/pods/b%2Flog", {}).name == "b/log"
