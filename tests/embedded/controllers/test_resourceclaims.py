"""Claims from the Pod that asks to the devices that it gets and gives back: claim controller and scheduler together."""

from __future__ import annotations

from typing import Any

from hollow import HollowCluster

from clusters.embedded.controllers.resourceclaim import generate_name
from kubeobjects import Object, resourceclaims

CLAIMS, SLICES, CLASSES = "resourceclaims.resource.k8s.io", "resourceslices.resource.k8s.io", "deviceclasses.resource.k8s.io"
SPEC = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}
PENDING = "0/4 nodes are available: {}. {}, preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
NONE_FREE = PENDING.format("1 cannot allocate all claims, 3 node(s) had untolerated taint(s)", "still not schedulable")


def made(kind: str, name: str, **fields: Any) -> Object:
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **fields}


async def add_class(cluster: HollowCluster) -> None:
    spec = {"selectors": [{"cel": {"expression": 'device.driver == "gpu.example.com"'}}]}
    await cluster.client.create(CLASSES, made("DeviceClass", "gpu", spec=spec))


async def add_slice(cluster: HollowCluster, *devices: str, node: str = "ai-lab-worker") -> None:
    spec = {
        "driver": "gpu.example.com",
        "nodeName": node,
        "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": name} for name in devices],
    }
    await cluster.client.create(SLICES, made("ResourceSlice", node, spec=spec))


async def add_pod(cluster: HollowCluster, name: str, *, annotations: dict[str, str] | None = None, **entry: str) -> Object:
    """`claim="x"` uses that claim, `template="x"` has one made for it."""
    source = {"resourceClaimName": entry["claim"]} if "claim" in entry else {"resourceClaimTemplateName": entry["template"]}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "resourceClaims": [{"name": "gpu", **source}],
        "containers": [{"name": "main", "image": "python:3.12-slim", "resources": {"claims": [{"name": "gpu"}]}}],
    }
    metadata: Object = {"name": name, "annotations": annotations or {}}
    return await cluster.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


async def running(cluster: HollowCluster, name: str) -> Object:
    async def look() -> Object | None:
        pod = await cluster.get("pods", name)
        return pod if pod["status"]["phase"] == "Running" else None

    found: Object = await cluster.eventually(look)
    return found


async def refused(cluster: HollowCluster, name: str, message: str) -> None:
    async def look() -> bool:
        return message in await cluster.events("FailedScheduling", name)

    await cluster.eventually(look)


async def claim_with(cluster: HollowCluster, name: str, *, allocated: bool) -> Object:
    async def look() -> Object | None:
        claim = await cluster.get(CLAIMS, name)
        done = (resourceclaims.allocation(claim) is not None) is allocated
        return claim if done and (resourceclaims.FINALIZER in claim["metadata"].get("finalizers", [])) is allocated else None

    found: Object = await cluster.eventually(look)
    return found


async def test_a_pod_waits_for_a_template_a_class_and_a_device_in_turn(cluster: HollowCluster) -> None:
    pod = await add_pod(cluster, "wants", template="one")

    async def complained() -> list[str]:
        return await cluster.events("FailedResourceClaimCreation", "wants")

    missing = 'PodResourceClaim gpu: resource claim template "one": resourceclaimtemplate.resource.k8s.io "one" not found'
    assert await cluster.eventually(complained) == [missing]
    assert await cluster.events("FailedScheduling") == []
    labels = {"metadata": {"labels": {"team": "ml"}}}
    await cluster.create("resourceclaimtemplates.resource.k8s.io", made("ResourceClaimTemplate", "one", spec={**labels, "spec": SPEC}))
    await refused(cluster, "wants", PENDING.format("request gpu: device class gpu does not exist", "no new claims to deallocate"))
    await add_class(cluster)
    await refused(cluster, "wants", NONE_FREE)
    await add_slice(cluster, "gpu-0")
    bound = await running(cluster, "wants")
    assert bound["spec"]["nodeName"] == "ai-lab-worker"
    [status] = bound["status"]["resourceClaimStatuses"]
    claim = await cluster.get(CLAIMS, status["resourceClaimName"])
    metadata = claim["metadata"]
    assert (status["name"], metadata["name"].startswith("wants-gpu-"), metadata["labels"]) == ("gpu", True, {"team": "ml"})
    assert metadata["annotations"] == {resourceclaims.POD_CLAIM_ANNOTATION: "gpu"}
    assert metadata["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "wants", "uid": pod["metadata"]["uid"], "controller": True}
    ]
    assert claim["status"]["reservedFor"] == [{"resource": "pods", "name": "wants", "uid": pod["metadata"]["uid"]}]
    assert claim["status"]["allocation"]["devices"]["results"] == [
        {"request": "gpu", "driver": "gpu.example.com", "pool": "ai-lab-worker", "device": "gpu-0"}
    ]


async def test_devices_go_to_the_next_pod_when_one_ends(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    await cluster.create("resourceclaimtemplates.resource.k8s.io", made("ResourceClaimTemplate", "one", spec={"spec": SPEC}))
    await add_pod(cluster, "first", template="one", annotations={"hollow/exit": "0"})

    async def none_left() -> bool:
        return len(await cluster.list(CLAIMS)) == 0

    # A Pod that has ended needs its claim no more, and what was made for it goes.
    await cluster.eventually(none_left)
    await add_pod(cluster, "second", template="one")
    await running(cluster, "second")
    await add_pod(cluster, "third", template="one")
    await refused(cluster, "third", NONE_FREE)
    await cluster.client.delete("pods", "second", cluster.namespace)
    await running(cluster, "third")


async def test_a_claim_is_shared_kept_while_used_and_given_back(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    await cluster.create(CLAIMS, made("ResourceClaim", "shared", spec=SPEC))
    for name in ("a", "b"):
        await add_pod(cluster, name, claim="shared")
        await running(cluster, name)
    claim = await claim_with(cluster, "shared", allocated=True)
    assert [each["name"] for each in claim["status"]["reservedFor"]] == ["a", "b"]
    await cluster.client.delete(CLAIMS, "shared", cluster.namespace)
    assert (await cluster.get(CLAIMS, "shared"))["metadata"]["deletionTimestamp"]
    await cluster.client.delete("pods", "a", cluster.namespace)
    await cluster.client.delete("pods", "b", cluster.namespace)

    async def gone() -> bool:
        return not await cluster.list(CLAIMS)

    await cluster.eventually(gone)


async def test_a_claim_that_nobody_uses_any_more_is_free_to_go_elsewhere(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    await cluster.create(CLAIMS, made("ResourceClaim", "mine", spec=SPEC))
    await add_pod(cluster, "a", claim="mine")
    await running(cluster, "a")
    await claim_with(cluster, "mine", allocated=True)
    await cluster.client.delete("pods", "a", cluster.namespace)
    assert (await claim_with(cluster, "mine", allocated=False))["status"] == {}


async def test_a_pod_without_its_claim_is_not_tried(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    await add_pod(cluster, "early", claim="later")
    await cluster.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": {"containers": [
        {"name": "main", "image": "python:3.12-slim"}]}})  # fmt: skip
    await running(cluster, "other")
    assert await cluster.events("FailedScheduling", "early") == []
    await cluster.create(CLAIMS, made("ResourceClaim", "later", spec=SPEC))
    await running(cluster, "early")


async def test_a_selector_that_fails_ends_the_attempt_with_its_words(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    request = {"deviceClassName": "gpu", "selectors": [{"cel": {"expression": 'device.attributes["gpu.example.com"].model == "T4"'}}]}
    await cluster.create(CLAIMS, made("ResourceClaim", "broken", spec={"devices": {"requests": [{"name": "gpu", "exactly": request}]}}))
    await add_pod(cluster, "asks", claim="broken")
    words = 'running "DynamicResources" filter plugin: claim lab/broken: selector #0: CEL runtime error: no such key: model'
    await refused(cluster, "asks", words)

    async def condition() -> bool:
        [found] = [each for each in (await cluster.get("pods", "asks"))["status"]["conditions"] if each["type"] == "PodScheduled"]
        return (found["reason"], found["message"]) == ("SchedulerError", words)

    await cluster.eventually(condition)


async def test_an_idle_claim_on_the_wrong_node_is_given_back(cluster: HollowCluster) -> None:
    await add_class(cluster)
    await add_slice(cluster, "gpu-0")
    claim = await cluster.create(CLAIMS, made("ResourceClaim", "idle", spec=SPEC))
    elsewhere = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]}]}
    result = {"request": "gpu", "driver": "gpu.example.com", "pool": "gone", "device": "gpu-9"}
    claim = {**claim, "status": {"allocation": {"devices": {"results": [result]}, "nodeSelector": elsewhere}}}
    await cluster.client.update(CLAIMS, claim, subresource="status")
    await add_pod(cluster, "moves", claim="idle")
    assert (await running(cluster, "moves"))["spec"]["nodeName"] == "ai-lab-worker"
    taints = "3 node(s) had untolerated taint(s)"
    first = f"1 resourceclaim not available on the node, {taints}"
    assert PENDING.format(first, "deallocation of ResourceClaim completed") in await cluster.events("FailedScheduling", "moves")


def test_generated_names_keep_a_part_of_both_names() -> None:
    assert generate_name("pod", "gpu") == "pod-gpu-"
    long = generate_name("p" * 60, "g" * 20)
    assert long == "p" * 41 + "-" + "g" * 13
