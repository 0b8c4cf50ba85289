"""A webhook over HTTPS on loopback, in the test's own loop: it notes what it is asked and answers what the test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import trustme
from aiohttp import web

from tests.embedded.apiserver.semantics import Object

# From the request of a review to the response, without its uid; bytes, or a whole web.Response, are sent as they are.
Answer = Callable[[Object], Any]
CA = trustme.CA()


def allow(request: Object) -> Object:
    return {"allowed": True}


def deny(**status: Any) -> Answer:
    return lambda request: {"allowed": False, "status": status}


def patch(*operations: Object) -> Answer:
    encoded = base64.b64encode(json.dumps(list(operations)).encode()).decode()
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


class WebhookServer:
    def __init__(self) -> None:
        self.answer: Answer = allow
        self.asked: list[Object] = []
        self.paths: list[str] = []
        self.called = asyncio.Event()
        self.pause = 0.0
        self.port = 0
        self.bundle = base64.b64encode(CA.cert_pem.bytes()).decode()

    def url(self, path: str = "/check") -> Object:
        """A clientConfig."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.bundle}

    async def serve(self, http: web.BaseRequest) -> web.StreamResponse:
        review = json.loads(await http.read())
        self.paths.append(http.path_qs)
        self.asked.append(review)
        self.called.set()
        await asyncio.sleep(self.pause)
        found = self.answer(review["request"])
        if isinstance(found, web.Response):
            return found
        response = {"uid": review["request"]["uid"], **found}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})


@contextlib.asynccontextmanager
async def listening(*names: str, certificate: trustme.LeafCert | None = None, plain: bool = False) -> AsyncIterator[WebhookServer]:
    """The server, with a certificate for these names (127.0.0.1 without any)."""
    server = WebhookServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or CA.issue_cert(*(names or ("127.0.0.1",)))).configure_cert(context)
    runner = web.ServerRunner(web.Server(server.serve), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=None if plain else context)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
