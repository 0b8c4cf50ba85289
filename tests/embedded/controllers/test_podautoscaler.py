"""What an autoscaler makes of the measured use of Pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hollow import HollowCluster

from clusters.embedded.controllers.podautoscaler import calculator, metrics_apis
from clusters.embedded.controllers.podautoscaler.stabilization import Memory
from clusters.embedded.errors import ApiError
from kubeobjects import Object

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HALF = {"type": "Utilization", "averageUtilization": 50}


def pod(name: str, ready: str = "True", request: str | None = "100m") -> Object:
    requests = {"cpu": request} if request else {}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "resources": {"requests": requests}}]},
        "status": {
            "phase": "Running",
            "startTime": "2026-01-01T10:00:00Z",
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T10:00:01Z"}],
        },
    }


def used(cpu: str) -> Object:
    return {"containers": [{"name": "main", "usage": {"cpu": cpu}}]}


def replicas(current: int, pods: list[Object], metrics: dict[str, Object], target: Object = HALF) -> int:
    return calculator.wanted(current, pods, metrics, target, "cpu", "", NOW).replicas


def test_twice_the_target_asks_for_twice_the_pods() -> None:
    assert replicas(2, [pod("a"), pod("b")], {"a": used("100m"), "b": used("100m")}) == 4


def test_a_tenth_more_or_less_changes_nothing() -> None:
    assert replicas(2, [pod("a"), pod("b")], {"a": used("54m"), "b": used("54m")}) == 2
    assert replicas(2, [pod("a"), pod("b")], {"a": used("46m"), "b": used("46m")}) == 2


def test_idle_pods_are_given_back() -> None:
    assert replicas(4, [pod(each) for each in "abcd"], {each: used("10m") for each in "abcd"}) == 1


def test_a_pod_without_measurement_speaks_against_the_change() -> None:
    assert replicas(2, [pod("a"), pod("b")], {"a": used("100m")}) == 2


def test_an_average_value_needs_no_requests() -> None:
    assert replicas(1, [pod("a", request=None)], {"a": used("300m")}, {"type": "AverageValue", "averageValue": "100m"}) == 3


def test_a_missing_request_is_named() -> None:
    with pytest.raises(calculator.MetricError, match="missing request for cpu in container main of Pod a"):
        replicas(1, [pod("a", request=None)], {"a": used("10m")})


def test_the_current_value_is_told_in_percent_and_per_pod() -> None:
    measured = calculator.wanted(2, [pod("a"), pod("b")], {"a": used("100m"), "b": used("50m")}, HALF, "cpu", "", NOW)
    assert (measured.utilization, measured.average) == (75, 75)


def test_shrinking_waits_for_five_minutes_of_low_use() -> None:
    memory = Memory()
    assert memory.stabilized({}, 4, 1, now=0.0) == 4
    assert memory.stabilized({}, 4, 1, now=299.0) == 4
    assert memory.stabilized({}, 4, 1, now=301.0) == 1


def test_growing_does_not_wait() -> None:
    assert Memory().stabilized({}, 2, 5, now=0.0) == 5


def test_growing_goes_by_doubling_or_by_four() -> None:
    assert Memory().limited({}, 1, 10, now=0.0) == 5
    assert Memory().limited({}, 8, 100, now=0.0) == 16
    grown = Memory()
    grown.note_change(0.0, 4)
    assert grown.limited({}, 5, 10, now=5.0) == 5
    assert grown.limited({}, 5, 10, now=20.0) == 10


def test_a_metric_of_pods_is_averaged_over_those_that_count() -> None:
    every = [pod("a"), pod("b"), {**pod("c"), "status": {"phase": "Pending"}}]
    assert calculator.wanted_plain(2, every[:2], {"a": 8000, "b": 4000}, 2000) == calculator.Measured(6, None, 6000)
    # On the way up, what has no value or does not run yet counts as idle.
    assert calculator.wanted_plain(2, every, {"a": 8000, "b": 4000}, 2000).replicas == 6
    assert calculator.wanted_plain(2, every[:2], {"a": 8000}, 2000).replicas == 4
    with pytest.raises(calculator.MetricError, match="did not receive metrics for targeted pods"):
        calculator.wanted_plain(1, every[:1], {"gone": 1000}, 2000)
    with pytest.raises(calculator.MetricError, match="no pods returned by selector"):
        calculator.wanted_plain(1, [], {"a": 1000}, 2000)


def test_a_value_that_all_pods_share_goes_by_its_ratio_or_for_each_pod() -> None:
    two = [pod("a"), pod("b"), pod("c", ready="False")]
    assert calculator.wanted_by_ratio(3, two, 2.0) == 4
    assert calculator.wanted_by_ratio(3, two, 1.05) == 3
    assert calculator.wanted_by_ratio(0, [], 2.5) == 3
    assert calculator.wanted_per_pod(2, 9000, 2000) == (5, 4500)
    assert calculator.wanted_per_pod(2, 4100, 2000) == (2, 2050)
    assert calculator.wanted_per_pod(0, 4100, 2000) == (3, 4100)


class Answers:
    """A client of which only aggregated APIs are asked: path and query → answer."""

    def __init__(self, **answers: Object):
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str], str]] = []

    async def get_raw(self, path: str, query: Any = None, *, account: str = "") -> Object:
        self.asked.append((path, dict(query or {}), account))
        for end, found in self.answers.items():
            if path.endswith(end.replace("__", ".")):
                return found
        raise ApiError(404, "NotFound", "the server could not find the requested resource")


CUSTOM = {"name": "custom.metrics.k8s.io", "preferredVersion": {"version": "v1beta2"}, "versions": [{"version": "v1beta2"}]}


async def test_pods_are_asked_about_by_their_labels() -> None:
    items = [{"describedObject": {"name": "a"}, "value": "1500m"}, {"describedObject": {"name": "b"}, "value": "3"}]
    client = Answers(custom__metrics__k8s__io=CUSTOM, queue_depth={"items": items})
    metric = {"name": "queue_depth", "selector": {"matchLabels": {"model": "v1"}}}
    assert await metrics_apis.of_pods(cast(Any, client), "ns", "app=api", metric) == {"a": 1500, "b": 3000}
    path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/queue_depth"
    query = {"labelSelector": "app=api", "metricLabelSelector": "model=v1"}
    assert client.asked[-1] == (path, query, "kube-system/horizontal-pod-autoscaler")


async def test_an_object_is_asked_about_by_its_resource() -> None:
    client = Answers(custom__metrics__k8s__io=CUSTOM, queue_depth={"items": [{"describedObject": {"name": "api"}, "value": "12"}]})
    described = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    assert await metrics_apis.of_object(cast(Any, client), "ns", described, {"name": "queue_depth"}) == 12000
    assert client.asked[-1][0].endswith("/namespaces/ns/deployments.apps/api/queue_depth")
    with pytest.raises(calculator.MetricError, match=r'unable to map kind Kite\.x to resource: no matches for kind "Kite" in group "x"'):
        await metrics_apis.of_object(cast(Any, client), "ns", {"apiVersion": "x/v1", "kind": "Kite", "name": "a"}, {"name": "q"})


async def test_an_external_metric_has_many_values_or_says_why_not() -> None:
    client = Answers(tokens={"items": [{"value": "1"}, {"value": "2500m"}]}, none={"items": []})
    assert await metrics_apis.external(cast(Any, client), "ns", {"name": "tokens"}) == [1000, 2500]
    with pytest.raises(calculator.MetricError, match="no metrics returned from external metrics API"):
        await metrics_apis.external(cast(Any, client), "ns", {"name": "none"})
    with pytest.raises(calculator.MetricError) as absent:
        await metrics_apis.external(cast(Any, client), "ns", {"name": "gone"})
    assert str(absent.value) == (
        "unable to fetch metrics from external metrics API: the server could not find the requested resource "
        "(get gone.external.metrics.k8s.io)"
    )


def test_a_selector_is_told_as_go_prints_it() -> None:
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["x", "y"]}]}
    assert metrics_apis.go_selector(None) == "nil"
    assert metrics_apis.go_selector(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},"
        "MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:c,Operator:In,Values:[x y],},},}"
    )


async def test_an_autoscaler_without_metrics_says_what_is_missing(cluster: HollowCluster) -> None:
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {
            "metadata": {"labels": {"app": "api"}},
            "spec": {"containers": [{"name": "main", "image": "python:3.12-slim", "resources": {"requests": {"cpu": "100m"}}}]},
        },
    }
    await cluster.create("deployments.apps", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": spec})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    metrics = [{"type": "Pods", "pods": {"metric": {"name": "queue_depth"}, "target": {"type": "AverageValue", "averageValue": "10"}}}]
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "api"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": metrics},
    }
    await cluster.create("horizontalpodautoscalers.autoscaling", autoscaler)

    async def judged() -> dict[str, Object] | None:
        status = (await cluster.get("horizontalpodautoscalers.autoscaling", "api")).get("status") or {}
        found = {each["type"]: each for each in status.get("conditions") or []}
        return found if "ScalingActive" in found else None

    found = await cluster.eventually(judged)
    assert found["AbleToScale"]["reason"] == "SucceededGetScale"
    why = (
        "unable to get metric queue_depth: unable to fetch metrics from custom metrics API: "
        "no custom metrics API (custom.metrics.k8s.io) registered"
    )
    assert (found["ScalingActive"]["status"], found["ScalingActive"]["reason"]) == ("False", "FailedGetPodsMetric")
    assert found["ScalingActive"]["message"] == f"the HPA was unable to compute the replica count: {why}"
    assert await cluster.events("FailedGetPodsMetric") == [why]
    assert await cluster.events("FailedComputeMetricsReplicas") == [
        f"invalid metrics (1 invalid out of 1), first error is: failed to get pods metric value: {why}"
    ]


async def test_a_size_out_of_bounds_is_brought_back_without_any_metric(cluster: HollowCluster) -> None:
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "main", "image": "python:3.12-slim"}]}},
    }
    await cluster.create("deployments.apps", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": spec})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "api"},
        "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5},
    }
    await cluster.create("horizontalpodautoscalers.autoscaling", autoscaler)

    async def grown() -> bool:
        return len(await cluster.list("pods")) == 3

    await cluster.eventually(grown)
    assert await cluster.events("SuccessfulRescale") == ["New size: 3; reason: Current number of replicas below Spec.MinReplicas"]
