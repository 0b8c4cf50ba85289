"""One call of a webhook: over HTTPS, to a URL or to a Service in the cluster (k8s.io/apiserver/pkg/util/webhook/client.go).

A review flows in and the decoded answer comes out; whatever goes wrong is told in the words of Go's HTTP client.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from functools import partial
from urllib.parse import urlsplit

import orjson

from clusters.embedded.apiserver import json_words
from clusters.embedded.apiserver.outgoing import calls, go_words, service_address
from clusters.embedded.apiserver.outgoing.calls import Streams, Unreachable
from clusters.embedded.apiserver.reader import Reader
from clusters.embedded.network import Network
from kubeobjects import Object

_HTTPS = 443
# An answer may be as large as an object with its patch; a server that sends without end is cut off (rest.Config limits nothing).
_LARGEST_ANSWER = 32 * 1024 * 1024


class CallFailed(Exception):
    """The webhook gave no answer; the text follows `failed calling webhook "x": `."""


@dataclass(frozen=True)
class _Target:
    """`authority` and `path` are what the URL shows; `host` is the name that the certificate must carry."""

    authority: str
    path: str
    host: str
    dial: Callable[[], Awaitable[Streams]]

    def url(self, seconds: int) -> str:
        return f"https://{self.authority}{self.path}?timeout={seconds}s"


async def ask(config: Object, review: Object, seconds: int, reader: Reader, network: Network | None) -> Object:
    """The answer to `review` of the webhook with this `clientConfig`, within `seconds`. Raises CallFailed."""
    target = _target(config, reader, network)
    context = _trust(config.get("caBundle") or "")
    try:
        async with asyncio.timeout(seconds):
            raw = await _exchange(target, context, orjson.dumps(review), seconds)
    except TimeoutError:
        raise _failed(target, seconds, "context deadline exceeded") from None
    except (Unreachable, service_address.Unresolved) as error:
        raise _failed(target, seconds, str(error)) from None
    return _decoded(_parsed(raw, target, seconds))


def _failed(target: _Target, seconds: int, why: str) -> CallFailed:
    return CallFailed(f"failed to call webhook: Post {json.dumps(target.url(seconds))}: {why}")


# Where to


def _target(config: Object, reader: Reader, network: Network | None) -> _Target:
    service = config.get("service")
    if service is not None:
        host, port = f"{service['name']}.{service['namespace']}.svc", service.get("port") or _HTTPS
        dial = partial(calls.dial_service, reader, network, service["namespace"], service["name"], port)
        return _Target(f"{host}:{port}", _clean(service.get("path") or ""), host, dial)
    parts = urlsplit(config.get("url") or "")
    host, port = parts.hostname or "", parts.port or _HTTPS
    return _Target(parts.netloc, _clean(parts.path), host, lambda: _dial_url(host, port))


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


async def _dial_url(host: str, port: int) -> Streams:
    try:
        return await asyncio.open_connection(host, port, limit=_LARGEST_ANSWER)
    except OSError as error:
        raise Unreachable(go_words.of_dial(host, port, error)) from None


# TLS


def _trust(bundle: str) -> ssl.SSLContext:
    """Whom the API server believes: the certificates of caBundle, or the system's. Raises CallFailed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        calls.believe(context, bundle)
    except ValueError:
        raise CallFailed("could not get REST client: unable to load root certificates: unable to parse bytes as PEM block") from None
    return context


async def _secured(target: _Target, context: ssl.SSLContext) -> Streams:
    reader, writer = await target.dial()
    try:
        await writer.start_tls(context, server_hostname=target.host)
    except BaseException as error:
        writer.transport.abort()
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Unreachable(go_words.of_certificate(error.verify_code, await _presented(target), target.host)) from None
        if isinstance(error, OSError):
            raise Unreachable(go_words.of_handshake(error)) from None
        raise
    return reader, writer


async def _presented(target: _Target) -> bytes:
    """The certificate (DER) that was not believed: a failed handshake does not show it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await _secured(target, context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.transport.abort()
    return found


# HTTP


async def _exchange(target: _Target, context: ssl.SSLContext, body: bytes, seconds: int) -> bytes:
    head = (
        f"POST {target.path}?timeout={seconds}s HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: kube-apiserver-admission\r\n"
        f"Content-Type: application/json\r\nAccept: application/json, */*\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return await calls.exchange(await _secured(target, context), head.encode("ascii") + body)


def _parsed(raw: bytes, target: _Target, seconds: int) -> bytes:
    """The body of an answer that is none of failure. Raises CallFailed."""
    try:
        response, body = calls.answer(raw, "POST")
    except Unreachable as error:
        raise _failed(target, seconds, str(error)) from None
    if not 200 <= response.status <= 206:
        raise CallFailed(f"failed to call webhook: {_failure(response.status, response.headers, body)}")
    if not body:
        kind = response.headers.get("Content-Type", "")
        raise CallFailed(f"failed to call webhook: 0-length response with status code: {response.status} and content type: {kind}")
    return body


def _failure(code: int, headers: Message, body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    plain = headers.get_content_type().startswith("text/") or "Content-Type" not in headers
    return go_words.of_code(code, text if plain else "unknown")


def _decoded(body: bytes) -> Object:
    try:
        found = orjson.loads(body)
    except ValueError:
        why = f"couldn't get version/kind; json parse error: {json_words.complaint(body)}"
        raise CallFailed(f"failed to call webhook: {why}") from None
    if not isinstance(found, dict):
        kind = json_words.go_type(found)
        why = f"couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go value of type struct"
        raise CallFailed(f"failed to call webhook: {why}")
    return found
