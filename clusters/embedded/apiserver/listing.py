"""List and watch over HTTP: pages, versions, and the stream of watch frames."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web

from clusters.embedded.apiserver import conversion, list_options, representation, selection, validity
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.watch import Event, EventStream, bookmark, check_reachable, parse_version
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource
from clusters.embedded.store import Store
from kubeobjects import Object

_BOOKMARK_SECONDS = 60.0
# Between one and two times this, as the real server's --min-request-timeout.
_MIN_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Page:
    items: list[Object]
    metadata: Object


def check_version(store: Store, query: Mapping[str, str]) -> int:
    """The query's resourceVersion. Raises ApiError 400 for one that is none, 504 for one that has not been yet."""
    asked = list_options.version(query)
    check_reachable(store, asked)
    return asked


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace') or ''}/{metadata['name']}"


def page(store: Store, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Page:
    """One page of a list. A later page shows what is there when it is asked for, under the first page's resourceVersion: a watch from
    there tells whatever changed in between."""
    list_options.check_list(query)
    chosen = selection.parse(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    token = query.get("continue", "")
    start = list_options.continue_from(token) if token else None
    asked = check_version(store, query)
    if query.get("resourceVersionMatch") == "Exact" and asked != store.revision:
        raise ApiError(410, "Expired", f"The provided resource version is too old: {asked} ({store.revision})")
    revision = store.revision
    objects = [conversion.to_served(resource, each) for each in store.list(conversion.stored_as(resource), namespace)]
    items = objects if chosen.everything else [each for each in objects if chosen.matches(each)]
    if start is not None:
        revision, first = start
        items = [each for each in items if _key(each) >= first]
    metadata: Object = {"resourceVersion": str(revision)}
    limit = list_options.number(query, "limit")
    if 0 < limit < len(items):
        metadata["continue"] = list_options.continue_token(revision, _key(items[limit - 1]))
        if chosen.everything:
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return Page(items, metadata)


async def watch(store: Store, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """Sends events until the client goes or `timeoutSeconds` have passed. What comes too late becomes an ERROR event (410)."""
    query, info = exchange.query, exchange.info
    send_initial, bookmarks = is_true(query.get("sendInitialEvents")), is_true(query.get("allowWatchBookmarks"))
    list_options.check_watch(query)
    field_selector = query.get("fieldSelector", "")
    if info.name_in_path:
        field_selector = f"metadata.name={info.name}"
    chosen = selection.parse(resource, query.get("labelSelector", ""), field_selector)
    asked = parse_version(query.get("resourceVersion", ""))
    explicit_no = "sendInitialEvents" in query and not send_initial
    initial = send_initial or (asked == 0 and not explicit_no)
    if asked == 0 and explicit_no:
        asked = store.revision
    seconds = float(list_options.number(query, "timeoutSeconds"))
    deadline = time.monotonic() + (seconds if seconds > 0 else _MIN_TIMEOUT * (1 + random.random()))
    form = representation.negotiate(exchange.http.headers.get("Accept", ""), query)
    namespace = info.namespace if resource.namespaced else None
    frames = _Frames(exchange, resource, form)
    try:
        stream = EventStream(store, resource, namespace, chosen, asked, initial=initial)
    except ApiError as error:
        if error.code != 410:
            raise
        await frames.start()
        await frames.fail(error)
        return await frames.end()
    await frames.start()
    try:
        await frames.send(stream.initial)
        if send_initial:
            await frames.send([bookmark(resource, stream.revision, initial_events_end=True)])
        stream.initial = []
        await _follow(frames, stream, resource, deadline, bookmarks)
    except ApiError as error:
        await frames.fail(error)
    return await frames.end()


async def _follow(frames: _Frames, stream: EventStream, resource: Resource, deadline: float, bookmarks: bool) -> None:
    next_bookmark = time.monotonic() + _BOOKMARK_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        wait = min(left, next_bookmark - time.monotonic()) if bookmarks else left
        try:
            async with asyncio.timeout(max(wait, 0.001)):
                events = await _next(stream, resource)
        except TimeoutError:
            if bookmarks and time.monotonic() >= next_bookmark:
                next_bookmark = time.monotonic() + _BOOKMARK_SECONDS
                # Whatever came while the timer ran out goes first: a bookmark says that all before it has been sent.
                await frames.send(stream.ready())
                await frames.send([bookmark(resource, stream.revision)])
            continue
        await frames.send(events)
        if resource.custom is not None and resource.custom.gone.is_set():
            return


async def _next(stream: EventStream, resource: Resource) -> list[Event]:
    """The next events; for a custom resource also what came until it was served no more."""
    if resource.custom is None:
        return await stream.next()
    events, gone = asyncio.create_task(stream.next()), asyncio.create_task(resource.custom.gone.wait())
    try:
        await asyncio.wait((events, gone), return_when=asyncio.FIRST_COMPLETED)
        return events.result() if events.done() else stream.ready()
    finally:
        events.cancel()
        gone.cancel()


class _Frames:
    """Writes watch events as JSON lines, in the form that was negotiated."""

    def __init__(self, exchange: Exchange, resource: Resource, form: representation.Form):
        self._exchange = exchange
        self._resource = resource
        self._form = form
        self._columns_sent = False
        self._response = web.StreamResponse(status=200, headers=exchange.headers())

    async def start(self) -> None:
        response = self._response
        as_table = self._form.content_type.replace(representation.JSON, f"{representation.JSON};stream=watch")
        response.headers["Content-Type"] = as_table if self._form.kind else representation.JSON
        for warning in dict.fromkeys(self._exchange.warnings):
            response.headers.add("Warning", validity.warning_header(warning))
        response.enable_chunked_encoding()
        self._exchange.response = response
        await response.prepare(self._exchange.http)
        self._exchange.started()

    async def send(self, events: list[Event]) -> None:
        if events:
            await self._response.write(b"".join(self._frame(type_, obj) for type_, obj in events))

    def _frame(self, type_: str, obj: Object) -> bytes:
        shown = obj
        if self._form.kind == "Table":
            shown = representation.one(self._form, self._resource, obj) if type_ != "BOOKMARK" else _empty_table(obj, self._form)
            if self._columns_sent:
                # Only the first Table of a watch describes its columns.
                shown = {**shown, "columnDefinitions": None}
            self._columns_sent = True
        elif type_ != "BOOKMARK" or self._form.kind:
            shown = representation.one(self._form, self._resource, obj)
        return orjson.dumps({"type": type_, "object": shown}) + b"\n"

    async def fail(self, error: ApiError) -> None:
        await self._response.write(orjson.dumps({"type": "ERROR", "object": error.status}) + b"\n")

    async def end(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response


def _empty_table(obj: Object, form: representation.Form) -> Object:
    """A bookmark among Tables: one row that carries the bookmark's metadata."""
    part = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    row = {"cells": [], "object": obj if form.include_object == "Object" else part}
    metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": None, "rows": [row]}
