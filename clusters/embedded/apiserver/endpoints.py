"""Paths that name no resource: discovery, OpenAPI, version, health."""

from __future__ import annotations

import orjson
from aiohttp import web

from clusters.embedded.apiserver import discovery, representation
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.responses import compress, is_pretty, page_not_found
from clusters.embedded.errors import method_not_allowed
from clusters.embedded.resources import by_name
from clusters.embedded.store import Store

_PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_HEALTH = ("/healthz", "/livez", "/readyz")
_CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiserver-admission-initializer", "poststarthook/rbac/bootstrap-roles")
# A document under its hash never changes: kubectl keeps it and asks no more.
_FOREVER = {
    "Cache-Control": "public, immutable",
    "Expires": "Fri, 01 Jan 2038 00:00:00 GMT",
    "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT",
}


def serve(exchange: Exchange, address: str, store: Store) -> web.StreamResponse:
    """Answers a request for a path that names no resource. `address` is the server's own, `127.0.0.1:6443`. Raises ApiError 404 and 405."""
    path = exchange.info.path.rstrip("/") or "/"
    if exchange.http.method not in ("GET", "HEAD"):
        raise method_not_allowed() if _is_known(path) else page_not_found()
    if path.startswith(_HEALTH):
        return _health(exchange, path)
    if path == "/version":
        return _json(exchange, orjson.dumps(discovery.version(), option=orjson.OPT_INDENT_2))
    if path == "/metrics":
        return _metrics(exchange, store)
    if path in ("/api", "/apis"):
        return _roots(exchange, path, address)
    if path == "/openapi/v2":
        return _openapi_v2(exchange)
    if path == "/openapi/v3" or path.startswith("/openapi/v3/"):
        return _openapi(exchange, path)
    if path == "/":
        return _json(exchange, orjson.dumps({"paths": _paths()}))
    parts = path.strip("/").split("/")
    found = None
    if parts[0] == "api" and len(parts) == 2:
        found = discovery.resource_list("", parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        found = discovery.resource_list(parts[1], parts[2])
    elif parts[0] == "apis" and len(parts) == 2:
        found = discovery.group(parts[1])
    if found is None:
        raise page_not_found()
    return _json(exchange, orjson.dumps(found))


def _is_known(path: str) -> bool:
    return path.startswith((*_HEALTH, "/metrics", "/version", "/api", "/openapi/v2", "/openapi/v3"))


def _paths() -> list[str]:
    groups = [each["name"] for each in discovery.group_list()["groups"]]
    return [
        "/api",
        "/api/v1",
        "/apis",
        *(f"/apis/{name}" for name in groups),
        *_HEALTH,
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/version",
    ]


def _roots(exchange: Exchange, path: str, address: str) -> web.Response:
    accept = exchange.http.headers.get("Accept", "")
    if "as=APIGroupDiscoveryList" in accept and "v=v2" in accept.replace("v=v2beta1", ""):
        body = orjson.dumps(discovery.aggregated(core=path == "/api"))
        return _json(exchange, body, discovery.AGGREGATED)
    body = orjson.dumps(discovery.versions(address) if path == "/api" else discovery.group_list())
    return _json(exchange, body)


def _openapi(exchange: Exchange, path: str) -> web.Response:
    from clusters.embedded.apiserver import openapi

    if path == "/openapi/v3":
        return _json(exchange, orjson.dumps(openapi.index()))
    try:
        body = openapi.document(path.removeprefix("/openapi/v3/"))
    except KeyError:
        raise page_not_found() from None
    return _json(exchange, body, headers=_FOREVER)


def _openapi_v2(exchange: Exchange) -> web.Response:
    """A document that describes nothing. kubectl asks for it where version 3 does not know a kind,
    and then leaves the kind to discovery."""
    if _PROTOBUF_V2 in exchange.http.headers.get("Accept", ""):
        # Field 1 of the message is the text `swagger`.
        # The "@" of the question is no part of a media type, and a dot in the answer.
        return _json(exchange, b"\x0a\x032.0", _PROTOBUF_V2.replace("@", "."))
    info = {"title": "Kubernetes", "version": discovery.version()["gitVersion"]}
    return _json(exchange, orjson.dumps({"swagger": "2.0", "info": info, "paths": {}}))


def _health(exchange: Exchange, path: str) -> web.Response:
    endpoint, _, check = path.strip("/").partition("/")
    if check:
        if check not in _CHECKS:
            raise page_not_found()
        text = "ok"
    elif "verbose" in exchange.query:
        text = "".join(f"[+]{each} ok\n" for each in _CHECKS) + f"{endpoint} check passed\n"
    else:
        text = "ok"
    return web.Response(text=text, content_type="text/plain", headers=exchange.headers())


def _metrics(exchange: Exchange, store: Store) -> web.Response:
    from clusters.embedded.apiserver import component_metrics, prometheus

    counts = {(resource.group, resource.plural): len(store.list(name)) for name, resource in by_name().items() if "list" in resource.verbs}
    page = prometheus.render(component_metrics.api_server(discovery.version(), counts))
    return web.Response(body=page, headers=exchange.headers() | {"Content-Type": prometheus.CONTENT_TYPE})


def _json(exchange: Exchange, body: bytes, content_type: str = representation.JSON, headers: dict[str, str] | None = None) -> web.Response:
    if content_type == representation.JSON and is_pretty(exchange):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    tag = discovery.etag(body)
    shared = exchange.headers() | {"ETag": tag, "Vary": "Accept", "Cache-Control": "public"} | (headers or {})
    if exchange.http.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=shared)
    response = web.Response(body=body, headers=shared)
    response.headers["Content-Type"] = content_type
    compress(exchange.http, response)
    return response
