"""Pods that are their Deployment's, as its template says now, and nobody beside them."""

from __future__ import annotations

import copy

import pytest

from kubeobjects import Object
from lab_checks.judging import guards
from tests.lab_checks.guards.world import GPU, Lists, context, deployment, node, pod_of, replica_set, said

TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
BY_ADMISSION = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
NODES = [node("a100", "A100", 2)]


def look(api: Object, *pods: Object, **others: list[Object]) -> tuple[Lists, Lists]:
    """The cluster with the Deployment alone, and with these Pods and whatever came since."""
    deployments = [api, *others.pop("deployments", [])]
    sets = [replica_set(each) for each in deployments]
    return Lists(nodes=NODES, deployments=[api]), Lists(nodes=NODES, deployments=deployments, replicasets=sets, pods=list(pods), **others)


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({}, ""),
        ({"tolerations": [TOLERATION, BY_ADMISSION]}, ""),
        ({"serviceAccountName": "default", "priority": 0}, ""),
        ({"tolerations": []}, "was changed by hand"),
        ({"nodeSelector": {"a": "b"}}, "was changed by hand"),
        ({"containers": [{"name": "server", "image": "server:v2", "resources": {}}]}, "containers[server].image"),
    ],
)
def test_a_pod_is_held_against_the_template_that_made_it(over: Object, says: str) -> None:
    api = deployment(tolerations=[TOLERATION])
    ctx = context(*look(api, pod_of(api, **over)))
    heard = said(guards.made_from_template, ctx, api)
    assert (says in heard) if says else not heard


def test_a_pause_that_holds_a_change_back_is_named() -> None:
    old = deployment()
    new = copy.deepcopy(old)
    new["spec"] |= {"paused": True}
    new["spec"]["template"]["spec"]["tolerations"] = [TOLERATION]
    heard = said(guards.made_from_template, context(*look(new, pod_of(old))), new)
    assert "is paused" in heard
    assert "rollout resume" in heard


def test_a_pause_that_holds_nothing_back_is_no_fault() -> None:
    api = deployment()
    api["spec"]["paused"] = True
    assert said(guards.made_from_template, context(*look(api, pod_of(api))), api) == ""


def test_resources_are_compared_as_numbers_and_where_the_template_names_them() -> None:
    api = deployment()
    pod = pod_of(api)
    resources = pod["spec"]["containers"][0]["resources"]
    resources["requests"] |= {"cpu": "0.1", "ephemeral-storage": "1Gi"}
    assert said(guards.made_from_template, context(*look(api, pod)), api) == ""
    resources["requests"]["memory"] = "1Mi"
    assert "containers[server].resources" in said(guards.made_from_template, context(*look(api, pod)), api)


@pytest.mark.parametrize(("state", "says"), [({"running": {}}, "still runs there: spy"), ({"terminated": {"exitCode": 0}}, "")])
def test_a_container_put_into_a_running_pod_has_to_end(state: Object, says: str) -> None:
    api = deployment()
    pod = pod_of(api)
    pod["status"]["ephemeralContainerStatuses"] = [{"name": "spy", "state": state}]
    heard = said(guards.running_and_ready, context(*look(api, pod)), api)
    assert (says in heard) if says else not heard


def test_a_deployment_scaled_to_zero_does_not_run() -> None:
    api = deployment()
    api["spec"]["replicas"] = 0
    assert "api was scaled to 0" in said(guards.running_and_ready, context(*look(api)), api)
