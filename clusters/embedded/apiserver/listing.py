"""List and watch over HTTP: pages, versions, and the stream of watch frames."""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from clusters.embedded.apiserver import conversion, representation, selection, validity
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.watch import Event, EventStream, bookmark, check_reachable, check_watch_list, parse_version
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import Resource
from clusters.embedded.store import Store
from kubeobjects import Object

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import Exchange


_MATCHES = ("", "Exact", "NotOlderThan")
_BOOKMARK_SECONDS = 60.0
# Between one and two times this, as the real server's --min-request-timeout.
_MIN_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Page:
    items: list[Object]
    metadata: Object


def check_version(store: Store, query: Mapping[str, str]) -> int:
    """The query's resourceVersion. Raises ApiError 422 for one that is none, 504 for one that has not been yet."""
    asked = parse_version(query.get("resourceVersion", ""))
    check_reachable(store, asked)
    return asked


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace') or ''}/{metadata['name']}"


def _continue_from(token: str) -> tuple[int, str]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(found["rv"]), str(found["start"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise bad_request("continue key is not valid: illegal base64 data or not a continue token") from None


def _continue_token(revision: int, last: Object) -> str:
    content = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": f"{_key(last)}\0"})
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def page(store: Store, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Page:
    """One page of a list. A later page shows what is there when it is asked for, under the first page's resourceVersion: a watch from
    there tells whatever changed in between."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    if match not in _MATCHES:
        raise validity.option("resourceVersionMatch", match, ("Exact", "NotOlderThan"))
    check_watch_list(match, "sendInitialEvents" in query, False, watching=False)
    if match and not version:
        raise bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided")
    asked = check_version(store, query)
    if match == "Exact" and asked != store.revision:
        raise ApiError(410, "Expired", f"The provided resource version is too old: {asked} ({store.revision})")
    chosen = selection.parse(resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    revision = store.revision
    objects = [conversion.to_served(resource, each) for each in store.list(conversion.stored_as(resource), namespace)]
    items = objects if chosen.everything else [each for each in objects if chosen.matches(each)]
    if token := query.get("continue", ""):
        revision, start = _continue_from(token)
        items = [each for each in items if _key(each) >= start]
    metadata: Object = {"resourceVersion": str(revision)}
    limit = validity.whole_number("limit", query.get("limit") or "0")
    if 0 < limit < len(items):
        metadata["continue"] = _continue_token(revision, items[limit - 1])
        if chosen.everything:
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return Page(items, metadata)


async def watch(store: Store, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    """Sends events until the client goes or `timeoutSeconds` have passed. What comes too late becomes an ERROR event (410)."""
    query, info = exchange.query, exchange.info
    send_initial, bookmarks = is_true(query.get("sendInitialEvents")), is_true(query.get("allowWatchBookmarks"))
    check_watch_list(query.get("resourceVersionMatch", ""), send_initial, bookmarks, watching=True)
    field_selector = query.get("fieldSelector", "")
    if info.name_in_path:
        field_selector = f"metadata.name={info.name}"
    chosen = selection.parse(resource, query.get("labelSelector", ""), field_selector)
    asked = parse_version(query.get("resourceVersion", ""))
    explicit_no = "sendInitialEvents" in query and not send_initial
    initial = send_initial or (asked == 0 and not explicit_no)
    if asked == 0 and explicit_no:
        asked = store.revision
    seconds = float(validity.whole_number("timeoutSeconds", query.get("timeoutSeconds") or "0"))
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
                events = await stream.next()
        except TimeoutError:
            if bookmarks and time.monotonic() >= next_bookmark:
                next_bookmark = time.monotonic() + _BOOKMARK_SECONDS
                # Whatever came while the timer ran out goes first: a bookmark says that all before it has been sent.
                await frames.send(stream.ready())
                await frames.send([bookmark(resource, stream.revision)])
            continue
        await frames.send(events)


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
