"""Where requests for streams and metrics leave the pipeline; what answers them is loaded at the first of them."""

from __future__ import annotations

from aiohttp import web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.resources import Resource


async def serve(services: Services, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """log, exec, attach, portforward and proxy. Raises ApiError."""
    from clusters.embedded.apiserver import streaming

    return await streaming.serve(services, exchange, resource)


async def metrics(services: Services, exchange: Exchange) -> web.StreamResponse:
    """metrics.k8s.io. Raises ApiError."""
    from clusters.embedded.apiserver import metrics as api

    return await api.serve(services, exchange)
