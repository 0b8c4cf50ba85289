"""Byte streams between clients and Pods: log, exec, attach, portforward and proxy.

`serve` is given a request that has passed authentication and authorization; it finds the Pod, its kubelet and the container, and hands over
to the module of the subresource. Errors before a stream begins are ApiErrors, later ones travel in the stream.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import connecting, logs, portforward, proxy, remotecommand
from clusters.embedded.errors import forbidden, method_not_allowed
from clusters.embedded.resources import Resource

__all__ = ["serve"]


async def serve(services: Services, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """Answers a request for a streaming subresource of `resource`. Raises ApiError."""
    method, subresource = exchange.http.method, exchange.info.subresource
    if subresource == "proxy":
        await connecting.admit(services, exchange, resource)
        return await proxy.serve(services, exchange, resource)
    if method not in ("GET", "POST") or (subresource == "log" and method != "GET"):
        raise method_not_allowed()
    if subresource == "log":
        return await logs.serve(services, exchange)
    _check_may_create(services, exchange)
    await connecting.admit(services, exchange, resource)
    if subresource == "portforward":
        return await portforward.serve(services, exchange)
    return await remotecommand.serve(services, exchange)


def _check_may_create(services: Services, exchange: Exchange) -> None:
    """A WebSocket begins with GET; who may only `get` pods/exec must not run anything in a Pod (registry/core/pod/rest/authorize.go)."""
    attributes = Attributes.of(exchange.info)
    if attributes.verb != "create":
        decision = services.authorizer.decide(exchange.user, replace(attributes, verb="create"))
        if not decision.allowed:
            raise forbidden(attributes.resource or "", attributes.group, attributes.name, decision.reason)
