"""Prometheus and the metrics scraper, as processes with the same prometheus.yml and rules, on the same targets: what both make of them."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images import prometheus
from tests.images.conftest import IMAGES, Start, port_for_tests
from tests.images.target import Target, serving
from tests.images.test_promql_beside_prometheus import ask

MONITORING = IMAGES.parent / "manifests" / "base" / "monitoring"
META = "__meta_kubernetes_"
PAGE = """\
# HELP requests_total Requests, by code.
# TYPE requests_total counter
requests_total{code="200"} 17
requests_total{code="500",pod="the page's own"} 3
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} 1
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_sum 3.5
latency_seconds_count 4
# HELP depth Two lines:\\nand a \\\\.
# TYPE depth gauge
depth{text="with \\"quotes\\", a \\\\ and\\na line"} -2.5e3
odd{kind="nan"} NaN
odd{kind="inf"} +Inf
untyped_one 1
"""
RULES = """\
groups:
  - name: service
    rules:
      - record: job:requests:sum
        expr: sum by (job) (requests_total)
        labels: {level: job}
      - alert: ManyErrors
        expr: requests_total{code="500"} > 2
        labels: {severity: page, of: "{{ $labels.exported_pod }}"}
        annotations:
          summary: '{{ $labels.pod }} has {{ $value }} errors ({{ $value | humanize }}, {{ printf "%.1f" $value }})'
      - alert: Slow
        expr: latency_seconds_sum > 1
        for: 1h
      - alert: Quiet
        expr: depth > 0
"""


@dataclass
class Both:
    """`theirs` and `ours` are addresses. What two servers see in the same moment differs by their own times."""

    theirs: str
    ours: str
    target: Target

    def get(self, path: str, **given: str) -> tuple[Any, Any]:
        answers = []
        for url in (self.theirs, self.ours):
            status, body = ask(url, path, given)
            assert status == 200, body
            answers.append(body["data"])
        return answers[0], answers[1]

    def agree(self, look: Callable[[Any], Any], path: str, wanted: Callable[[Any], bool] = bool, **given: str) -> Any:
        """Waits until both answer the same and what is `wanted`; returns it."""
        deadline = time.monotonic() + 40
        while True:
            their, our = (look(each) for each in self.get(path, **given))
            if their == our and wanted(their):
                return their
            assert time.monotonic() < deadline, f"Prometheus: {their}\nours: {our}"
            time.sleep(0.1)

    def values(self, query: str, wanted: Callable[[Any], bool] = bool) -> Any:
        return self.agree(_values, "query", wanted, query=query)


def _values(data: Any) -> list[tuple[list[tuple[str, str]], str]]:
    return sorted((sorted(each["metric"].items()), each["value"][1]) for each in data["result"])


def _configuration(target: Target, absent: str, folder: Path) -> Path:
    """The course's own prometheus.yml, with Pods that are written down in the place of Pods that are found."""
    data = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    job = data["scrape_configs"][0]
    del job["kubernetes_sd_configs"]
    pod = {f"{META}namespace": "ai-platform", f"{META}pod_node_name": "worker", f"{META}pod_phase": "Running"}
    wanted = {f"{META}pod_annotation_prometheus_io_scrape": "true"}
    host, _, port = target.address.partition(":")
    job["static_configs"] = [
        {"targets": [target.address], "labels": {**pod, **wanted, f"{META}pod_name": "api-1", f"{META}pod_label_app": "api"}},
        {
            "targets": [f"{host}:1"],
            "labels": {
                **pod, **wanted, f"{META}pod_name": "api-2", f"{META}pod_annotation_prometheus_io_port": port,
                f"{META}pod_annotation_prometheus_io_path": "/other/path",
            },
        },
        {"targets": [absent], "labels": {**pod, **wanted, f"{META}pod_name": "api-3"}},
        {"targets": [target.address], "labels": {**pod, f"{META}pod_name": "not-asked"}},
        {"targets": [target.address], "labels": {**pod, **wanted, f"{META}pod_name": "ended", f"{META}pod_phase": "Succeeded"}},
    ]  # fmt: skip
    data["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    data["rule_files"] = ["rules/*.yml"]
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.yml").write_text(RULES)
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(data))
    return config


@pytest.fixture
def both(tmp_path: Path, start: Start) -> Iterator[Both]:
    found = prometheus.program()
    with serving(PAGE) as target:
        config = _configuration(target, f"127.0.0.1:{port_for_tests()}", tmp_path)
        theirs = prometheus.start(found, config, tmp_path, port_for_tests(), "--web.enable-lifecycle")
        port = port_for_tests()
        process = start("metrics_scraper", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle")
        try:
            theirs.ready()
            prometheus.Running(f"http://127.0.0.1:{port}", process, tmp_path / "none").ready()
            yield Both(theirs.url, f"http://127.0.0.1:{port}", target)
        finally:
            theirs.process.terminate()
            theirs.process.wait(30)


def test_targets_samples_rules_and_alerts_are_the_same(both: Both) -> None:
    def targets(data: Any) -> Any:
        shown = ("labels", "scrapePool", "scrapeUrl", "health", "scrapeInterval", "scrapeTimeout")
        active = [
            # Prometheus 2.42 shows what relabelling made of the other discovered labels.
            {**{name: each[name] for name in shown}, **{name: value for name, value in each["discoveredLabels"].items() if META in name}}
            for each in data["activeTargets"]
        ]
        dropped = [each["discoveredLabels"][f"{META}pod_name"] for each in data["droppedTargets"]]
        return sorted(active, key=lambda each: each["labels"]["pod"]), sorted(dropped)

    active, dropped = both.agree(targets, "targets", lambda found: all(each["health"] != "unknown" for each in found[0]))
    assert [(each["labels"]["pod"], each["labels"]["job"], each["health"]) for each in active] == [
        ("api-1", "api", "up"),
        ("api-2", "kubernetes-pods", "up"),
        ("api-3", "kubernetes-pods", "down"),
    ]
    assert dropped == ["ended", "not-asked"]

    assert len(both.values("up", lambda found: len(found) == 3)) == 3
    # A NaN is not equal to itself, but its text is; what the pages have and what a scrape adds, all but how long it took.
    everything = '{job=~".+", __name__!~"scrape_duration_seconds|scrape_series_added|ALERTS_FOR_STATE|.*requests:sum"}'
    samples = both.values(everything, lambda found: len(found) > 25)
    names = {dict(labels)["__name__"] for labels, _ in samples}
    assert names >= {"requests_total", "latency_seconds_bucket", "odd", "untyped_one", "scrape_samples_scraped", "ALERTS"}
    assert any(dict(labels).get("exported_pod") == "the page's own" for labels, _ in samples)

    assert len(both.values("job:requests:sum", lambda found: len(found) == 2)) == 2

    def alerts(data: Any) -> Any:
        shown = ("labels", "annotations", "state", "value")
        return sorted(({name: each[name] for name in shown} for each in data["alerts"]), key=str)

    found = both.agree(alerts, "alerts", lambda found: sum(each["state"] == "firing" for each in found) == 2)
    assert [each["annotations"]["summary"] for each in found if each["labels"]["alertname"] == "ManyErrors"] == [
        "api-1 has 3 errors (3, 3.0)",
        "api-2 has 3 errors (3, 3.0)",
    ]
    assert {each["labels"]["alertname"]: each["state"] for each in found} == {"ManyErrors": "firing", "Slow": "pending"}

    def rules(data: Any) -> Any:
        times = ("evaluationTime", "lastEvaluation", "alerts")
        groups = []
        for group in data["groups"]:
            kept = [{name: value for name, value in rule.items() if name not in times} for rule in group["rules"]]
            # What Prometheus tells of newer versions is not looked at in older ones.
            groups.append((group["name"], group["file"], group["interval"], [{**rule, "keepFiringFor": 0} for rule in kept]))
        return groups

    both.agree(rules, "rules")
    for path in ("labels", "label/__name__/values", "label/exported_pod/values", "label/le/values", "label/nothing/values"):
        both.agree(lambda data: data, path, lambda found: True)
    both.agree(
        lambda data: sorted(map(str, map(sorted, (each.items() for each in data)))),
        "series",
        **{"match[]": 'latency_seconds_bucket{pod="api-1"}'},
    )
    both.agree(lambda data: {name: data[name] for name in ("requests_total", "depth", "latency_seconds")}, "metadata")


def test_what_is_gone_is_not_seen_any_longer(both: Both) -> None:
    both.values("count(requests_total)", lambda found: found and found[0][1] == "4")
    both.target.page = PAGE.replace('requests_total{code="200"} 17\n', "")
    both.values("count(requests_total)", lambda found: found and found[0][1] == "2")
    both.target.status = 500
    both.values("sum(up)", lambda found: found and found[0][1] == "0")
    both.values("requests_total or latency_seconds_count", lambda found: not found)
    # An alert that has no sample any longer is over, and so is its series.
    both.values('ALERTS{alertname="ManyErrors"}', lambda found: not found)
    assert all(data["alerts"] == [] for data in both.get("alerts"))
    errors = [{each["labels"]["pod"]: each["lastError"] for each in data["activeTargets"]} for data in both.get("targets")]
    assert errors[0]["api-1"] == errors[1]["api-1"] == "server returned HTTP status 500 Internal Server Error"
    assert all("connection refused" in each["api-3"] for each in errors), errors
    both.target.status = 200
    both.values("count(requests_total)", lambda found: found and found[0][1] == "2")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("query", {}),
        ("query", {"query": "up", "time": "yesterday"}),
        ("query_range", {"query": "up", "start": "0", "end": "10"}),
        ("query_range", {"query": "up", "start": "10", "end": "0", "step": "1"}),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "0"}),
        ("query_range", {"query": "up", "start": "0", "end": "100000", "step": "1"}),
        ("query_range", {"query": "up[5m]", "start": "0", "end": "10", "step": "1"}),
        ("query_range", {"query": '"text"', "start": "0", "end": "10", "step": "1"}),
        ("query_range", {"query": "up", "start": "0", "end": "10", "step": "often"}),
        ("series", {}),
        ("series", {"match[]": "rate(up[5m])"}),
        ("series", {"match[]": "up{"}),
        ("rules", {"type": "nonsense"}),
    ],
    ids=lambda value: urllib.parse.urlencode(value) if isinstance(value, dict) else value,
)
def test_a_request_that_cannot_be_answered_gets_the_same_status_and_type(
    servers: tuple[str, str], path: str, given: dict[str, str]
) -> None:
    (their_status, their), (our_status, our) = (ask(url, path, given) for url in servers)
    assert (our_status, our["status"], our["errorType"]) == (their_status, their["status"], their["errorType"])
    # Where Prometheus names the parameter, so do we; the parser's words are the parser's. Newer ones name it more often.
    assert our["error"].partition(":")[0] == their["error"].partition(":")[0] or our["error"].endswith(f": {their['error']}")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Both without anything to scrape."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("servers")
    config = folder / "prometheus.yml"
    config.write_text("scrape_configs: []\n")
    theirs = prometheus.start(prometheus.program(), config, folder, port_for_tests())
    port = port_for_tests()
    process = subprocess.Popen(
        [sys.executable, "-m", "metrics_scraper", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"],
        env={"PYTHONPATH": str(IMAGES / "metrics_scraper")},
        stdout=subprocess.DEVNULL,
    )
    ours = prometheus.Running(f"http://127.0.0.1:{port}", process, folder / "none")
    try:
        theirs.ready()
        ours.ready()
        yield theirs.url, ours.url
    finally:
        for each in (theirs.process, process):
            each.terminate()
            each.wait(30)
