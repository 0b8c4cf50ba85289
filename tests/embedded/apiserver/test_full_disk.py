"""While the disk is full nothing is acknowledged that is not stored, reads go on; when there is space again, all goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from clusters.embedded.apiserver import expiry
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.store import Put, Store
from tests.embedded.apiserver.conftest import Http
from tests.embedded.full_disk import no_space

MAPS = "/api/v1/namespaces/default/configmaps"


async def test_a_full_disk_is_said_and_over_when_there_is_space(http: Http, server: ApiServer, tmp_path: Path) -> None:
    assert (await http("POST", MAPS, {"metadata": {"name": "before"}})).status == 201
    log = tmp_path / "audit.log"
    full = len(log.read_bytes()) + 100
    with no_space(beyond=full):
        for number in range(40):
            refused = await http("POST", MAPS, {"metadata": {"name": f"during-{number}"}})
            assert refused.status == 500
            assert "the cluster's state in" in refused.body["message"]
            assert "cannot be written" in refused.body["message"]
        assert (await http("GET", f"{MAPS}/before")).status == 200
        assert log.stat().st_size <= full
    assert (await http("POST", MAPS, {"metadata": {"name": "after"}})).status == 201
    listed = await http("GET", MAPS)
    assert {each["metadata"]["name"] for each in listed.body["items"]} == {"before", "after"}
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    assert [line["verb"] for line in lines[-2:]] == ["create", "list"]


async def test_a_full_disk_does_not_end_the_expiry_of_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_EVERY_SECONDS", 0.0)
    store = Store(tmp_path)
    old = {"metadata": {"name": "old", "namespace": "default", "creationTimestamp": "2020-01-01T00:00:00Z"}}
    store.write([Put("events", old, None)])
    assert expiry.expired(store.list("events"), datetime.now(UTC))
    gone = store.watch("events", store.revision)
    with no_space(beyond=1000):
        running = asyncio.create_task(expiry.run(store))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not running.done()
        assert len(store.list("events")) == 1
    async with asyncio.timeout(30):
        assert [change.type for change in await gone.next()] == ["DELETED"]
    running.cancel()
    store.close()
