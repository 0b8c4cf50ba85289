"""`GET …/pods/{name}/log`: what a container has written, and with `follow` what it goes on to write, as chunks of plain text."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from clusters.embedded.apiserver import validity
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import location
from clusters.embedded.errors import ApiError, FieldError, bad_request, invalid
from clusters.embedded.nodes import LogOptions
from kubeobjects import meta

# A follower hears that its request was accepted even if nothing is written for long.
_FIRST_CHUNK_SECONDS = 0.2
# Longer ago than any log; much longer is before the first year that a time can have.
_LONGEST_SINCE = 10**9


def _whole_number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    return validity.whole_number(text) if text else None


def options(query: Mapping[str, str], pod: str, container: str) -> LogOptions:
    """The query as PodLogOptions. Raises ApiError 400 or 422 (apis/core/validation ValidatePodLogOptions)."""
    tail, limit, since = (_whole_number(query, name) for name in ("tailLines", "limitBytes", "sinceSeconds"))
    since_time = query.get("sinceTime") or None
    if since_time is not None:
        try:
            meta.parse_time(since_time)
        except ValueError:
            raise bad_request(
                f'parsing time "{since_time}" as "2006-01-02T15:04:05Z07:00": cannot parse "{since_time}" as "2006"'
            ) from None
    causes = []
    if tail is not None and tail < 0:
        causes.append(FieldError("tailLines", "FieldValueInvalid", f"Invalid value: {tail}: must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(FieldError("limitBytes", "FieldValueInvalid", f"Invalid value: {limit}: must be greater than 0"))
    if since is not None and since_time is not None:
        causes.append(FieldError("", "FieldValueForbidden", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        causes.append(FieldError("sinceSeconds", "FieldValueInvalid", f"Invalid value: {since}: must be greater than 0"))
    if causes:
        raise invalid("PodLogOptions", "", pod, causes)
    return LogOptions(
        container=container,
        follow=is_true(query.get("follow")),
        previous=is_true(query.get("previous")),
        timestamps=is_true(query.get("timestamps")),
        tail_lines=tail,
        since_seconds=None if since is None else min(since, _LONGEST_SINCE),
        since_time=since_time,
        limit_bytes=limit,
    )


async def serve(services: Services, exchange: Exchange) -> web.StreamResponse:
    pod = location.find_pod(services, exchange)
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    container = location.container_name(pod, exchange.query.get("container", ""))
    asked = options(exchange.query, name, container)
    response = web.StreamResponse(headers=exchange.headers() | {"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    exchange.response = response
    if not pod["spec"].get("nodeName"):
        # No node has the Pod yet: nothing has been written.
        await response.prepare(exchange.http)
        await response.write_eof()
        return response
    kubelet = location.running_on(services, pod, f"/containerLogs/{namespace}/{name}/{container}")
    chunks = kubelet.logs(namespace, name, asked)
    first = asyncio.ensure_future(anext(aiter(chunks)))
    try:
        await _begin(exchange, response, first)
        await _copy(response, first, chunks)
    finally:
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, ApiError):
            await first
        await chunks.aclose()  # type: ignore[attr-defined]
    await response.write_eof()
    return response


async def _begin(exchange: Exchange, response: web.StreamResponse, first: asyncio.Future[bytes]) -> None:
    """Sends the head of the answer, unless the kubelet refuses at once."""
    await asyncio.wait([first], timeout=_FIRST_CHUNK_SECONDS)
    if first.done() and isinstance(first.exception(), ApiError):
        await first
    await response.prepare(exchange.http)
    exchange.started()


async def _copy(response: web.StreamResponse, first: asyncio.Future[bytes], rest: AsyncIterator[bytes]) -> None:
    try:
        await response.write(await first)
    except StopAsyncIteration:
        return
    async for chunk in rest:
        if chunk:
            await response.write(chunk)
