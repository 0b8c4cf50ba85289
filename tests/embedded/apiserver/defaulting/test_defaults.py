"""Objects as a client writes them become objects as the server stores them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusters.embedded.apiserver import defaulting
from kubeobjects import meta
from tests.embedded.apiserver.semantics import Object, reference

STORED = ["deployment-rs-service-endpoints-events", "pod-running", "pod-oomkilled", "node-gpu", "namespace", "namespace-defaults"]
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.mark.parametrize("name", STORED)
def test_a_stored_object_is_complete(name: str) -> None:
    for obj in reference(name):
        defaulted = meta.copy(obj)
        defaulting.apply(defaulted)
        assert defaulted == obj


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_what_was_applied_becomes_what_was_stored(kind: str) -> None:
    stored = next(obj for obj in reference(STORED[0]) if obj["kind"] == kind)
    written = json.loads(stored["metadata"]["annotations"][APPLIED])
    defaulting.apply(written)

    allocated = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
    assert written["spec"] == {name: value for name, value in stored["spec"].items() if name not in allocated}


def defaulted(obj: Object) -> Object:
    obj.setdefault("metadata", {"name": "thing"})
    defaulting.apply(obj)
    return obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("python", "Always"),
        ("python:latest", "Always"),
        ("python:3.12-slim", "IfNotPresent"),
        ("localhost:5000/python", "Always"),
        ("localhost:5000/python:3", "IfNotPresent"),
        ("python@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    obj = defaulted({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": image}]}})

    assert obj["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_limits_become_requests_in_a_pod_and_not_in_a_template() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "a", "image": "b", "resources": {"limits": {"cpu": "1000m", "nvidia.com/gpu": 1}}}]}
    pod = defaulted({"apiVersion": "v1", "kind": "Pod", "spec": meta.copy(spec)})
    deployment = defaulted({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": meta.copy(spec)}}})

    limits = {"cpu": "1", "nvidia.com/gpu": "1"}
    assert pod["spec"]["containers"][0]["resources"] == {"limits": limits, "requests": limits}
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": limits}


def test_probes_and_volumes_are_filled_in() -> None:
    container = {"name": "a", "image": "b", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0}}
    volumes = [{"name": "a", "secret": {"secretName": "s"}}, {"name": "b"}, {"name": "c", "hostPath": {"path": "/x"}}]
    spec = defaulted({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container], "volumes": volumes}})["spec"]

    assert spec["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert [volume.get("secret") or volume.get("emptyDir", volume.get("hostPath")) for volume in spec["volumes"]] == [
        {"secretName": "s", "defaultMode": 420},
        {},
        {"path": "/x", "type": ""},
    ]


def test_empty_metadata_is_not_stored() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {}, "creationTimestamp": None}, "data": {}}
    defaulting.apply(obj)

    assert obj == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def test_text_in_a_secret_is_encoded() -> None:
    obj = defaulted({"apiVersion": "v1", "kind": "Secret", "stringData": {"key": "s3cret"}})

    assert (obj["data"], obj["type"], "stringData" in obj) == ({"key": "czNjcmV0"}, "Opaque", False)


def test_the_spec_of_a_job_has_its_defaults_and_that_in_a_cron_job_has_not() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "b"}]}}
    job = defaulted({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": meta.copy(template)}})
    nightly = defaulted({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}})

    assert (job["spec"]["backoffLimit"], job["spec"]["completions"], job["spec"]["parallelism"]) == (6, 1, 1)
    assert "backoffLimit" not in nightly["spec"]["jobTemplate"]["spec"]
    assert nightly["spec"]["concurrencyPolicy"] == "Allow"


def test_a_limit_range_says_what_follows_from_it() -> None:
    item = {"type": "Container", "max": {"memory": "1Gi"}, "min": {"cpu": "10m"}}
    obj = defaulted({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [item]}})

    assert obj["spec"]["limits"][0]["default"] == {"memory": "1Gi"}
    assert obj["spec"]["limits"][0]["defaultRequest"] == {"memory": "1Gi", "cpu": "10m"}


def test_an_autoscaler_without_metrics_watches_cpu() -> None:
    obj = defaulted({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 3, "behavior": {}}})

    assert obj["spec"]["minReplicas"] == 1
    assert obj["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert obj["spec"]["behavior"]["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
