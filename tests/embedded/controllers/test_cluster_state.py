"""Endpoints, storage, quotas, budgets, taints, namespaces: what follows from other objects."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hollow import HollowCluster

from clusters.embedded.apiserver.authentication import Unauthorized
from clusters.embedded.controllers import podgc
from kubeobjects import Object


def pod(name: str, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    container: Object = {"name": "main", "image": "python:3.12-slim", "ports": [{"name": "http", "containerPort": 8080}]} | spec.pop(
        "container", {}
    )
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(**spec: Any) -> Object:
    body = {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": body}


async def test_a_service_lists_ready_and_unready_pods_apart(cluster: HollowCluster) -> None:
    await cluster.create("services", service())
    await cluster.create("pods", pod("good", {"app": "api"}))
    await cluster.create("pods", pod("slow", {"app": "api"}, {"hollow/ready": "false"}))

    async def both() -> Object | None:
        found = await cluster.list("endpointslices.discovery.k8s.io")
        return found[0] if found and len(found[0]["endpoints"] or []) == 2 else None

    endpoint_slice = await cluster.eventually(both)
    assert endpoint_slice["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    by_pod = {each["targetRef"]["name"]: each["conditions"] for each in endpoint_slice["endpoints"]}
    assert by_pod == {
        "good": {"ready": True, "serving": True, "terminating": False},
        "slow": {"ready": False, "serving": False, "terminating": False},
    }

    async def legacy() -> Object | None:
        (subset,) = (await cluster.get("endpoints", "api")).get("subsets") or [{}]
        return subset if "addresses" in subset and "notReadyAddresses" in subset else None

    subset = await cluster.eventually(legacy)
    assert [each["targetRef"]["name"] for each in subset["addresses"]] == ["good"]
    assert [each["targetRef"]["name"] for each in subset["notReadyAddresses"]] == ["slow"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]


async def test_a_selector_that_matches_nothing_empties_the_endpoints(cluster: HollowCluster) -> None:
    await cluster.create("services", service())
    await cluster.create("pods", pod("good", {"app": "api"}))

    async def filled() -> bool:
        return bool((await cluster.get("endpoints", "api")).get("subsets"))

    await cluster.eventually(filled)
    await cluster.client.patch("services", "api", {"spec": {"selector": {"app": "wrong"}}}, cluster.namespace)

    async def emptied() -> bool:
        slices = await cluster.list("endpointslices.discovery.k8s.io")
        return len(slices) == 1 and not slices[0]["endpoints"] and "subsets" not in await cluster.get("endpoints", "api")

    await cluster.eventually(emptied)


async def test_unready_pods_are_published_where_the_service_asks_for_it(cluster: HollowCluster) -> None:
    await cluster.create("services", service(clusterIP="None", publishNotReadyAddresses=True))
    await cluster.create("pods", pod("slow", {"app": "api"}, {"hollow/ready": "false"}))

    async def published() -> Object | None:
        found = await cluster.list("endpointslices.discovery.k8s.io")
        return found[0] if found and found[0]["endpoints"] else None

    endpoint_slice = await cluster.eventually(published)
    assert endpoint_slice["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}
    assert endpoint_slice["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def claim(name: str = "weights", storage_class: str | None = "standard", modes: tuple[str, ...] = ("ReadWriteOnce",)) -> Object:
    spec: Object = {"accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def user_of(name: str, claim_name: str = "weights", **spec: Any) -> Object:
    return pod(name, volumes=[{"name": "w", "persistentVolumeClaim": {"claimName": claim_name}}], **spec)


async def claim_in(cluster: HollowCluster, phase: str, name: str = "weights") -> Object:
    async def look() -> Object | None:
        found = await cluster.get("persistentvolumeclaims", name)
        return found if found["status"].get("phase") == phase else None

    return await cluster.eventually(look)


async def test_a_claim_waits_for_its_first_pod_and_is_bound_on_its_node(cluster: HollowCluster) -> None:
    await cluster.create("persistentvolumeclaims", claim())
    said = await cluster.eventually(lambda: cluster.events("WaitForFirstConsumer"))
    assert said == ["waiting for first consumer to be created before binding"]
    await cluster.create("pods", user_of("trainer"))
    bound = await claim_in(cluster, "Bound")
    uid = bound["metadata"]["uid"]
    volume = await cluster.client.get("persistentvolumes", f"pvc-{uid}")
    assert volume["spec"]["hostPath"] == {"path": f"/var/local-path-provisioner/pvc-{uid}_lab_weights", "type": "DirectoryOrCreate"}
    assert volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["ai-lab-worker"]
    assert bound["status"]["capacity"] == {"storage": "1Gi"}
    assert await cluster.events("ProvisioningSucceeded") == [f"Successfully provisioned volume pvc-{uid}"]
    assert await cluster.eventually(lambda: cluster.events("Scheduled")) == ["Successfully assigned lab/trainer to ai-lab-worker"]


async def test_a_claim_of_a_class_that_is_not_there(cluster: HollowCluster) -> None:
    await cluster.create("persistentvolumeclaims", claim(storage_class="fast-nvme"))
    said = await cluster.eventually(lambda: cluster.events("ProvisioningFailed"))
    assert said == ['storageclass.storage.k8s.io "fast-nvme" not found']
    await claim_in(cluster, "Pending")
    await cluster.create("pods", user_of("waits"))
    said = await cluster.eventually(lambda: cluster.events("FailedScheduling"))
    assert said == ["0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"]


async def test_a_pod_that_waits_for_a_refused_claim_is_placed_once_another_of_its_name_is_there(cluster: HollowCluster) -> None:
    await cluster.create("persistentvolumeclaims", claim(modes=("ReadWriteMany",)))
    await cluster.create("pods", user_of("reader"))
    assert await cluster.eventually(lambda: cluster.events("ProvisioningFailed")) == [
        'failed to provision volume with StorageClass "standard": NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes'
    ]
    # The scheduler has chosen a node and waits for the volume.
    await cluster.client.delete("persistentvolumeclaims", "weights", cluster.namespace)

    async def made_anew() -> bool:
        if await cluster.list("persistentvolumeclaims"):
            return False
        await cluster.create("persistentvolumeclaims", claim())
        return True

    await cluster.eventually(made_anew)
    await claim_in(cluster, "Bound")
    assert await cluster.eventually(lambda: cluster.events("Scheduled")) == ["Successfully assigned lab/reader to ai-lab-worker"]


async def test_a_volume_made_by_hand_is_bound_and_kept(cluster: HollowCluster) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "5Gi"},
        "hostPath": {"path": "/models"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
    }
    await cluster.client.create(
        "persistentvolumes", {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "models"}, "spec": spec}
    )
    await cluster.create("persistentvolumeclaims", claim(storage_class=""))
    bound = await claim_in(cluster, "Bound")
    assert bound["spec"]["volumeName"] == "models"
    assert bound["status"]["capacity"] == {"storage": "5Gi"}
    await cluster.client.delete("persistentvolumeclaims", "weights", cluster.namespace)

    async def released() -> bool:
        return (await cluster.client.get("persistentvolumes", "models"))["status"]["phase"] == "Released"

    await cluster.eventually(released)


async def test_a_claim_in_use_outlives_its_deletion_until_the_pod_ends(cluster: HollowCluster) -> None:
    await cluster.create("persistentvolumeclaims", claim())
    await cluster.create("pods", user_of("trainer"))
    await claim_in(cluster, "Bound")
    await cluster.eventually(lambda: cluster.events("Scheduled"))
    await cluster.client.delete("persistentvolumeclaims", "weights", cluster.namespace)
    assert "deletionTimestamp" in (await cluster.get("persistentvolumeclaims", "weights"))["metadata"]
    await cluster.client.delete("pods", "trainer", cluster.namespace)

    async def gone() -> bool:
        return not await cluster.list("persistentvolumeclaims") and not (await cluster.client.list("persistentvolumes")).items

    await cluster.eventually(gone)


async def test_a_budget_counts_healthy_pods(cluster: HollowCluster) -> None:
    await cluster.create("pods", pod("one", {"app": "api"}))
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "api"}}}
    await cluster.create(
        "poddisruptionbudgets.policy",
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "keep"}, "spec": spec},
    )

    async def status(allowed: int, healthy: int) -> Object | None:
        found = (await cluster.get("poddisruptionbudgets.policy", "keep")).get("status") or {}
        return found if (found.get("disruptionsAllowed"), found.get("currentHealthy")) == (allowed, healthy) else None

    seen = await cluster.eventually(lambda: status(0, 1))
    assert seen["conditions"][0]["reason"] == "InsufficientPods"
    await cluster.create("pods", pod("two", {"app": "api"}))
    seen = await cluster.eventually(lambda: status(1, 2))
    assert (seen["desiredHealthy"], seen["expectedPods"], seen["conditions"][0]["reason"]) == (1, 2, "SufficientPods")


async def test_a_no_execute_taint_ends_pods_that_do_not_tolerate_it(cluster: HollowCluster) -> None:
    await cluster.create("pods", pod("stays", tolerations=[{"key": "maintenance", "operator": "Exists"}]))
    await cluster.create("pods", pod("goes"))

    async def placed() -> bool:
        return all(each["spec"].get("nodeName") for each in await cluster.list("pods"))

    await cluster.eventually(placed)
    await cluster.client.patch(
        "nodes", "ai-lab-worker", {"spec": {"taints": [{"key": "maintenance", "value": "now", "effect": "NoExecute"}]}}
    )

    async def left() -> bool:
        return [each["metadata"]["name"] for each in await cluster.list("pods")] == ["stays"]

    await cluster.eventually(left)
    assert await cluster.events("TaintManagerEviction") == ["Marking for deletion Pod lab/goes"]


async def test_a_cordoned_node_gets_the_taint_and_loses_it_again(cluster: HollowCluster) -> None:
    async def taints() -> list[tuple[str, str]]:
        node = await cluster.client.get("nodes", "ai-lab-worker")
        return [(each["key"], each["effect"]) for each in node["spec"].get("taints") or []]

    async def tainted() -> bool:
        return await taints() == [("node.kubernetes.io/unschedulable", "NoSchedule")]

    async def free() -> bool:
        return not await taints()

    await cluster.client.patch("nodes", "ai-lab-worker", {"spec": {"unschedulable": True}})
    await cluster.eventually(tainted)
    await cluster.client.patch("nodes", "ai-lab-worker", {"spec": {"unschedulable": None}})
    await cluster.eventually(free)


async def test_a_pod_waits_for_a_cordoned_node_and_then_goes_there(cluster: HollowCluster) -> None:
    await cluster.client.patch("nodes", "ai-lab-worker", {"spec": {"unschedulable": True}})
    await cluster.create("pods", pod("web"))
    said = await cluster.eventually(lambda: cluster.events("FailedScheduling"))
    assert said[0].startswith("0/4 nodes are available: 1 node(s) were unschedulable, 3 node(s) had untolerated taint(s). no new claims")
    found = await cluster.get("pods", "web")
    condition = next(each for each in found["status"]["conditions"] if each["type"] == "PodScheduled")
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", said[0])
    await cluster.client.patch("nodes", "ai-lab-worker", {"spec": {"unschedulable": None}})
    assert await cluster.eventually(lambda: cluster.events("Scheduled")) == ["Successfully assigned lab/web to ai-lab-worker"]


def gpu_pod(name: str, gpus: int, **spec: Any) -> Object:
    container = {"resources": {"limits": {"nvidia.com/gpu": str(gpus), "cpu": "100m", "memory": "64Mi"}}}
    return pod(name, container=container, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}], **spec)


async def test_a_pod_of_higher_priority_takes_the_gpu(cluster: HollowCluster) -> None:
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}, "value": 1000}
    await cluster.client.create("priorityclasses.scheduling.k8s.io", urgent)
    await cluster.create("pods", gpu_pod("batch", 2))
    await cluster.eventually(lambda: cluster.events("Scheduled"))
    await cluster.create("pods", gpu_pod("serving", 2, priorityClassName="urgent"))

    async def serving() -> Object | None:
        found = await cluster.get("pods", "serving")
        return found if found["spec"].get("nodeName") else None

    winner = await cluster.eventually(serving)
    assert winner["spec"]["nodeName"] == "ai-lab-worker2"
    assert await cluster.events("Preempted") == [f"Preempted by pod {winner['metadata']['uid']} on node ai-lab-worker2"]
    assert [each["metadata"]["name"] for each in await cluster.list("pods")] == ["serving"]


async def test_the_gpu_goes_to_the_one_who_waits_when_its_holder_ends(cluster: HollowCluster) -> None:
    await cluster.create("pods", gpu_pod("holder", 2))
    await cluster.eventually(lambda: cluster.events("Scheduled"))
    await cluster.create("pods", gpu_pod("latecomer", 2))
    await cluster.eventually(lambda: cluster.events("FailedScheduling"))
    await cluster.client.delete("pods", "holder", cluster.namespace)

    async def placed() -> bool:
        return (await cluster.get("pods", "latecomer"))["spec"].get("nodeName") == "ai-lab-worker2"

    await cluster.eventually(placed)


async def test_a_gated_pod_is_left_alone_until_its_gate_opens(cluster: HollowCluster) -> None:
    await cluster.create("pods", pod("gated", schedulingGates=[{"name": "example.com/approved"}]))
    await cluster.create("pods", pod("other"))
    await cluster.eventually(lambda: cluster.events("Scheduled"))
    assert not await cluster.events(about="gated")
    await cluster.client.patch("pods", "gated", {"spec": {"schedulingGates": None}}, cluster.namespace)

    async def placed() -> bool:
        return bool((await cluster.get("pods", "gated"))["spec"].get("nodeName"))

    await cluster.eventually(placed)


async def test_a_quota_refuses_what_is_too_much_and_counts_again_when_pods_go(cluster: HollowCluster) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus"},
        "spec": {"hard": {"requests.nvidia.com/gpu": "1", "pods": "5"}},
    }
    await cluster.create("resourcequotas", quota)

    async def used(count: str) -> bool:
        return (await cluster.get("resourcequotas", "gpus")).get("status", {}).get("used", {}).get("requests.nvidia.com/gpu") == count

    await cluster.eventually(lambda: used("0"))
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "greedy"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "greedy"}},
            "template": {"metadata": {"labels": {"app": "greedy"}}, "spec": gpu_pod("x", 1)["spec"]},
        },
    }
    await cluster.create("deployments.apps", deployment)
    said = await cluster.eventually(lambda: cluster.events("FailedCreate"))
    assert said[0].endswith(
        "is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, "
        "used: requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1"
    )
    assert said[0].startswith('Error creating: pods "greedy-')

    async def failing() -> Object | None:
        found = (await cluster.get("deployments.apps", "greedy")).get("status") or {}
        return {each["type"]: each for each in found.get("conditions") or []}.get("ReplicaFailure")

    failure = await cluster.eventually(failing)
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert failure["message"].startswith('pods "greedy-')
    await cluster.client.delete("deployments.apps", "greedy", cluster.namespace, propagation_policy="Background")
    await cluster.eventually(lambda: used("0"))


async def test_a_namespace_goes_with_everything_in_it(cluster: HollowCluster) -> None:
    await cluster.create("pods", pod("web"))
    await cluster.create("services", service())
    await cluster.eventually(lambda: cluster.events("Scheduled"))
    await cluster.client.delete("namespaces", "lab")

    async def gone() -> bool:
        return "lab" not in [each["metadata"]["name"] for each in (await cluster.client.list("namespaces")).items]

    await cluster.eventually(gone)
    assert not await cluster.list("pods")


async def test_a_namespace_gets_its_account_and_the_ca_certificate(cluster: HollowCluster) -> None:
    found = await cluster.eventually(lambda: cluster.get("configmaps", "kube-root-ca.crt"))
    assert found["data"] == {"ca.crt": "PEM"}
    await cluster.client.delete("serviceaccounts", "default", cluster.namespace)
    assert await cluster.eventually(lambda: cluster.get("serviceaccounts", "default"))


async def test_a_pod_on_a_node_that_never_was_is_ended(cluster: HollowCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podgc, "QUARANTINE", 0.2)
    await cluster.create("pods", pod("lost", nodeName="node6"))

    async def gone() -> bool:
        return "lost" not in {each["metadata"]["name"] for each in await cluster.list("pods")}

    await cluster.eventually(gone)
    assert await cluster.events(about="lost") == []


async def test_a_pod_without_a_node_that_is_being_deleted_is_ended(cluster: HollowCluster) -> None:
    held = pod("held", schedulerName="nobody")
    await cluster.create("pods", {**held, "metadata": {**held["metadata"], "finalizers": ["example.com/hold"]}})
    await cluster.client.delete("pods", "held", cluster.namespace)

    async def failed() -> bool:
        return (await cluster.get("pods", "held"))["status"]["phase"] == "Failed"

    await cluster.eventually(failed)


async def test_a_secret_gets_the_token_of_the_account_that_it_names(cluster: HollowCluster) -> None:
    named = {"annotations": {"kubernetes.io/service-account.name": "default"}}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"}
    await cluster.create("secrets", {**kind, "metadata": {"name": "long-lived", **named}})

    async def filled() -> Object | None:
        found = await cluster.get("secrets", "long-lived")
        return found if len(found.get("data") or {}) == 3 else None

    secret = await cluster.eventually(filled)
    account = await cluster.get("serviceaccounts", "default")
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
    assert b64decode(secret["data"]["namespace"]) == b"lab"
    authenticator = cluster.server.services.authenticator
    bearer = f"Bearer {b64decode(secret['data']['token']).decode()}"
    assert authenticator.authenticate(None, bearer).name == "system:serviceaccount:lab:default"
    await cluster.client.delete("secrets", "long-lived", cluster.namespace)
    with pytest.raises(Unauthorized):
        authenticator.authenticate(None, bearer)


async def test_a_token_secret_goes_with_its_account(cluster: HollowCluster) -> None:
    await cluster.create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}})
    named = {"annotations": {"kubernetes.io/service-account.name": "ci"}}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"}
    await cluster.create("secrets", {**kind, "metadata": {"name": "ci-token", **named}})

    async def filled() -> bool:
        return "token" in ((await cluster.get("secrets", "ci-token")).get("data") or {})

    async def gone() -> bool:
        return "ci-token" not in {each["metadata"]["name"] for each in await cluster.list("secrets")}

    await cluster.eventually(filled)
    await cluster.client.delete("serviceaccounts", "ci", cluster.namespace)
    await cluster.eventually(gone)
