"""Rules for claims, their statuses, classes and slices."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import NAMESPACE, Cluster, Object, lab

EXACTLY = {"deviceClassName": "gpu"}
LABEL = "resource.kubernetes.io/admin-access"


def claim(**devices: Any) -> Object:
    body = {"requests": [{"name": "gpu", "exactly": EXACTLY}], **devices}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "c"}, "spec": {"devices": body}}


def exactly(**more: Any) -> Object:
    return claim(requests=[{"name": "gpu", "exactly": {**EXACTLY, **more}}])


def slice_of(*devices: Object, **spec: Any) -> Object:
    pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "gpu.example.com", "nodeName": "n1", "pool": pool, **spec} | ({"devices": list(devices)} if devices else {})
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": "s"},
        "spec": {name: value for name, value in spec.items() if value is not None},
    }


def device(**more: Any) -> Object:
    return {"name": "gpu-0", **more}


def shared(**policy: Any) -> Object:
    return slice_of(device(allowMultipleAllocations=True, capacity={"memory": {"value": "40Gi", "requestPolicy": policy}}))


POLICY = "spec.devices[0].capacity[memory].requestPolicy"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (claim(config=[{}]), "spec.devices.config[0].opaque: Required value"),
        (
            claim(config=[{"requests": ["other"], "opaque": {"driver": "a.example.com", "parameters": []}}]),
            'spec.devices.config[0].requests[0]: Invalid value: "other": must be the name of a request in the claim or the name of a request'
            " and a subrequest separated by '/'",
        ),
        (
            claim(config=[{"opaque": {"driver": "a.example.com", "parameters": []}}]),
            'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
        ),
        (
            exactly(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
            'spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: "b": must be empty for operator `Exists`',
        ),
        (
            exactly(tolerations=[{"key": "a", "effect": "Never"}]),
            'spec.devices.requests[0].exactly.tolerations[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "None"',
        ),
        (exactly(adminAccess=True), f"spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the `{LABEL}: true` label"),
        (slice_of(sharedCounters=[{"name": "a"}]), "spec.sharedCounters[0].counters: Required value"),
        (slice_of(device(consumesCounters=[{"counters": {"memory": {"value": "1"}}}])), "spec.devices[0].consumesCounters[0].counterSet: Required value"),
        (
            slice_of(device(nodeName="n1")),
            "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection`",
        ),
        (
            slice_of(device(), nodeName=None, perDeviceNodeSelection=True),
            "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required",
        ),
        (
            slice_of(device(attributes={"v": {"version": "1.2"}})),
            'spec.devices[0].attributes[v].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0',
        ),
        (
            slice_of(device(bindingConditions=["ready"])),
            "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions",
        ),
        (shared(validValues=["1Gi"]), f"{POLICY}.default: Required value: required when validValues is defined"),
        (
            shared(default="1Gi", validValues=["2Gi", "1Gi"]),
            f'{POLICY}.validValues[1]: Invalid value: "1Gi": values must be sorted in ascending order',
        ),
        (
            shared(default="1Gi", validRange={"min": "2Gi", "max": "80Gi"}),
            f'{POLICY}.validRange.min: Invalid value: "1Gi": default is less than min: 2Gi',
        ),
    ],
)  # fmt: skip
async def test_what_a_real_api_server_refuses(obj: Object, expected: str) -> None:
    with pytest.raises(ApiError) as caught:
        await lab().create(obj)
    assert caught.value.code == 422
    assert expected in caught.value.message


async def test_a_marked_namespace_may_look_at_devices_in_use() -> None:
    cluster = lab()
    cluster.store({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {LABEL: "true"}}})
    assert (await cluster.create(exactly(adminAccess=True)))["spec"]["devices"]["requests"][0]["exactly"]["adminAccess"] is True


async def test_defaults_of_tolerations_and_taints() -> None:
    made = await lab().create(exactly(tolerations=[{"key": "a", "value": "b"}]))
    assert made["spec"]["devices"]["requests"][0]["exactly"]["tolerations"] == [{"key": "a", "value": "b", "operator": "Equal"}]
    taint = (await lab().create(slice_of(device(taints=[{"key": "a", "effect": "NoSchedule"}]))))["spec"]["devices"][0]["taints"][0]
    assert taint["timeAdded"].endswith("Z")


RESULT = {"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
ALLOCATED = {"devices": {"results": [RESULT]}}
CONSUMER = {"resource": "pods", "name": "p", "uid": "u"}


async def allocated(cluster: Cluster) -> Object:
    return cluster.update(await cluster.create(claim()), {"status": {"allocation": ALLOCATED, "reservedFor": [CONSUMER]}}, "status")


async def test_a_claim_asks_for_the_same_as_long_as_it_lives() -> None:
    cluster = lab()
    made = await cluster.create(claim())
    with pytest.raises(ApiError, match=r"spec: Invalid value: .*: field is immutable"):
        cluster.update(made, {"spec": {"devices": {"requests": []}}})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"reservedFor": [CONSUMER]}, "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"),
        ({"allocation": ALLOCATED, "reservedFor": [{"name": "p", "uid": "u"}]}, "status.reservedFor[0].resource: Required value"),
        (
            {"allocation": {"devices": {"results": [{**RESULT, "request": "other"}]}}},
            'status.allocation.devices.results[0].request: Invalid value: "other": must be the name of a request in the claim',
        ),
        (
            {"allocation": ALLOCATED, "devices": [{"driver": "gpu.example.com", "pool": "n1", "device": "gpu-9"}]},
            'status.devices[0]: Invalid value: "gpu.example.com/n1/gpu-9": must be an allocated device in the claim',
        ),
        (
            {"allocation": {"devices": {"results": [{**RESULT, "adminAccess": True}]}}},
            "status.allocation.devices.results[0].adminAccess: Forbidden: admin access to devices requires",
        ),
    ],
)
async def test_a_status_must_fit_the_claim(status: Object, expected: str) -> None:
    cluster = lab()
    made = await cluster.create(claim())
    with pytest.raises(ApiError) as caught:
        cluster.update(made, {"status": status}, "status")
    assert expected in caught.value.message


async def test_devices_are_given_back_and_never_exchanged() -> None:
    cluster = lab()
    made = await allocated(cluster)
    other = {"devices": {"results": [{**RESULT, "device": "gpu-1"}]}}
    with pytest.raises(ApiError, match=r"status.allocation: Invalid value: .*: field is immutable"):
        cluster.update(made, {"status": {"allocation": other}}, "status")
    reported = cluster.update(made, {"status": {"devices": [{"driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}]}}, "status")
    assert len(reported["status"]["devices"]) == 1
    # What a driver said of a device goes with it.
    freed = cluster.update(reported, {"status": {"allocation": None, "reservedFor": None}}, "status")
    assert freed["status"].get("devices") is None


async def test_no_consumer_joins_a_claim_that_is_being_deleted() -> None:
    cluster = lab()
    made = await allocated(cluster)
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    added = [CONSUMER, {**CONSUMER, "name": "q", "uid": "v"}]
    with pytest.raises(ApiError, match="new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"):
        cluster.update(made, {"status": {"reservedFor": added}}, "status")


async def test_a_status_update_writes_no_finalizers() -> None:
    cluster = lab()
    made = await cluster.create(claim())
    assert "finalizers" not in cluster.update(made, {"metadata": {"finalizers": ["a.example.com/b"]}}, "status")["metadata"]
