"""The Node as its kubelet reports it, and Pods that it does not take."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.errors import ApiError
from kubeobjects import Object, meta

from .conftest import NODE, PYTHON, Node


async def test_a_node_registers_ready_with_its_resources(node: Node) -> None:
    found = await node.client.get("nodes", NODE)
    assert meta.is_true(found, "Ready")
    assert found["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.2"
    assert found["status"]["addresses"] == [{"address": "172.18.0.3", "type": "InternalIP"}, {"address": NODE, "type": "Hostname"}]
    assert set(found["status"]["capacity"]) == {"cpu", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi", "memory", "pods"}
    assert any("docker.io/library/python:3.12-slim" in image["names"] for image in found["status"]["images"])
    lease = await node.client.get("leases.coordination.k8s.io", NODE, "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == NODE


async def test_a_node_tells_how_it_started(node: Node) -> None:
    await node.until_event(NODE, "NodeReady")
    assert ("Starting", "Starting kubelet.") in await node.messages(NODE)


async def test_a_deleted_node_stays_deleted_while_its_kubelet_runs(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = asyncio.Event()
    get = LocalClient.get

    async def noted(client: LocalClient, resource: str, name: str, namespace: str | None = None) -> Object:
        try:
            return await get(client, resource, name, namespace)
        except ApiError:
            if (resource, name) == ("nodes", NODE):
                tried.set()
            raise

    monkeypatch.setattr(LocalClient, "get", noted)
    await node.client.delete("nodes", NODE)
    await asyncio.wait_for(tried.wait(), 60)
    assert NODE not in {each["metadata"]["name"] for each in (await node.client.list("nodes")).items}


async def test_a_missing_pull_secret_is_told_also_where_the_image_is_there(node: Node) -> None:
    await node.run("ngc", "sleep", "60", imagePullSecrets=[{"name": "ngc-secret"}])
    assert await node.until_event("ngc", "FailedToRetrieveImagePullSecret") == (
        "Unable to retrieve some image pull secrets (ngc-secret); attempting to pull the image may not succeed."
    )
    await node.until_event("ngc", "Started")


async def test_a_pod_that_does_not_fit_is_rejected(node: Node) -> None:
    await node.run("large", "sleep", "60", resources={"requests": {"cpu": "999"}})
    pod = await node.until_phase("large", "Failed")
    assert pod["status"]["reason"] == "OutOfcpu"
    assert pod["status"]["message"].startswith(
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 999000, used: 0, capacity: "
    )


async def test_a_pod_whose_selector_does_not_match_is_rejected(node: Node) -> None:
    await node.create(
        {"metadata": {"name": "lost"}, "spec": {"nodeSelector": {"gpu": "h100"}, "containers": [{"name": "main", "image": PYTHON}]}}
    )
    pod = await node.until_phase("lost", "Failed")
    assert pod["status"]["reason"] == "NodeAffinity"


async def test_a_runtime_class_that_the_node_does_not_have_gives_no_sandbox(node: Node) -> None:
    await node.client.create("runtimeclasses.node.k8s.io", {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
    await node.run("gpu", "sleep", "60", runtimeClassName="nvidia")
    message = await node.until_event("gpu", "FailedCreatePodSandBox")
    assert re.search(r'desc = unable to get OCI runtime for sandbox "[0-9a-f]{64}": no runtime for "nvidia" is configured$', message)


async def test_an_empty_dir_over_its_limit_evicts_the_pod(node: Node) -> None:
    await node.run(
        "fills",
        "sh",
        "-c",
        "head -c 3000000 /dev/zero > /cache/a; sleep 600",
        volumes=[{"name": "cache", "emptyDir": {"sizeLimit": "1Mi"}}],
        volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
    )
    pod = await node.until_phase("fills", "Failed", seconds=20)
    assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ')


async def test_a_node_offers_as_many_pods_as_it_is_told_and_refuses_more(node: Node) -> None:
    # The limit of open files decides how many that are.
    await node.stop()
    node.spec = replace(node.spec, pods=1)
    await node.start()
    assert (await node.client.get("nodes", NODE))["status"]["allocatable"]["pods"] == "1"
    await node.run("first", "sleep", "600")
    await node.until_phase("first", "Running")
    await node.run("second", "sleep", "600")
    pod = await node.until_phase("second", "Failed")
    assert pod["status"]["reason"] == "OutOfpods"
    assert "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1" in pod["status"]["message"]
