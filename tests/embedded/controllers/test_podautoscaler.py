"""What an autoscaler makes of the measured use of Pods."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hollow import HollowCluster

from clusters.embedded.controllers.podautoscaler import calculator
from clusters.embedded.controllers.podautoscaler.stabilization import Memory
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
