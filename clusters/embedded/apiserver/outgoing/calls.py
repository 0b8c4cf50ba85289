"""The steps of an HTTPS call: dial, believe, send, read. Each call has a connection of its own, which the server closes."""

from __future__ import annotations

import asyncio
import base64
import io
import ssl
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from clusters.embedded.apiserver.outgoing import go_words, service_address
from clusters.embedded.apiserver.reader import Reader
from clusters.embedded.network import Network

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unreachable(Exception):
    """A server gives no answer; the message is that of Go's HTTP client, without the URL that stands before it."""


async def dial_service(reader: Reader, network: Network | None, namespace: str, name: str, port: int) -> Streams:
    """A connection to a Service's `port` at the Service's own address. Raises service_address.Unresolved, Unreachable."""
    address, number = service_address.of(reader, namespace, name, port)
    if network is None:
        raise Unreachable(f"dial tcp {address}:{number}: connect: network is unreachable")
    try:
        return await network.dial(address, number)
    except OSError as error:
        raise Unreachable(go_words.of_dial(address, number, error)) from None


def believe(context: ssl.SSLContext, bundle: str) -> None:
    """Lets a client's context believe the certificates of a `caBundle` (base64 of PEM), or the system's where it is empty. Raises ValueError."""
    # Go takes any certificate of the bundle as an end of the chain, and asks less of how certificates are made.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    if not bundle:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cadata=base64.b64decode(bundle).decode("ascii"))
    except ssl.SSLError as error:
        raise ValueError(str(error)) from None


async def exchange(streams: Streams, request: bytes) -> bytes:
    """Everything that comes back to a whole request. Raises Unreachable."""
    reader, writer = streams
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read(-1)
    except OSError as error:
        raise Unreachable(go_words.of_handshake(error)) from None
    finally:
        writer.transport.abort()


def answer(raw: bytes, method: str) -> tuple[HTTPResponse, bytes]:
    """(the response's head, its body) of what came back. Raises Unreachable for what is no whole answer."""
    response = HTTPResponse(cast(Any, _Received(raw)), method=method)
    try:
        response.begin()
        return response, response.read()
    except (HTTPException, ValueError, OSError):
        raise Unreachable("EOF" if not raw else "unexpected EOF") from None


class _Received:
    """What `http.client` reads an answer from."""

    def __init__(self, raw: bytes):
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)
