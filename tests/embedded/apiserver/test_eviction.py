"""Evictions and disruption budgets."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.errors import ApiError
from kubeobjects import Object

WORDS = "Cannot evict pod as it would violate the pod's disruption budget."


async def running_pod(client: LocalClient, name: str, *, ready: bool = True) -> None:
    spec = {"containers": [{"name": "main", "image": "python:3.12-slim"}]}
    await client.create("pods", {"metadata": {"name": name, "namespace": "default", "labels": {"app": "api"}}, "spec": spec})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    await client.patch("pods", name, {"status": status}, "default", subresource="status")


async def budget(client: LocalClient, name: str = "keep", *, allowed: int, healthy: int, desired: int) -> None:
    spec = {"minAvailable": desired, "selector": {"matchLabels": {"app": "api"}}}
    await client.create("poddisruptionbudgets.policy", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": healthy,
    }
    await client.patch("poddisruptionbudgets.policy", name, {"status": status}, "default", subresource="status")


async def evict(client: LocalClient, name: str, **more: Any) -> Object:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}, **more}
    return await client.create("pods", body, "default", subresource="eviction", name=name)


@pytest.fixture(autouse=True)
async def account(client: LocalClient) -> None:
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})


async def gone(client: LocalClient, name: str) -> bool:
    return name not in {each["metadata"]["name"] for each in (await client.list("pods")).items}


async def test_without_a_budget_an_eviction_deletes(client: LocalClient) -> None:
    await running_pod(client, "a")
    assert (await evict(client, "a"))["status"] == "Success"
    assert await gone(client, "a")


async def test_a_budget_that_is_used_up_refuses(client: LocalClient) -> None:
    await running_pod(client, "a")
    await budget(client, allowed=0, healthy=1, desired=1)
    with pytest.raises(ApiError) as caught:
        await evict(client, "a")
    assert (caught.value.code, caught.value.reason, caught.value.message) == (429, "TooManyRequests", WORDS)
    assert caught.value.details["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget keep needs 1 healthy pods and has 1 currently"}
    ]
    assert not await gone(client, "a")


async def test_a_budget_counts_an_eviction_at_once(client: LocalClient) -> None:
    for name in ("a", "b"):
        await running_pod(client, name)
    await budget(client, allowed=1, healthy=2, desired=1)
    await evict(client, "a")
    stored = await client.get("poddisruptionbudgets.policy", "keep", "default")
    assert stored["status"]["disruptionsAllowed"] == 0
    assert list(stored["status"]["disruptedPods"]) == ["a"]
    with pytest.raises(ApiError, match="disruption budget"):
        await evict(client, "b")


async def test_a_budget_that_nobody_has_looked_at_yet_refuses(client: LocalClient) -> None:
    await running_pod(client, "a")
    spec = {"minAvailable": 0, "selector": {"matchLabels": {"app": "api"}}}
    await client.create("poddisruptionbudgets.policy", {"metadata": {"name": "new", "namespace": "default"}, "spec": spec})
    with pytest.raises(ApiError) as caught:
        await evict(client, "a")
    assert caught.value.details["causes"][0]["message"] == "The disruption budget new is still being processed by the server."
    assert caught.value.details["retryAfterSeconds"] == 10


async def test_two_budgets_for_one_pod_are_too_many(client: LocalClient) -> None:
    await running_pod(client, "a")
    for name in ("one", "two"):
        await budget(client, name, allowed=1, healthy=1, desired=0)
    with pytest.raises(ApiError, match="more than one PodDisruptionBudget"):
        await evict(client, "a")


async def test_a_pending_pod_needs_no_budget(client: LocalClient) -> None:
    await running_pod(client, "a")
    await client.patch("pods", "a", {"status": {"phase": "Pending"}}, "default", subresource="status")
    await budget(client, allowed=0, healthy=0, desired=1)
    await evict(client, "a")
    assert await gone(client, "a")


async def test_an_unready_pod_may_go_while_the_others_are_enough(client: LocalClient) -> None:
    await running_pod(client, "a", ready=False)
    await budget(client, allowed=0, healthy=2, desired=2)
    await evict(client, "a")
    assert await gone(client, "a")


async def test_an_unready_pod_is_kept_while_the_others_are_too_few(client: LocalClient) -> None:
    await running_pod(client, "a", ready=False)
    await budget(client, allowed=0, healthy=1, desired=2)
    with pytest.raises(ApiError, match="disruption budget"):
        await evict(client, "a")


async def test_an_eviction_on_another_condition_is_refused(client: LocalClient) -> None:
    await running_pod(client, "a")
    with pytest.raises(ApiError, match="does not match the UID in record"):
        await evict(client, "a", deleteOptions={"preconditions": {"uid": "another"}})


async def test_an_evicted_pod_says_that_it_did_not_fail_by_itself(client: LocalClient) -> None:
    spec = {"nodeName": "worker", "containers": [{"name": "main", "image": "python:3.12-slim"}]}
    await client.create("pods", {"metadata": {"name": "one", "namespace": "default"}, "spec": spec})
    await client.patch("pods", "one", {"status": {"phase": "Running"}}, "default", subresource="status")
    await evict(client, "one")
    # It is on a node: it goes when its kubelet has ended it.
    found = await client.get("pods", "one", "default")
    assert "deletionTimestamp" in found["metadata"]
    conditions = [each for each in found["status"]["conditions"] if each["type"] == "DisruptionTarget"]
    assert [(each["status"], each["reason"], each["message"]) for each in conditions] == [
        ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    ]
