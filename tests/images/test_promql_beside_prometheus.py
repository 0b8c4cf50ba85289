"""The same query has the same answer from Prometheus and from the metrics scraper: `promql/queries.yaml` over `promql/series.yaml`."""

from __future__ import annotations

import math
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from metrics_scraper.labels import make
from metrics_scraper.numbers import STALE
from metrics_scraper.service import Service, Settings
from metrics_scraper.web import application

from tests.images import prometheus
from tests.images.conftest import port_for_tests
from tests.images.promql.made_up import Maker

Ours = TestClient[Any, Any]

FOLDER = Path(__file__).with_name("promql")
# 2026-01-01T00:00:00Z: whole multiples of every step of subqueries, as no query may depend on when it is asked.
BASE = 1_767_225_600
DATA = yaml.safe_load((FOLDER / "queries.yaml").read_text())


@dataclass(frozen=True)
class Asked:
    query: str
    ordered: bool = False
    refused: bool = False
    at: tuple[float, ...] = ()

    @classmethod
    def of(cls, row: Any) -> Asked:
        if isinstance(row, dict):
            return cls(row["query"], row.get("ordered", False), row.get("refused", False), tuple(row.get("at", ())))
        return cls(str(row))


QUERIES = [Asked.of(row) for row in DATA["queries"]]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prometheus.Running]:
    """Prometheus with the series of the file."""
    found = prometheus.program()
    folder = tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yml"
    config.write_text("global: {evaluation_interval: 15s}\n")
    running = prometheus.start(found, config, folder, port_for_tests(), "--web.enable-remote-write-receiver")
    try:
        running.ready()
        for portion in prometheus.in_order(prometheus.load(FOLDER / "series.yaml", 1000 * BASE)):
            running.write(portion)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


@pytest.fixture(scope="module")
def service() -> Service:
    """The scraper over the same series, answering as the Prometheus that was found."""
    service = Service(Settings(), version=prometheus.version(prometheus.program()))
    service.engine.subquery_step = 15_000
    for labels, samples in prometheus.load(FOLDER / "series.yaml", 1000 * BASE):
        for when, value in samples:
            service.storage.append(make(labels), when, STALE if value == "stale" else float(value))
    return service


@pytest.fixture
async def ours(service: Service) -> AsyncIterator[Ours]:
    async with TestClient(TestServer(application(service))) as client:
        yield client


def ask(url: str, path: str, given: Mapping[str, Any]) -> tuple[int, Any]:
    return prometheus.get(f"{url}/api/v1/{path}?{urllib.parse.urlencode(given)}")


def close(left: str, right: str) -> bool:
    """The same number but for rounding: sums are made in another order here."""
    if left == right:
        return True
    one, other = float(left), float(right)
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (one != one and other != other)


def same(their: Any, our: Any, ordered: bool) -> str:
    """What differs between two results; empty where nothing does."""
    if their["resultType"] != our["resultType"]:
        return f"type {their['resultType']} and {our['resultType']}"
    if their["resultType"] in ("scalar", "string"):
        one, other = their["result"], our["result"]
        equal = one[0] == other[0] and (one[1] == other[1] or (their["resultType"] == "scalar" and close(one[1], other[1])))
        return "" if equal else f"{one} and {other}"
    key = (lambda each: 0) if ordered else (lambda each: sorted(each["metric"].items()))
    one, other = sorted(their["result"], key=key), sorted(our["result"], key=key)
    if [each["metric"] for each in one] != [each["metric"] for each in other]:
        return f"series {[each['metric'] for each in one]} and {[each['metric'] for each in other]}"
    for left, right in zip(one, other, strict=True):
        if wrong := _points(left, right):
            return f"{left['metric']}: {wrong}"
    return ""


def _points(left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    mine: Sequence[Any] = left.get("values") or [left["value"]]
    yours: Sequence[Any] = right.get("values") or [right["value"]]
    if [each[0] for each in mine] != [each[0] for each in yours]:
        return f"at {[each[0] for each in mine]} and {[each[0] for each in yours]}"
    return next((f"{one} and {other}" for one, other in zip(mine, yours, strict=True) if not close(one[1], other[1])), "")


def test_without_prometheus_the_test_is_left_out_but_in_ci_it_fails_where_apt_could_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "UNPACKED", tmp_path)
    monkeypatch.setattr(shutil, "which", {"apt-get": "/usr/bin/apt-get"}.get)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"get-prometheus\.sh"):
        prometheus.program()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="this is CI"):
        prometheus.program()
    monkeypatch.setattr(shutil, "which", {}.get)
    with pytest.raises(pytest.skip.Exception):
        prometheus.program()


def test_there_are_queries_enough_of_every_kind() -> None:
    assert len(QUERIES) >= 200
    assert len({each.query for each in QUERIES}) == len(QUERIES)


@pytest.mark.parametrize("asked", QUERIES, ids=lambda asked: asked.query or "nothing")
async def test_the_answers_are_the_same(asked: Asked, theirs: prometheus.Running, ours: Ours) -> None:
    wrong = []
    for moment in asked.at or DATA["moments"]:
        given = {"query": asked.query, "time": BASE + moment}
        wrong += [f"at {moment} s: {each}" for each in await _compared("query", given, asked, theirs, ours)]
    span = DATA["range"]
    if not asked.at:
        given = {"query": asked.query, "start": BASE + span["start"], "end": BASE + span["end"], "step": span["step"]}
        wrong += [f"over time: {each}" for each in await _compared("query_range", given, Asked(asked.query), theirs, ours)]
    assert not wrong, "\n".join(["Prometheus and the scraper:", *wrong[:5]])


@pytest.mark.parametrize("seed", range(4))
async def test_queries_that_nobody_thought_of_have_the_same_answers(seed: int, theirs: prometheus.Running, ours: Ours) -> None:
    maker, answered = Maker(seed), 0
    for place in range(150):
        asked = Asked(maker.vector())
        if place % 2:
            path, given = "query", {"query": asked.query, "time": BASE + (0, 450, 451, 900, 1200, 1333, 1800, 1810, 2101)[place % 9]}
        else:
            start = BASE + (0, 137, 600)[place % 3]
            path, given = "query_range", {"query": asked.query, "start": start, "end": start + 900, "step": (15, 37, 60)[place // 3 % 3]}
        assert await _compared(path, given, asked, theirs, ours) == [], given
        answered += bool(ask(theirs.url, path, given)[1].get("data", {}).get("result"))
    # A query without an answer compares little.
    assert answered > 40


async def _compared(path: str, given: Mapping[str, Any], asked: Asked, theirs: prometheus.Running, ours: Ours) -> list[str]:
    status, their = ask(theirs.url, path, given)
    async with ours.get(f"/api/v1/{path}", params={name: str(value) for name, value in given.items()}) as reply:
        our_status, our = reply.status, await reply.json()
    if asked.refused:
        assert their["status"] == "error", their
    if (status, their["status"], their.get("errorType")) != (our_status, our["status"], our.get("errorType")):
        return [f"{status} {their} and {our_status} {our}"]
    if their["status"] == "error":
        return []
    found = same(their["data"], our["data"], asked.ordered)
    return [found] if found else []
