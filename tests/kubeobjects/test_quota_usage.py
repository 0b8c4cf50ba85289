"""What the objects of a namespace use of a quota."""

from __future__ import annotations

import pytest

from kubeobjects import Object, quota_usage

SERVED = ("pods", "services", "persistentvolumeclaims", "jobs.batch")


def pod(phase: str = "Running", *, priority: str = "", **requests: str) -> Object:
    container = {
        "name": "main",
        "resources": {"requests": {name.replace("gpu", "nvidia.com/gpu"): each for name, each in requests.items()}},
    }
    spec = {"containers": [container], **({"priorityClassName": priority} if priority else {})}
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase}}


def quota(*names: str, **spec: object) -> Object:
    return {"spec": {"hard": dict.fromkeys(names, "10"), **spec}}


def used(of: Object, **objects: list[Object]) -> dict[str, str]:
    return quota_usage.used(of, SERVED, lambda resource: objects.get(resource, []))


def test_every_name_of_the_quota_is_summed_in_its_own_format() -> None:
    limited = quota("pods", "requests.cpu", "requests.nvidia.com/gpu", "services.nodeports", "count/jobs.batch", "requests.storage")
    claim: Object = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    service: Object = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}}
    found = used(limited, pods=[pod(cpu="500m", gpu="1"), pod(cpu="1")], services=[service], persistentvolumeclaims=[claim, claim])
    assert found == {
        "pods": "2",
        "requests.cpu": "1500m",
        "requests.nvidia.com/gpu": "1",
        "services.nodeports": "2",
        "count/jobs.batch": "0",
        "requests.storage": "2Gi",
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_an_object_and_uses_nothing(phase: str) -> None:
    assert used(quota("pods", "cpu", "count/pods"), pods=[pod(phase, cpu="1")]) == {"pods": "0", "cpu": "0", "count/pods": "1"}


def test_a_scope_leaves_out_what_is_not_in_it() -> None:
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    assert used(quota("cpu", scopeSelector=selector), pods=[pod(cpu="1", priority="high"), pod(cpu="2")]) == {"cpu": "1"}


def test_what_the_cluster_does_not_serve_is_not_asked_for() -> None:
    limited = quota("count/widgets.example.com", "count/jobs.batch")
    assert quota_usage.sources(limited["spec"]["hard"], SERVED) == {"jobs.batch"}
    assert used(limited) == {"count/widgets.example.com": "0", "count/jobs.batch": "0"}


def test_devices_of_claims_count_by_class_and_the_worst_case() -> None:
    def request(name: str, **more: object) -> Object:
        return {"deviceClassName": name, "allocationMode": "ExactCount", "count": 1, **more}

    claim: Object = {
        "metadata": {"name": "c"},
        "spec": {
            "devices": {
                "requests": [
                    {"name": "a", "exactly": request("gpu", count=2)},
                    {"name": "b", "firstAvailable": [request("gpu", count=3), request("gpu"), request("mig", allocationMode="All")]},
                ]
            }
        },
    }
    found = quota_usage.used(
        quota("gpu.deviceclass.resource.k8s.io/devices", "mig.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io"),
        ("resourceclaims.resource.k8s.io",),
        lambda resource: [claim],
    )
    assert found == {
        "gpu.deviceclass.resource.k8s.io/devices": "5",
        "mig.deviceclass.resource.k8s.io/devices": "32",
        "count/resourceclaims.resource.k8s.io": "1",
    }
