"""Hands log, exec, attach, port-forward, proxy and metrics requests to `streaming`, once what they are about is known to exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from clusters.embedded.apiserver.request import is_true
from clusters.embedded.resources import Resource

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange

_LASTING = frozenset({"exec", "attach", "portforward"})


async def serve(server: ApiServer, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """Raises ApiError 404 where the object is not there, and whatever the kubelet has to say."""
    from clusters.embedded.apiserver import streaming

    info = exchange.info
    # A proxy's name may carry scheme and port: http:web:8080.
    parts = info.name.split(":")
    name = parts[1] if len(parts) == 3 else parts[0]
    found = server.registry.stored(resource, name, info.namespace if resource.namespaced else None)
    if info.subresource in _LASTING or is_true(exchange.query.get("follow")):
        exchange.started()
    return await streaming.handle(
        exchange.http,
        found,
        info.subresource,
        target=info.name,
        rest=info.rest,
        connections=server.connections,
        network=server.network,
        reader=server.registry.reader,
    )


async def metrics(server: ApiServer, exchange: Exchange) -> web.StreamResponse:
    """The metrics API (metrics.k8s.io), answered from what the kubelets measure."""
    from clusters.embedded.apiserver import streaming

    return await streaming.metrics(exchange.http, exchange.info, connections=server.connections, reader=server.registry.reader)
