"""Requests for an API version that another server answers (kube-aggregator/pkg/apiserver/handler_proxy.go)."""

from __future__ import annotations

from aiohttp import web

from clusters.embedded.apiserver.aggregated import Aggregated
from clusters.embedded.apiserver.aggregation import Aggregator, remote_headers
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.outgoing import service_address
from clusters.embedded.apiserver.outgoing.calls import Unreachable
from clusters.embedded.apiserver.streaming.proxy import BrokenOff, carry

# Who asks is said by us alone.
_OURS = ("x-remote-", "impersonate-")


async def serve(aggregator: Aggregator, exchange: Exchange, found: Aggregated) -> web.StreamResponse:
    """Sends the request on as its user. What keeps it from that is told as text, as kube-aggregator does."""
    if not found.available:
        return _refused(exchange, "service unavailable")
    try:
        reader, writer = await aggregator.connect(found)
    except service_address.Unresolved:
        return _refused(exchange, "service unavailable")
    except Unreachable as error:
        return _refused(exchange, f"error trying to reach service: {error}")
    try:
        return await carry(exchange, reader, writer, exchange.http.rel_url.raw_path, without=_OURS, added=remote_headers(exchange.user))
    except BrokenOff:
        return _refused(exchange, "error trying to reach service: EOF")


def _refused(exchange: Exchange, why: str) -> web.Response:
    headers = exchange.headers() | {"X-Content-Type-Options": "nosniff"}
    return web.Response(status=503, text=f"{why}\n", content_type="text/plain", headers=headers)
