"""Which program monitors, and what of its answers reaches people: without a cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from lab_checks.engine import manifests, monitoring, paths
from lab_checks.engine.api import Api
from lab_checks.engine.metrics import Metrics, NoMonitoring, NotAnswering, QueryRefused, Sample
from lab_checks.face import measured, pictures
from tests.lab_checks.guards.world import Lists

BASE = paths.root() / "manifests" / "base"


def _node(name: str, *images: str, tainted: bool = False) -> dict[str, Any]:
    taints = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}] if tainted else []
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"taints": taints},
        "status": {"images": [{"names": [f"{each.partition(':')[0]}@sha256:1", each]} for each in images]},
    }


def test_prometheus_runs_where_every_node_that_could_run_it_has_its_image() -> None:
    ours, theirs = monitoring.images()
    assert ours == "registry.example.com/metrics-scraper:v1"
    rendered = manifests.text(BASE / "monitoring")

    def image(*nodes: dict[str, Any]) -> str:
        found = monitoring.chosen(cast(Api, Lists(nodes=list(nodes))), rendered)
        return next(line.split()[1] for line in found.splitlines() if "image:" in line)

    assert image(_node("a", theirs), _node("gpu", tainted=True)) == theirs
    assert image(_node("a", theirs), _node("b")) == ours
    assert image(_node("a", ours)) == ours


def test_both_sets_of_manifests_differ_in_the_image_alone() -> None:
    ours, theirs = monitoring.images()
    rendered = manifests.text(BASE / "monitoring")
    assert manifests.text(BASE / "monitoring-by-prometheus") == rendered.replace(ours, theirs)
    assert rendered.count(ours) == 1


# Questions


class Answering:
    """An API that gives one answer, whatever is asked; `asked` are the queries."""

    def __init__(self, status: int, body: Any):
        self.status, self.body = status, body
        self.asked: list[tuple[str, Sequence[tuple[str, str]]]] = []

    def answer(self, kind: str, name: str, namespace: str, path: str, query: Sequence[tuple[str, str]] = ()) -> tuple[int, bytes]:
        self.asked.append((f"{kind}/{namespace}/{name}/{path}", query))
        return self.status, json.dumps(self.body).encode() if not isinstance(self.body, bytes) else self.body


def _asking(status: int, body: Any) -> tuple[Metrics, Answering]:
    api = Answering(status, body)
    return Metrics(cast(Api, api)), api


def test_a_query_goes_through_the_services_proxy() -> None:
    data = {"resultType": "vector", "result": [{"metric": {"__name__": "up", "pod": "a"}, "value": [12.5, "+Inf"]}]}
    metrics, api = _asking(200, {"status": "success", "data": data})
    (found,) = metrics.query("up", at=12.5)
    assert (found.name, found.labels["pod"], found.value, found.time) == ("up", "a", float("inf"), 12.5)
    assert api.asked == [("services/monitoring/prometheus:9090/api/v1/query", [("query", "up"), ("time", "12.5")])]


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (404, {"kind": "Status", "message": 'services "prometheus" not found'}, NoMonitoring, "there is no service/prometheus in namespace monitoring"),
        (503, {"kind": "Status", "message": "no endpoints available"}, NotAnswering, r"does not answer \(yet\)"),
        (403, {"kind": "Status", "message": "forbidden: no"}, NotAnswering, "you may not ask .* forbidden: no"),
        (502, b"not JSON", NotAnswering, "does not answer"),
        (400, {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed"}, QueryRefused, "parse error: unclosed"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_with_what_to_do(status: int, body: Any, error: type[Exception], says: str) -> None:
    metrics, _ = _asking(status, body)
    with pytest.raises(error, match=says):
        metrics.query("up")


def test_a_scalar_is_one_sample_and_a_range_is_refused() -> None:
    assert _asking(200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}})[0].query("1+1") == [
        Sample({}, 2.0, 1.0)
    ]
    with pytest.raises(QueryRefused, match="a range of samples") as refused:
        _asking(200, {"status": "success", "data": {"resultType": "matrix", "result": []}})[0].query("up[5m]")
    assert "rate( )" in refused.value.next


# What a notebook shows


def _samples(*labels: dict[str, str]) -> list[Sample]:
    return [Sample(each, float(place), 0.0) for place, each in enumerate(labels)]


def test_a_table_has_the_labels_that_tell_its_rows_apart() -> None:
    rows = _samples({"pod": "a", "instance": "1", "job": "x"}, {"pod": "b", "instance": "2", "job": "x"})
    assert repr(measured.Answer("up", rows)).splitlines() == ["up", "  pod  value", "  a    0", "  b    1"]
    single = measured.Answer("up", _samples({"__name__": "up", "job": "x"}))
    assert repr(single).splitlines()[1].split() == ["metric", "job", "value"]
    assert single.value == 0
    with pytest.raises(ValueError, match="gives 2 values"):
        _ = measured.Answer("up", rows).value


def test_a_line_is_named_by_as_few_labels_as_tell_it_apart() -> None:
    series = [
        {"metric": {"pod": pod, "kind": kind, "instance": pod, "UUID": pod + kind}, "values": [[0, "1"]]} for pod in "ab" for kind in "xy"
    ]
    metrics, api = _asking(200, {"status": "success", "data": {"resultType": "matrix", "result": series}})
    plot = measured.plot(metrics, "depth", 5, "", "", 600.0, None)
    assert list(plot.lines) == ["a, x", "a, y", "b, x", "b, y"]
    assert dict(api.asked[0][1])["start"] == "300.0"
    many = [{"metric": {"pod": str(number)}, "values": [[0, "1"]]} for number in range(20)]
    metrics, _ = _asking(200, {"status": "success", "data": {"resultType": "matrix", "result": many}})
    plot = measured.plot(metrics, "depth", 5, "", "", None, None)
    assert "12 more lines are left out" in plot.caption


def test_a_picture_leaves_gaps_open_and_says_in_words_what_it_shows() -> None:
    points = [(0.0, 1.0), (1.0, 2.0), (2.0, float("nan")), (3.0, 4.0), (20.0, 5.0), (21.0, 6.0)]
    picture = pictures.lines("Queue <depth>", {"a": points}, 0, 30, "s", ("0", "30"))
    assert picture.count("<polyline") == 2
    assert "<title>Queue &lt;depth&gt;</title>" in picture
    assert pictures.lines("Nothing", {}, 0, 0, "", ("", "")).startswith("<svg role='img'".replace("'", '"'))
    plot = measured.Plot("Queue", "requests", {"a": points, "b": [(0.0, float("nan"))]}, 0, 30)
    assert [line.split() for line in repr(plot).splitlines()[2:]] == [["a", "1", "1", "6", "6"], ["b", "no", "value"]]
