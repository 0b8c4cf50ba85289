"""Byte streams between clients and Pods: log, exec, attach, portforward and proxy.

`serve` is given a request that has passed authentication and authorization; it finds the Pod, its kubelet and the container, and hands over
to the module of the subresource. Errors before a stream begins are ApiErrors, later ones travel in the stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from clusters.embedded.apiserver.authorization import Attributes
from clusters.embedded.apiserver.streaming import logs, portforward, proxy, remotecommand
from clusters.embedded.errors import forbidden, method_not_allowed
from clusters.embedded.resources import Resource

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange

__all__ = ["serve"]


async def serve(server: ApiServer, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """Answers a request for a streaming subresource of `resource`. Raises ApiError."""
    method, subresource = exchange.http.method, exchange.info.subresource
    if subresource == "proxy":
        return await proxy.serve(server, exchange, resource)
    if method not in ("GET", "POST") or (subresource == "log" and method != "GET"):
        raise method_not_allowed()
    if subresource == "log":
        return await logs.serve(server, exchange)
    _check_may_create(server, exchange)
    if subresource == "portforward":
        return await portforward.serve(server, exchange)
    return await remotecommand.serve(server, exchange)


def _check_may_create(server: ApiServer, exchange: Exchange) -> None:
    """A WebSocket begins with GET; who may only `get` pods/exec must not run anything in a Pod (registry/core/pod/rest/authorize.go)."""
    attributes = Attributes.of(exchange.info)
    if attributes.verb != "create":
        decision = server.authorizer.decide(exchange.user, replace(attributes, verb="create"))
        if not decision.allowed:
            raise forbidden(attributes.resource or "", attributes.group, attributes.name, decision.reason)
