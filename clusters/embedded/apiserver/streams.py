"""Where requests for streams and metrics leave the pipeline; what answers them is loaded at the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from clusters.embedded.resources import Resource

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange


async def serve(server: ApiServer, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """log, exec, attach, portforward and proxy. Raises ApiError."""
    from clusters.embedded.apiserver import streaming

    return await streaming.serve(server, exchange, resource)


async def metrics(server: ApiServer, exchange: Exchange) -> web.StreamResponse:
    """metrics.k8s.io. Raises ApiError."""
    from clusters.embedded.apiserver import metrics as api

    return await api.serve(server, exchange)
