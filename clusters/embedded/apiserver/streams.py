"""Hands log, exec, attach, port-forward, proxy and metrics requests to `streaming`, once the Pod is known to exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange


async def serve(server: ApiServer, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    raise ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")


async def metrics(server: ApiServer, exchange: Exchange) -> web.StreamResponse:
    raise ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
