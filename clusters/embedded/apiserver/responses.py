"""Answers on their way out: headers, warnings, compression (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters)."""

from __future__ import annotations

from aiohttp import web

from clusters.embedded.apiserver import representation, validity
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.errors import ApiError
from kubeobjects import Object

# Below this a reply is sent as it is (as by the real server).
_COMPRESS_FROM = 128 * 1024


def page_not_found() -> ApiError:
    """A path that nothing serves."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def is_pretty(exchange: Exchange) -> bool:
    """Whether JSON is to be indented: where the query says so, and for browsers and command lines of HTTP (isPrettyPrint)."""
    asked = exchange.query.get("pretty")
    if asked:
        return is_true(asked)
    return exchange.http.headers.get("User-Agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


def respond(exchange: Exchange, body: Object, form: representation.Form, status: int = 200) -> web.Response:
    """`body` in the form that was negotiated, with the warnings that the request has gathered."""
    headers = exchange.headers()
    content = representation.encode(body, form.media, pretty=is_pretty(exchange))
    response = web.Response(status=status, body=content, headers=headers)
    response.headers["Content-Type"] = form.content_type if body.get("kind") != "Status" else form.media
    for warning in dict.fromkeys(exchange.warnings):
        response.headers.add("Warning", validity.warning_header(warning))
    compress(exchange.http, response)
    return response


def compress(http: web.BaseRequest, response: web.Response) -> None:
    if "gzip" in http.headers.get("Accept-Encoding", "") and isinstance(response.body, bytes) and len(response.body) > _COMPRESS_FROM:
        response.enable_compression(web.ContentCoding.gzip)
