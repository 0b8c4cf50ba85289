"""Rules for workloads, Services, configuration, storage, policy and access."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Object, lab

TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}


def made(api_version: str, kind: str, **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "thing"}, **fields}


def job(**spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    return made("batch/v1", "Job", spec={"template": template, **spec})


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (made("apps/v1", "Deployment", spec={"template": TEMPLATE}), "spec.selector: Required value"),
        (
            made("apps/v1", "Deployment", spec={"replicas": -1, "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            made(
                "apps/v1",
                "Deployment",
                spec={
                    "selector": {"matchLabels": {"app": "a"}},
                    "template": TEMPLATE,
                    "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}},
                },
            ),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            job(template={"spec": {"containers": [{"name": "main", "image": "x"}]}}),
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        (
            job(completionMode="Indexed", completions=None, parallelism=2),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            made("batch/v1", "CronJob", spec={"schedule": "every day", "jobTemplate": {"spec": job()["spec"]}}),
            'spec.schedule: Invalid value: "every day": expected exactly 5 fields, found 2: [every day]',
        ),
        (
            made("batch/v1", "CronJob", spec={"schedule": "61 * * * *", "jobTemplate": {"spec": job()["spec"]}}),
            'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61',
        ),
        (made("v1", "Service", spec={"ports": []}), "spec.ports: Required value"),
        (
            made("v1", "Service", spec={"ports": [{"port": 80}, {"port": 81}]}),
            "[spec.ports[0].name: Required value, spec.ports[1].name: Required value]",
        ),
        (
            made("v1", "Service", spec={"ports": [{"port": 80, "targetPort": "No Name"}]}),
            'spec.ports[0].targetPort: Invalid value: "No Name": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        ),
        (
            made("v1", "ConfigMap", data={"bad key": "x"}),
            "data[bad key]: Invalid value: \"bad key\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
            "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ),
        (made("v1", "Secret", type="kubernetes.io/tls", data={"tls.crt": "eA=="}), "data[tls.key]: Required value"),
        (made("v1", "PersistentVolumeClaim", spec={}), "spec.accessModes: Required value: at least 1 access mode is required"),
        (made("v1", "ResourceQuota", spec={"hard": {"gpus": "1"}}), "must be a standard resource for quota"),
        (
            made("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"memory": "1Gi"}, "default": {"memory": "2Gi"}}]}),
            'spec.limits[0].default[memory]: Invalid value: "1Gi": default value 2Gi is greater than max value 1Gi',
        ),
        (
            made("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "maxUnavailable": 1}),
            'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable',
        ),
        (
            made(
                "autoscaling/v2", "HorizontalPodAutoscaler", spec={"maxReplicas": 0, "scaleTargetRef": {"kind": "Deployment", "name": "a"}}
            ),
            "spec.maxReplicas: Required value: must be set and greater than 0",
        ),
        (
            made("rbac.authorization.k8s.io/v1", "Role", rules=[{"apiGroups": [""], "resources": ["pods"]}]),
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            made(
                "rbac.authorization.k8s.io/v1",
                "ClusterRoleBinding",
                roleRef={"kind": "ClusterRole", "name": "a"},
                subjects=[{"kind": "ServiceAccount", "name": "a"}],
            ),
            "subjects[0].namespace: Required value",
        ),
        (made("networking.k8s.io/v1", "Ingress", spec={}), "either `defaultBackend` or `rules` must be specified"),
        (
            made("scheduling.k8s.io/v1", "PriorityClass", value=2_000_000_000),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
    ],
)
async def test_a_mistake_is_refused_in_the_servers_words(obj: Object, expected: str) -> None:
    with pytest.raises(ApiError) as refused:
        await lab().create(obj)

    assert expected in refused.value.message


@pytest.mark.parametrize(
    ("obj", "change", "expected"),
    [
        (
            made("v1", "ConfigMap", immutable=True, data={"a": "1"}),
            {"data": {"a": "2"}},
            "data: Forbidden: field is immutable when `immutable` is set",
        ),
        (made("v1", "Secret"), {"type": "kubernetes.io/tls"}, 'type: Invalid value: "kubernetes.io/tls": field is immutable'),
        (job(completions=1), {"spec": {"completions": 2}}, "spec.completions: Invalid value: 2: field is immutable"),
        (
            made("v1", "Service", spec={"ports": [{"port": 80}]}),
            {"spec": {"clusterIP": "10.96.9.9"}},
            'spec.clusterIPs[0]: Invalid value: ["10.96.9.9"]: may not change once set',
        ),
        (
            made("v1", "PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
            {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ),
        (
            made("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "a"}),
            {"roleRef": {"name": "b"}},
            "cannot change roleRef",
        ),
        (made("scheduling.k8s.io/v1", "PriorityClass", value=1), {"value": 2}, "value: Forbidden: may not be changed in an update."),
    ],
)
async def test_what_is_fixed_cannot_change(obj: Object, change: Object, expected: str) -> None:
    cluster = lab()
    stored = await cluster.create(obj)

    with pytest.raises(ApiError) as refused:
        cluster.update(stored, change)

    assert expected in refused.value.message


async def test_a_stateful_set_tells_which_fields_may_change() -> None:
    cluster = lab()
    spec = {"serviceName": "a", "selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
    stored = await cluster.create(made("apps/v1", "StatefulSet", spec=spec))

    cluster.update(stored, {"spec": {"replicas": 3}})
    with pytest.raises(ApiError, match="updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"):
        cluster.update(stored, {"spec": {"serviceName": "b"}})


async def test_a_claim_is_bound_once_and_can_then_ask_for_more() -> None:
    cluster = lab()
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    stored = await cluster.create(made("v1", "PersistentVolumeClaim", spec=spec))

    bound = cluster.update(stored, {"spec": {"volumeName": "pv-1", "storageClassName": "late"}})
    ready = cluster.update(bound, {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}, "status")
    grown = cluster.update(ready, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})

    assert (grown["spec"]["volumeName"], grown["spec"]["resources"]["requests"]) == ("pv-1", {"storage": "2Gi"})
    with pytest.raises(ApiError, match="spec is immutable after creation"):
        cluster.update(grown, {"spec": {"volumeName": "pv-2"}})
    with pytest.raises(ApiError, match=r"field can not be less than status\.capacity"):
        cluster.update(grown, {"spec": {"resources": {"requests": {"storage": "1Gi"}}}})


async def test_a_volume_is_claimed_and_keeps_its_source() -> None:
    cluster = lab()
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}
    stored = await cluster.create(made("v1", "PersistentVolume", spec=spec))

    claimed = cluster.update(stored, {"spec": {"claimRef": {"name": "weights", "namespace": "lab"}}})

    assert claimed["spec"]["claimRef"]["kind"] == "PersistentVolumeClaim"
    assert claimed["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    with pytest.raises(ApiError, match=r"spec\.persistentvolumesource is immutable after creation"):
        cluster.update(claimed, {"spec": {"hostPath": {"path": "/other"}}})
