"""What a workload asks for: not less, and not many times as much."""

from __future__ import annotations

import copy

import pytest

from kubeobjects import Object
from lab_checks.judging import guards
from tests.lab_checks.guards.world import GPU, Lists, context, deployment, said

BEFORE = deployment()


def after(requests: Object | None = None, limits: Object | None = None, **beside: list[Object]) -> Object:
    """The Deployment with other numbers for its server, and other containers beside it."""
    found = copy.deepcopy(BEFORE)
    spec = found["spec"]["template"]["spec"]
    spec["containers"][0]["resources"]["requests"] |= requests or {}
    spec["containers"][0]["resources"]["limits"] |= limits or {}
    spec["containers"] += beside.get("containers", [])
    spec["initContainers"] = beside.get("initContainers", [])
    return found


def asks(**resources: str) -> Object:
    return {"name": "beside", "resources": {"requests": dict(resources)}}


def holder(**more: str) -> Object:
    return {"name": "holder", "resources": {"limits": {GPU: "1"}}, **more}


@pytest.mark.parametrize(
    ("changed", "resource", "says"),
    [
        (after(), GPU, ""),
        (after(limits={GPU: "2"}), GPU, "asks for more nvidia.com/gpu"),
        (after(containers=[holder()]), GPU, "asks for more nvidia.com/gpu"),
        (after(initContainers=[holder(restartPolicy="Always")]), GPU, "asks for more nvidia.com/gpu"),
        (after(initContainers=[holder()]), GPU, ""),
        (after(requests={"cpu": "300m"}), "cpu", ""),
        (after(requests={"cpu": "64"}), "cpu", "asks for more cpu"),
        (after(requests={"memory": "192Mi"}), "memory", ""),
        (after(requests={"memory": "1Ei"}), "memory", "asks for more memory"),
    ],
)
def test_a_little_more_is_no_fault_and_many_times_as_much_is_one(changed: Object, resource: str, says: str) -> None:
    heard = said(guards.asks_no_more, context(Lists(deployments=[BEFORE])), changed, resource)
    assert (says in heard) if says else not heard


@pytest.mark.parametrize(
    ("changed", "resource", "says"),
    [
        (after(requests={"cpu": "200m"}), "cpu", ""),
        (after(requests={"cpu": "100u"}), "cpu", "asks for too little cpu"),
        (after(requests={"cpu": "0"}), "cpu", "no longer asks for cpu"),
        (after(requests={"memory": "1Mi"}, containers=[asks(memory="96Mi")]), "memory", "containers[server].resources memory"),
    ],
)
def test_what_another_container_asks_for_does_not_feed_the_server(changed: Object, resource: str, says: str) -> None:
    heard = said(guards.requests_kept, context(Lists(deployments=[BEFORE])), changed, resource)
    assert (says in heard) if says else not heard


@pytest.mark.parametrize(
    ("limit", "says"), [("192Mi", ""), ("256Mi", ""), ("0", "has no memory limit"), ("64Gi", "a far larger memory limit")]
)
def test_a_memory_limit_stays_of_the_same_order(limit: str, says: str) -> None:
    heard = said(guards.memory_limited, context(Lists(deployments=[BEFORE])), after(limits={"memory": limit}))
    assert (says in heard) if says else not heard
