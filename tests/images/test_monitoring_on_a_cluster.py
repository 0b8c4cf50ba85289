"""Monitoring on a live cluster: from the manifests to what a notebook and a check are told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import yaml

from lab_checks.engine.api import Api
from lab_checks.engine.context import Context
from lab_checks.engine.metrics import APPLY, Metrics, MetricsError, NoMonitoring, QueryRefused
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face import measured
from tests.conftest import ROOT, LiveCluster

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("monitoring")]

MONITORING = ROOT / "manifests" / "base" / "monitoring"
GENEROUS = 90.0
T = TypeVar("T")

# A server whose counter grows by one at every look.
SERVER = """
import http.server, itertools
seen = itertools.count(1)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"# TYPE looks_total counter\\nlooks_total{{code=\\"200\\"}} {next(seen)}\\n".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.HTTPServer(("0.0.0.0", 8000), Page).serve_forever()
"""


@pytest.fixture(scope="module")
def monitored(live_cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The cluster with the course's monitoring, and a Pod that asks to be scraped."""
    monitoring = _monitoring(live_cluster)
    monitoring.kubectl("apply", "-k", str(MONITORING))
    try:
        live_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_pod("looked-at")))
        monitoring.kubectl("rollout", "status", "deployment/prometheus", f"--timeout={GENEROUS:.0f}s")
        yield live_cluster
    finally:
        live_cluster.run("delete", "pods", "--all", "--grace-period=1")
        monitoring.run("delete", "-k", str(MONITORING), "--ignore-not-found")


def _monitoring(cluster: LiveCluster) -> LiveCluster:
    return replace(cluster, namespace="monitoring")


def _pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "looker"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "python:3.12-slim", "command": ["python3", "-c", SERVER]}],
        },
    }


def _eventually(ask: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    deadline = time.monotonic() + GENEROUS
    while True:
        try:
            found = ask()
        except MetricsError:
            if time.monotonic() > deadline:
                raise
        else:
            if wanted(found):
                return found
            assert time.monotonic() < deadline, f"last: {found}"
        time.sleep(0.2)


def _metrics(cluster: LiveCluster) -> Metrics:
    return Metrics(Api(cluster.kubeconfig))


def _context(cluster: LiveCluster) -> Context:
    def nobody() -> Any:
        raise AssertionError("no check of this test asks what the learner did")

    return Context(Api(cluster.kubeconfig), None, {}, {}, nobody)  # type: ignore[arg-type]


def test_a_pod_that_asks_for_it_is_scraped_and_forgotten_when_it_goes(monitored: LiveCluster) -> None:
    metrics = _metrics(monitored)
    monitored.kubectl("apply", "-f", "-", stdin=json.dumps(_pod("goes")))
    monitored.kubectl("wait", "--for=condition=Ready", "pod/goes", f"--timeout={GENEROUS:.0f}s")
    (found,) = _eventually(lambda: metrics.query('looks_total{pod="goes"} > 2'), bool)
    node = monitored.get("pod", "goes")["spec"]["nodeName"]
    assert {name: found.labels[name] for name in ("job", "namespace", "node", "code")} == {
        "job": "looker",
        "namespace": "default",
        "node": node,
        "code": "200",
    }
    (rate,) = _eventually(lambda: metrics.query('rate(looks_total{pod="goes"}[30s])'), bool)
    # One look every two seconds; while the series is younger than the range, the rate is lower.
    assert 0 < rate.value < 1.5
    monitored.kubectl("delete", "pod", "goes", "--wait=true")
    _eventually(lambda: metrics.query('{pod="goes", job=~".+"}'), lambda found: not found)
    assert metrics.query('count_over_time(looks_total{pod="goes"}[5m])')[0].value > 2


def test_the_gpu_plugin_tells_who_holds_a_gpu_beside_who_says_so(monitored: LiveCluster) -> None:
    found = _eventually(lambda: _metrics(monitored).query("DCGM_FI_DEV_FB_FREE"), lambda found: len(found) == 3)
    assert {sample.labels["node"] for sample in found} == {"ai-lab-worker2", "ai-lab-worker3"}
    assert all(sample.labels["Hostname"] == sample.labels["node"] for sample in found)


def test_a_rule_that_is_applied_fires_and_a_broken_one_is_told(monitored: LiveCluster) -> None:
    metrics = _metrics(monitored)
    rule = {
        "alert": "LookedAt",
        "expr": 'looks_total{pod="looked-at"} > 0',
        "for": "2s",
        "labels": {"severity": "page"},
        "annotations": {"summary": "{{ $labels.pod }} was looked at"},
    }

    def apply(*rules: dict[str, Any]) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prometheus-rules", "namespace": "monitoring"},
            "data": {"rules.yml": yaml.safe_dump({"groups": [{"name": "g", "rules": list(rules)}]})},
        }
        _monitoring(monitored).kubectl("apply", "-f", "-", stdin=json.dumps(body))

    apply(rule)
    (alert,) = _eventually(metrics.alerts, lambda found: [each.state for each in found] == ["firing"])
    assert (alert.name, alert.labels["severity"], alert.annotations["summary"]) == ("LookedAt", "page", "looked-at was looked at")
    assert [(each.name, each.kind, each.state, each.hold, each.health) for each in metrics.rules()] == [
        ("LookedAt", "alerting", "firing", 2.0, "ok")
    ]
    assert _context(monitored).alerts()[0].state == "firing"
    apply({**rule, "expr": "looks_total >"})
    assert "could not parse expression" in _eventually(metrics.reload_error, bool)
    assert [each.query for each in metrics.rules()] == [rule["expr"]]
    apply()
    _eventually(metrics.rules, lambda found: not found)
    assert metrics.reload_error() == ""


def test_monitoring_may_look_at_pods_and_do_nothing_else(monitored: LiveCluster) -> None:
    def may(verb: str, what: str) -> bool:
        account = "system:serviceaccount:monitoring:prometheus"
        kind, _, below = what.partition("/")
        answer = monitored.run("auth", "can-i", verb, kind, f"--subresource={below}", f"--as={account}", "--all-namespaces")
        return answer.stdout.strip() == "yes"

    assert all(may(verb, "pods") for verb in ("get", "list", "watch"))
    denied = [
        ("get", "secrets"),
        ("list", "configmaps"),
        ("get", "pods/log"),
        ("create", "pods/exec"),
        ("delete", "pods"),
        ("list", "nodes"),
    ]
    assert not [each for each in denied if may(*each)]


def test_a_notebook_gets_tables_and_pictures_with_their_text(monitored: LiveCluster) -> None:
    metrics = _metrics(monitored)
    _eventually(lambda: metrics.query('looks_total{pod="looked-at"} > 3'), bool)
    answer = measured.query(metrics, "up")
    assert "looked-at" in repr(answer)
    assert "<table>" in answer._repr_html_()
    assert measured.query(metrics, "1 + 1").value == 2
    assert "no series" in repr(measured.query(metrics, "nothing_at_all"))
    plot = measured.plot(metrics, {"looks": "looks_total", "gone": "nothing_at_all"}, 2, "Looks", "1", None, None)
    assert any(name.startswith("looks") for name in plot.lines)
    assert plot._repr_html_().count("<polyline") >= 1
    assert repr(plot).splitlines()[1].split() == ["line", "first", "smallest", "largest", "last"]


def test_what_cannot_be_answered_ends_a_check_in_words(monitored: LiveCluster) -> None:
    ctx = _context(monitored)
    with pytest.raises(Stop) as stopped:
        ctx.query("rate(looks_total)")
    assert stopped.value.verdict.outcome is Outcome.FAILED
    assert "expected type" in stopped.value.verdict.seen[1].value
    with pytest.raises(QueryRefused, match="a range of samples"):
        ctx.metrics.query("looks_total[1m]")
    with pytest.raises(NoMonitoring, match="service/prometheus in namespace default") as absent:
        Metrics(ctx.api, namespace="default").query("up")
    assert absent.value.next == APPLY
    # A Service without anybody behind it is not an end, but a wait.
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prometheus"},
        "spec": {"ports": [{"port": 9090}], "selector": {"a": "b"}},
    }
    monitored.kubectl("apply", "-f", "-", stdin=json.dumps(service))
    ctx.metrics = Metrics(ctx.api, namespace="default")
    with pytest.raises(Stop) as waiting:
        ctx.query_range("up", 0, 10, 1)
    assert waiting.value.verdict.outcome is Outcome.NOT_YET
    monitored.kubectl("delete", "service", "prometheus")
