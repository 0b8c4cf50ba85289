"""Watches over HTTP: what a client sees, from where, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.store import history
from kubeobjects import Object

from .conftest import Http

MAPS = "/api/v1/namespaces/default/configmaps"


class Frames:
    def __init__(self, content: Any):
        self._content = content

    async def next(self) -> Object | None:
        async with asyncio.timeout(3):
            line = await self._content.readline()
        return orjson.loads(line) if line else None

    async def names(self, count: int) -> list[tuple[str, str]]:
        found = []
        for _ in range(count):
            frame = await self.next()
            assert frame is not None
            found.append((frame["type"], frame["object"]["metadata"].get("name", "")))
        return found


@asynccontextmanager
async def watching(http: Http, query: str, path: str = MAPS, **headers: str) -> AsyncIterator[Frames]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.session.get(f"{http.url}{path}?watch=true&{query}", headers=sent) as response:
        assert response.status == 200, await response.text()
        yield Frames(response.content)


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


async def test_a_watch_from_a_list_shows_what_came_after_it(http: Http) -> None:
    await http("POST", MAPS, config_map("before"))
    version = (await http("GET", MAPS)).body["metadata"]["resourceVersion"]
    async with watching(http, f"resourceVersion={version}") as frames:
        await http("POST", MAPS, config_map("after"))
        await http("DELETE", f"{MAPS}/before")
        assert await frames.names(2) == [("ADDED", "after"), ("DELETED", "before")]


async def test_a_watch_without_a_version_begins_with_what_is_there(http: Http) -> None:
    await http("POST", MAPS, config_map("a"))
    for query in ("", "resourceVersion=0"):
        async with watching(http, query) as frames:
            assert await frames.names(1) == [("ADDED", "a")]


async def test_an_object_that_leaves_the_selection_is_told_as_deleted(http: Http) -> None:
    await http("POST", MAPS, config_map("a", {"app": "x"}))
    version = (await http("GET", MAPS)).body["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    async with watching(http, f"labelSelector=app%3Dx&resourceVersion={version}") as frames:
        await http("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "y"}}}, Content_Type=merge)
        await http("PATCH", f"{MAPS}/a", {"data": {"k": "unseen"}}, Content_Type=merge)
        await http("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"app": "x"}}}, Content_Type=merge)
        assert await frames.names(2) == [("DELETED", "a"), ("ADDED", "a")]


async def test_a_watch_list_marks_where_the_beginning_ends(http: Http) -> None:
    await http("POST", MAPS, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(http, f"{query}&fieldSelector=metadata.name%3Da") as frames:
        assert await frames.names(1) == [("ADDED", "a")]
        mark = await frames.next()
        assert mark is not None
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["kind"] == "ConfigMap"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await http("DELETE", f"{MAPS}/a")
        assert await frames.names(1) == [("DELETED", "a")]


async def test_a_watch_list_that_is_asked_for_wrongly_is_refused(http: Http) -> None:
    reply = await http("GET", f"{MAPS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true")
    assert reply.status == 422
    assert "requires setting resourceVersionMatch to NotOlderThan" in reply.body["message"]


async def test_a_watch_ends_when_its_time_is_over(http: Http) -> None:
    async with watching(http, "timeoutSeconds=1") as frames:
        assert await frames.next() is None


async def test_a_version_that_is_too_old_is_told_as_an_error_event(http: Http, server: ApiServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(history, "_HISTORY_CHANGES", 10)
    version = (await http("GET", MAPS)).body["metadata"]["resourceVersion"]
    for number in range(30):
        await http("POST", MAPS, config_map(f"m{number}"))
    async with watching(http, f"resourceVersion={version}") as frames:
        error = await frames.next()
        assert error is not None
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await frames.next() is None


async def test_one_object_is_watched_by_its_path(http: Http) -> None:
    await http("POST", MAPS, config_map("a"))
    await http("POST", MAPS, config_map("b"))
    async with watching(http, "", f"{MAPS}/b") as frames:
        assert await frames.names(1) == [("ADDED", "b")]


async def test_a_watch_over_all_namespaces_sees_each(http: Http) -> None:
    version = (await http("GET", MAPS)).body["metadata"]["resourceVersion"]
    async with watching(http, f"resourceVersion={version}", "/api/v1/configmaps") as frames:
        await http("POST", MAPS, config_map("a"))
        await http("POST", "/api/v1/namespaces/kube-public/configmaps", config_map("b"))
        assert await frames.names(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_client_that_goes_away_leaves_nothing_behind(http: Http, server: ApiServer) -> None:
    async with watching(http, ""):
        pass
    await http("POST", MAPS, config_map("a"))
    async with asyncio.timeout(2):
        while server.store._history("configmaps")._waiting:
            await http("GET", "/readyz")
