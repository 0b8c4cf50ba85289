"""The metrics adapter: from a page of /metrics to what an autoscaler is told, and who may ask."""

from __future__ import annotations

import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

import pytest
from metrics_adapter import api, exposition, scraping, selectors, series
from metrics_adapter.access import Authorizer, Caller, Trust
from metrics_adapter.api import Api, Asked, Refused
from metrics_adapter.cluster import ClusterError
from metrics_adapter.series import Reading

PAGE = """\
# HELP model_queue_depth Requests that wait.
# TYPE model_queue_depth gauge
model_queue_depth 3.0
# TYPE model_requests_total counter
model_requests_total{kind="summarize",code="200"} 10.0
model_requests_total{kind="classify",code="200"} 4 1700000000000
# TYPE model_latency_seconds histogram
model_latency_seconds_bucket{le="+Inf"} 5
model_latency_seconds_count 5
model_latency_seconds_sum 2.5
odd{text="a \\"b\\", c\\\\d\\n"} 1
broken{ 7
not_a_number NaN
"""


def reading(at: float, page: str) -> Reading:
    return Reading(at, tuple(exposition.parse(page)))


def test_a_page_is_read_with_labels_and_types() -> None:
    found = {(each.name, each.labels.get("kind", "")): each for each in exposition.parse(PAGE)}
    assert found["model_queue_depth", ""].value == 3
    assert found["model_requests_total", "classify"].labels == {"kind": "classify", "code": "200"}
    assert found["model_latency_seconds_count", ""].kind == "histogram"
    assert found["odd", ""].labels == {"text": 'a "b", c\\d\n'}
    assert ("broken", "") not in found


def test_a_gauge_is_there_at_once_and_a_counter_as_its_rate() -> None:
    first = reading(100.0, PAGE)
    assert set(series.metrics(first, None)) == {"model_queue_depth", "odd"}
    later = PAGE.replace(" 10.0", " 40.0").replace("_count 5", "_count 15")
    found = series.metrics(reading(110.0, later), first)
    assert [(each.labels["kind"], each.value, each.seconds) for each in found["model_requests_per_second"]] == [
        ("summarize", 3.0, 10.0),
        ("classify", 0.0, 10.0),
    ]
    assert found["model_latency_seconds_count_per_second"][0].value == 1.0
    assert not any("bucket" in each for each in found)


def test_a_counter_that_fell_has_begun_anew() -> None:
    later = PAGE.replace('code="200"} 10.0', 'code="200"} 2.0')
    found = series.metrics(reading(101.0, later), reading(100.0, PAGE))
    assert found["model_requests_per_second"][0].value == 2.0


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("app=api", {"app": "api"}, True),
        ("app==api,tier!=x", {"app": "api"}, True),
        ("app!=api", {"app": "api"}, False),
        ("app in (api, web),!canary", {"app": "web"}, True),
        ("app in (api, web),!canary", {"app": "web", "canary": ""}, False),
        ("app notin (api)", {}, True),
        ("canary", {"canary": "yes"}, True),
    ],
)
def test_selectors_match_as_kubernetes_does(text: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.parse(text)(labels) is matches


def test_a_selector_that_is_none_is_refused() -> None:
    with pytest.raises(selectors.BadSelector):
        selectors.parse("a in (b")


def test_a_deployments_selector_is_read_whole() -> None:
    rules = [{"key": "tier", "operator": "NotIn", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]
    found = selectors.of({"matchLabels": {"app": "api"}, "matchExpressions": rules})
    assert found({"app": "api", "tier": "c"})
    assert not found({"app": "api", "tier": "a"})
    assert not found({"app": "api", "old": "1"})


def pod(
    name: str, *, ports: Any = (), notes: Any = None, ip: str = "10.0.0.1", phase: str = "Running", labels: Any = None
) -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "annotations": notes or {}, "labels": labels or {}}
    listed = [{"name": each, "containerPort": number} for each, number in ports]
    return {"metadata": metadata, "spec": {"containers": [{"ports": listed}]}, "status": {"phase": phase, "podIP": ip}}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (pod("a", ports=[("http", 8080)]), "http://10.0.0.1:8080/metrics"),
        (pod("a", ports=[("http", 8080), ("metrics", 9100)]), "http://10.0.0.1:9100/metrics"),
        (pod("a", ports=[("grpc", 50051)]), None),
        (pod("a", ports=[("grpc", 50051)], notes={"prometheus.io/scrape": "true"}), "http://10.0.0.1:50051/metrics"),
        (pod("a", notes={"prometheus.io/port": "9", "prometheus.io/path": "m", "prometheus.io/scheme": "https"}), "https://10.0.0.1:9/m"),
        (pod("a", ports=[("http", 1)], notes={"prometheus.io/scrape": "false"}), None),
        (pod("a", ports=[("http", 1)], phase="Pending"), None),
        (pod("a", ports=[("http", 1)], ip="fd00::1"), "http://[fd00::1]:1/metrics"),
    ],
)
def test_where_a_pod_is_read(given: dict[str, Any], url: str | None) -> None:
    assert scraping.address(given) == url


class Page(BaseHTTPRequestHandler):
    page = PAGE

    def do_GET(self) -> None:
        body = self.page.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class FakeCluster:
    """What the API server says, by path; posts are answered with `allowed`."""

    def __init__(self, **answers: Any):
        self.answers = answers
        self.reviews: list[dict[str, Any]] = []
        self.allowed = True

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        for end, found in self.answers.items():
            if path.endswith(end):
                return cast(dict[str, Any], found)
        raise ClusterError(f"GET {path}: 404", 404)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.reviews.append(body["spec"])
        return {"status": {"allowed": self.allowed}}


@pytest.fixture
def served() -> Any:
    """An Api over two Pods: one that answers, and one whose port is closed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    labels = {"app": "api"}
    pods = [pod("a", ports=[("http", port)], ip="127.0.0.1", labels=labels), pod("b", ports=[("http", 9)], ip="127.0.0.1", labels=labels)]
    cluster = FakeCluster(
        pods={"items": pods}, api={"spec": {"selector": {"app": "api"}}}, deploy={"spec": {"selector": {"matchLabels": {"app": "no"}}}}
    )
    yield Api(cast(Any, cluster), scraping.Scraper(cast(Any, cluster)))
    server.shutdown()
    server.server_close()


def ask(served: Api, path: str, **query: str) -> Any:
    asked = api.parse(path)
    assert asked is not None
    return served.values(asked, query)


CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns"


def test_pods_are_told_of_one_by_one_and_those_that_do_not_answer_are_left_out(served: Api) -> None:
    found = ask(served, f"{CUSTOM}/pods/*/model_queue_depth", labelSelector="app=api")
    [item] = found["items"]
    assert found["kind"] == "MetricValueList"
    assert item["describedObject"] == {"kind": "Pod", "namespace": "ns", "name": "a", "apiVersion": "v1"}
    assert (item["metric"]["name"], item["value"]) == ("model_queue_depth", "3")


def test_owners_and_namespaces_are_the_sum_of_their_pods(served: Api) -> None:
    assert ask(served, f"{CUSTOM}/services/api/model_queue_depth")["items"][0]["value"] == "3"
    assert ask(served, f"{CUSTOM}/metrics/model_queue_depth")["items"][0]["describedObject"]["kind"] == "Namespace"
    with pytest.raises(Refused, match=r"could not find the metric model_queue_depth for deployments\.apps deploy"):
        ask(served, f"{CUSTOM}/deployments.apps/deploy/model_queue_depth")
    with pytest.raises(Refused, match='services "gone" not found'):
        ask(served, f"{CUSTOM}/services/gone/model_queue_depth")


def test_a_metric_that_nobody_has_is_refused_and_an_external_one_is_an_empty_list(served: Api) -> None:
    with pytest.raises(Refused) as refused:
        ask(served, f"{CUSTOM}/pods/*/nothing")
    assert (refused.value.code, str(refused.value)) == (404, "the server could not find the metric nothing for pods")
    assert ask(served, f"{EXTERNAL}/nothing")["items"] == []


def test_an_external_metric_has_every_series_with_its_pod(served: Api) -> None:
    [item] = ask(served, f"{EXTERNAL}/model_queue_depth", labelSelector="pod=a")["items"]
    assert (item["metricName"], item["metricLabels"], item["value"]) == ("model_queue_depth", {"pod": "a"}, "3")
    assert ask(served, f"{EXTERNAL}/model_queue_depth", labelSelector="pod=b")["items"] == []


def test_a_rate_comes_with_a_second_reading(served: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 110.0])
    at = [next(moments)]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    ask(served, f"{CUSTOM}/pods/*/model_queue_depth")
    at[0] = next(moments)
    monkeypatch.setattr(Page, "page", PAGE.replace(" 10.0", " 40.0"))
    [item] = ask(served, f"{CUSTOM}/pods/*/model_requests_per_second")["items"]
    assert (item["value"], item["windowSeconds"]) == ("3", 10)
    [item] = ask(served, f"{CUSTOM}/pods/*/model_requests_per_second", metricLabelSelector="kind=classify")["items"]
    assert item["value"] == "0"


def test_discovery_names_what_was_seen(served: Api) -> None:
    ask(served, f"{CUSTOM}/pods/*/model_queue_depth")
    known = served._scraper.known()
    custom = api.discovery("/apis/custom.metrics.k8s.io/v1beta2", known)
    external = api.discovery("/apis/external.metrics.k8s.io/v1beta1", known)
    assert custom is not None
    assert external is not None
    assert "pods/model_queue_depth" in [each["name"] for each in custom["resources"]]
    assert "model_queue_depth" in [each["name"] for each in external["resources"]]
    assert api.discovery("/apis/other.example.com/v1", known) is None


TRUST = Trust("", ("front-proxy-client",), ("X-Remote-User",), ("X-Remote-Group",))


def headers(**sent: str) -> Any:
    found = Message()
    for name, value in sent.items():
        found[name.replace("_", "-")] = value
    return found


@pytest.mark.parametrize(
    ("certificate", "sent", "name"),
    [
        ({"subject": ((("commonName", "front-proxy-client"),),)}, {"X_Remote_User": "jane", "X_Remote_Group": "g"}, "jane"),
        ({"subject": ((("commonName", "somebody"),),)}, {"X_Remote_User": "jane"}, None),
        (None, {"X_Remote_User": "jane"}, None),
        ({"subject": ((("commonName", "front-proxy-client"),),)}, {}, None),
    ],
)
def test_only_the_api_server_says_who_asks(certificate: Any, sent: dict[str, str], name: str | None) -> None:
    caller = TRUST.caller(certificate, headers(**sent))
    assert (caller.name if caller else None) == name


def test_the_api_server_decides_and_is_not_asked_again_at_once() -> None:
    cluster = FakeCluster()
    authorizer = Authorizer(cast(Any, cluster))
    asked = api.parse(f"{CUSTOM}/pods/*/model_queue_depth")
    assert asked == Asked(*api.CUSTOM, "ns", "pods", "*", "model_queue_depth")
    jane = Caller("jane", ("g",))
    assert authorizer.allows(jane, "get", asked)
    cluster.allowed = False
    assert authorizer.allows(jane, "get", asked)
    assert not authorizer.allows(Caller("joe", ()), "get", asked)
    assert authorizer.allows(Caller("root", ("system:masters",)), "get", asked)
    attributes = {"namespace": "ns", "verb": "get", "group": "custom.metrics.k8s.io", "version": "v1beta2", "resource": "pods"}
    assert cluster.reviews[0] == {
        "user": "jane",
        "groups": ["g"],
        "resourceAttributes": attributes | {"name": "*", "subresource": "model_queue_depth"},
    }
    assert len(cluster.reviews) == 2
