"""What a namespace's quota and limit ranges do to Pods, as a real server was seen to do it."""

from __future__ import annotations

import pytest
import yaml

from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import RECORDINGS, Cluster, Object, container, lab, pod, recorded

SCENARIO = yaml.safe_load((RECORDINGS.parent / "scenarios" / "quota.yaml").read_text())
QUOTA = SCENARIO["setup"][0]["stdin"]
LIMITS = next(step["stdin"] for step in SCENARIO["steps"] if isinstance(step, dict) and "LimitRange" in step.get("stdin", ""))


def named(name: str, obj: Object) -> Object:
    obj["metadata"]["name"] = name
    obj["spec"]["containers"][0]["name"] = name
    return obj


def gpu_pod(name: str) -> Object:
    return named(name, container(resources={"limits": {"nvidia.com/gpu": 1}}))


@pytest.fixture
async def cluster() -> Cluster:
    cluster = lab()
    await cluster.create(QUOTA)
    return cluster


async def test_a_pod_without_requests_is_refused_where_a_quota_counts_them(cluster: Cluster) -> None:
    with pytest.raises(ApiError) as refused:
        await cluster.create(named("plain", pod()))

    assert refused.value.code == 403
    assert f"Error from server (Forbidden): {refused.value.message}" in recorded("quota")


async def test_a_limit_range_completes_the_pod_and_says_so(cluster: Cluster) -> None:
    await cluster.create(LIMITS)
    plain = await cluster.create(named("plain", pod()))

    resources = plain["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "200m", "memory": "128Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}}
    note = plain["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert f'{{"kubernetes.io/limit-ranger":"{note}"}}' in recorded("quota")


async def test_the_second_gpu_is_refused_and_the_first_is_in_the_quotas_status(cluster: Cluster) -> None:
    await cluster.create(LIMITS)
    await cluster.create(named("plain", pod()))
    await cluster.create(gpu_pod("first"))
    with pytest.raises(ApiError) as refused:
        await cluster.create(gpu_pod("second"))

    expected = next(line for line in recorded("quota") if line.startswith("Error creating: pods"))
    assert refused.value.message.partition(" is forbidden: ")[2] == expected.partition(" is forbidden: ")[2]
    quota = cluster.get("resourcequotas", "gpu-quota", "lab")
    assert quota is not None
    assert quota["status"]["used"] == {"limits.memory": "256Mi", "pods": "2", "requests.memory": "128Mi", "requests.nvidia.com/gpu": "1"}


async def test_a_pod_that_has_ended_gives_its_gpu_back(cluster: Cluster) -> None:
    await cluster.create(LIMITS)
    first = await cluster.create(gpu_pod("first"))
    cluster.store({**first, "status": {"phase": "Succeeded"}})

    await cluster.create(gpu_pod("second"))


async def test_a_limit_above_the_maximum_is_refused(cluster: Cluster) -> None:
    await cluster.create(LIMITS)
    with pytest.raises(ApiError) as refused:
        await cluster.create(named("too-big", container(resources={"limits": {"memory": "2Gi"}})))

    shown = f'Error from server (Forbidden): error when creating "STDIN": {refused.value.message}'
    assert shown in recorded("quota")


async def test_objects_of_any_kind_can_be_counted() -> None:
    cluster = lab()
    hard = {"count/deployments.apps": "1", "configmaps": "1"}
    await cluster.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}})
    first = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    await cluster.create(first)

    with pytest.raises(ApiError, match="exceeded quota: few, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"):
        await cluster.create({**first, "metadata": {"name": "two"}})


async def test_a_quota_for_best_effort_pods_lets_others_through() -> None:
    cluster = lab()
    spec = {"hard": {"pods": "0"}, "scopes": ["BestEffort"]}
    await cluster.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": spec})

    await cluster.create(named("asks", container(resources={"requests": {"cpu": "100m"}})))
    with pytest.raises(ApiError, match="exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"):
        await cluster.create(named("asks-nothing", pod()))
