"""What admission adds to a Pod, and which references it follows."""

from __future__ import annotations

import pytest

from clusters.embedded import resources
from clusters.embedded.apiserver import admission
from clusters.embedded.apiserver.admission import AdmissionRequest
from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Cluster, Object, lab, pod, reference


def system_class(name: str, value: int, **fields: object) -> Object:
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, **fields}


async def test_a_bare_pod_becomes_what_a_real_server_stores() -> None:
    [stored] = reference("pod-oomkilled")
    written = {
        "command": stored["spec"]["containers"][0]["command"],
        "image": "python:3.12-slim",
        "name": "loader",
        "resources": {"limits": {"memory": "96Mi"}},
    }
    made = await lab().create(pod(containers=[written]))

    # The scheduler's part and the random name of the volume aside.
    expected = {name: value for name, value in stored["spec"].items() if name != "nodeName"}
    token = made["spec"]["volumes"][0]["name"]
    assert token.startswith("kube-api-access-")
    expected["volumes"][0]["name"] = expected["containers"][0]["volumeMounts"][0]["name"] = token
    assert made["spec"] == expected
    assert made["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    assert made["metadata"]["generation"] == 1


async def test_a_pod_of_an_account_that_is_missing_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        await lab().create(pod(serviceAccountName="nobody"))

    assert refused.value.message == (
        'pods "demo" is forbidden: error looking up service account lab/nobody: serviceaccount "nobody" not found'
    )


async def test_a_refusal_shows_the_prefix_of_a_generated_name() -> None:
    made = pod(priorityClassName="urgent")
    made["metadata"] = {"name": "web-7c9d-x2x4z", "generateName": "web-7c9d-"}

    with pytest.raises(ApiError, match=r'^pods "web-7c9d-" is forbidden: no PriorityClass with name urgent was found$'):
        await lab().create(made)


async def test_no_token_is_mounted_where_the_account_says_so() -> None:
    cluster = lab()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shy", "namespace": "lab"}}
    cluster.store({**account, "automountServiceAccountToken": False})

    made = await cluster.create(pod(serviceAccountName="shy"))
    asked = await cluster.create(pod(serviceAccountName="shy", automountServiceAccountToken=True))

    assert "volumes" not in made["spec"]
    assert asked["spec"]["volumes"][0]["name"].startswith("kube-api-access-")


async def test_a_priority_class_becomes_a_number() -> None:
    cluster = lab()
    await cluster.create(system_class("batch", 1000, preemptionPolicy="Never"))

    made = await cluster.create(pod(priorityClassName="batch"))

    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (1000, "Never")
    with pytest.raises(ApiError, match='pods "demo" is forbidden: no PriorityClass with name urgent was found'):
        await cluster.create(pod(priorityClassName="urgent"))


async def test_there_is_one_default_priority_class() -> None:
    cluster = lab()
    await cluster.create(system_class("normal", 10, globalDefault=True))

    made = await cluster.create(pod())

    assert (made["spec"]["priorityClassName"], made["spec"]["priority"]) == ("normal", 10)
    with pytest.raises(ApiError, match=r"PriorityClass normal is already marked as default\. Only one default can exist"):
        await cluster.create(system_class("other", 20, globalDefault=True))


async def test_a_runtime_class_has_to_exist() -> None:
    with pytest.raises(ApiError) as refused:
        await lab().create(pod(runtimeClassName="nvidia"))

    assert refused.value.message == 'pods "demo" is forbidden: pod rejected: RuntimeClass "nvidia" not found'


async def test_a_claim_gets_the_default_class_and_its_protection() -> None:
    cluster = lab()
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    standard = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard", "annotations": annotations}}
    await cluster.create({**standard, "provisioner": "rancher.io/local-path"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}

    made = await cluster.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "weights"}, "spec": spec})

    assert made["spec"]["storageClassName"] == "standard"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert made["status"] == {"phase": "Pending"}


async def test_a_dry_run_reserves_nothing() -> None:
    cluster = lab()
    spec = {"hard": {"pods": "1"}}
    await cluster.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}, "spec": spec})
    obj = await Cluster({**cluster.objects, "resourcequotas": []}).create(pod())
    cluster.objects["pods"] = []
    request = AdmissionRequest("CREATE", resources.by_name()["pods"], cluster, namespace="lab", object=obj, dry_run=True)

    await admission.validate(request)

    assert request.updates == []
