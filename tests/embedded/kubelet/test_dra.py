"""ResourceClaims on a node: drivers that register, claims that are prepared and unprepared, and what containers get of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from grpclib.client import Channel, UnaryUnaryMethod

from clusters.embedded.kubelet import dra_drivers
from clusters.embedded.kubelet.podresources.v1 import podresources_pb2 as podresources
from kubeobjects import Object

from .conftest import NODE, PYTHON, Node
from .driver import DRIVER, Driver

CLAIMS = "resourceclaims.resource.k8s.io"
SLICES = "resourceslices.resource.k8s.io"


@pytest_asyncio.fixture
async def driver(node: Node) -> AsyncIterator[Driver]:
    """A driver that is registered at the node's kubelet."""
    (node.root / "opt/driver").mkdir(parents=True)
    (node.root / "opt/driver/version").write_text("570\n")
    started = Driver(node.root)
    await started.start()
    assert (await started.registered()).plugin_registered
    yield started
    await started.stop()


async def _claim(node: Node, name: str, **metadata: Any) -> Object:
    """A claim, not allocated yet."""
    requests = [{"name": each, "exactly": {"deviceClassName": "gpu"}} for each in ("gpu", "second")]
    body = {"metadata": {"name": name, **metadata}, "spec": {"devices": {"requests": requests}}}
    return await node.client.create(CLAIMS, body, "default")


async def _allocate(node: Node, name: str, *pods: Object, driver: str = DRIVER) -> Object:
    """What the scheduler writes: the devices, and for whom they are reserved."""
    claim = await node.client.get(CLAIMS, name, "default")
    results = [{"request": "gpu", "driver": driver, "pool": NODE, "device": "gpu-0"}]
    claim = claim | {
        "status": {
            "allocation": {"devices": {"results": results}},
            "reservedFor": [{"resource": "pods", "name": each["metadata"]["name"], "uid": each["metadata"]["uid"]} for each in pods],
        }
    }
    return await node.client.update(CLAIMS, claim, subresource="status")


def _pod(name: str, command: str, *, claim: str = "one", request: str = "", **spec: Any) -> Object:
    wanted = {"name": "gpu", **({"request": request} if request else {})}
    container = {"name": "main", "image": PYTHON, "command": ["sh", "-c", command], "resources": {"claims": [wanted]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "resourceClaims": [{"name": "gpu", "resourceClaimName": claim}],
            "schedulerName": "nobody",
            **spec,
        },
    }


async def _bound(node: Node, pod: Object, *claims: str, driver: str = DRIVER) -> Object:
    """Creates the Pod, gives it its claims, and binds it, in the order in which a scheduler does."""
    created = await node.client.create("pods", pod, "default")
    for name in claims:
        await _allocate(node, name, created, driver=driver)
    await _bind(node, created)
    return created


async def _bind(node: Node, pod: Object) -> None:
    name = pod["metadata"]["name"]
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": NODE}}
    await node.client.create("pods", body, "default", subresource="binding", name=name)


async def _says(node: Node, pod: str, text: str, container: str = "main") -> None:
    """Waits until the Pod runs, and the container's log is this and nothing else."""
    await node.until_phase(pod, "Running")

    async def said() -> bool:
        return await node.logs(pod, container=container) == text

    await node.until(said)


def _state(node: Node) -> list[Any]:
    kept = json.loads((node.root / "var/lib/kubelet/dra_manager_state").read_text())
    found: list[Any] = json.loads(kept["Data"])["ClaimInfoStateList"]
    return found


async def test_a_container_gets_what_the_driver_says(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    pod = await _bound(node, _pod("holder", "echo $GPU $DRIVER; cat /driver/version; sleep 60"), "one")
    await _says(node, "holder", "gpu-0 fake\n570\n")
    claim = await node.client.get(CLAIMS, "one", "default")
    assert driver.prepared == ["one"]
    assert _state(node) == [
        {
            "ClaimUID": claim["metadata"]["uid"],
            "ClaimName": "one",
            "Namespace": "default",
            "PodUIDs": {pod["metadata"]["uid"]: {}},
            "DriverState": {
                DRIVER: {
                    "Devices": [
                        {
                            "PoolName": NODE,
                            "DeviceName": "gpu-0",
                            "ShareID": None,
                            "RequestNames": ["gpu"],
                            "CDIDeviceIDs": [driver.cdi(claim["metadata"]["uid"], "gpu-0")],
                        }
                    ]
                }
            },
        }
    ]


async def test_a_container_gets_the_same_from_every_launcher(any_node: Node) -> None:
    (any_node.root / "opt/driver").mkdir(parents=True)
    (any_node.root / "opt/driver/version").write_text("570\n")
    started = Driver(any_node.root)
    await started.start()
    try:
        assert (await started.registered()).plugin_registered
        await _claim(any_node, "one")
        await _bound(any_node, _pod("holder", "echo $GPU $DRIVER; cat /driver/version; sleep 60"), "one")
        await _says(any_node, "holder", "gpu-0 fake\n570\n")
    finally:
        await started.stop()


async def test_a_claim_is_unprepared_after_the_containers_and_before_the_pod_is_over(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    await _bound(node, _pod("short", "exit 0", restartPolicy="Never"), "one")
    await node.until_phase("short", "Succeeded")
    assert driver.unprepared == ["one"]
    assert _state(node) == []


async def test_a_pod_that_is_deleted_stays_until_its_claim_is_unprepared(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    await _bound(node, _pod("holder", "sleep 60"), "one")
    await node.until_phase("holder", "Running")
    driver.holds = "the device is busy"
    await node.client.delete("pods", "holder", "default", grace_period_seconds=1)
    await node.until_event("holder", "Killing")
    await driver.stop()
    assert (await node.pod("holder"))["metadata"]["deletionTimestamp"]
    driver.holds = ""
    # A driver that comes back is asked at once.
    await driver.start()
    await node.until_gone("holder")
    assert driver.unprepared == ["one"]


async def test_two_pods_share_a_claim(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    first = await node.client.create("pods", _pod("first", "sleep 60"), "default")
    second = await node.client.create("pods", _pod("second", "sleep 60"), "default")
    await _allocate(node, "one", first, second)
    for pod in (first, second):
        await _bind(node, pod)
        await node.until_phase(pod["metadata"]["name"], "Running")
    assert driver.prepared == ["one"]
    await node.client.delete("pods", "first", "default", grace_period_seconds=0)
    await node.until_gone("first")
    await node.until(lambda: list(_state(node)[0]["PodUIDs"]) == [second["metadata"]["uid"]])
    assert driver.unprepared == []
    await node.client.delete("pods", "second", "default", grace_period_seconds=1)
    await node.until_gone("second")
    assert driver.unprepared == ["one"]


async def test_a_container_that_names_a_request_gets_that_device_only(node: Node, driver: Driver) -> None:
    driver.devices = [("gpu", "gpu-0"), ("second", "gpu-1")]
    await _claim(node, "one")
    pod = _pod("holder", "echo main $SEEN_GPU_0 $SEEN_GPU_1; sleep 60", request="second")
    other = {**pod["spec"]["containers"][0], "name": "other", "resources": {}}
    whole = {**pod["spec"]["containers"][0], "name": "whole", "resources": {"claims": [{"name": "gpu"}]}}
    pod["spec"]["containers"] += [other, whole]
    await _bound(node, pod, "one")
    await node.until_phase("holder", "Running")
    for container, expected in (("main", "main yes\n"), ("other", "main\n"), ("whole", "main yes yes\n")):
        await _says(node, "holder", expected, container)
    claim = (await node.client.get(CLAIMS, "one", "default"))["metadata"]["uid"]
    shown = {each["name"]: each.get("allocatedResourcesStatus") for each in (await node.pod("holder"))["status"]["containerStatuses"]}
    unknown = [{"resourceID": driver.cdi(claim, device), "health": "Unknown"} for device in ("gpu-0", "gpu-1")]
    assert shown == {
        "main": [{"name": "claim:gpu/second", "resources": unknown[1:]}],
        "other": None,
        "whole": [{"name": "claim:gpu", "resources": unknown}],
    }


async def test_a_claim_of_a_template_is_found_by_the_pods_status(node: Node, driver: Driver) -> None:
    pod = _pod("holder", "echo $GPU; sleep 60", resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "template"}], nodeName=NODE)
    created = await node.client.create("pods", pod, "default")
    assert await node.until_event("holder", "FailedPrepareDynamicResources") == (
        'Failed to prepare dynamic resources: prepare dynamic resources: pod "default/holder": ResourceClaim not created yet'
    )
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "holder", "uid": created["metadata"]["uid"], "controller": True}
    await _claim(node, "holder-gpu-abcde", ownerReferences=[owner])
    await _allocate(node, "holder-gpu-abcde", created)
    status = {"status": {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "holder-gpu-abcde"}]}}
    await node.client.patch("pods", "holder", status, "default", subresource="status")
    # The kubelet's own writes keep what it does not know of.
    running = await node.until_phase("holder", "Running")
    assert running["status"]["resourceClaimStatuses"] == status["status"]["resourceClaimStatuses"]


async def test_claims_that_are_not_for_the_pod_are_refused(node: Node, driver: Driver) -> None:
    created = await node.client.create("pods", _pod("stranger", "sleep 60"), "default")
    uid = created["metadata"]["uid"]

    async def told(expected: str) -> None:
        """Waits for the event, after the Pod was changed, which makes the kubelet look again."""
        await node.client.patch("pods", "stranger", {"metadata": {"annotations": {"looked": expected[-60:]}}}, "default")

        async def came() -> bool:
            return ("FailedPrepareDynamicResources", f"Failed to prepare dynamic resources: {expected}") in await node.messages("stranger")

        await node.until(came)

    await _bind(node, created)
    await told('prepare dynamic resources: fetch ResourceClaim one: resourceclaims.resource.k8s.io "one" not found')
    claim = await _claim(node, "one")
    await told(f"prepare dynamic resources: pod stranger ({uid}) is not allowed to use ResourceClaim one ({claim['metadata']['uid']})")
    await _allocate(node, "one", created, driver="other.example.com")
    await told("prepare dynamic resources: DRA driver other.example.com is not registered")
    assert await node.until_state("stranger", "waiting", "ContainerCreating")
    assert driver.prepared == []
    assert not (node.root / "var/lib/kubelet/dra_manager_state").exists()


async def test_a_pod_waits_for_its_driver(node: Node) -> None:
    await _claim(node, "one")
    await _bound(node, _pod("early", "sleep 60"), "one")
    assert (
        await node.until_event("early", "FailedPrepareDynamicResources")
        == f"Failed to prepare dynamic resources: prepare dynamic resources: DRA driver {DRIVER} is not registered"
    )
    (node.root / "opt/driver").mkdir(parents=True)
    late = Driver(node.root)
    await late.start()
    try:
        await node.until_phase("early", "Running")
    finally:
        await late.stop()


async def test_what_the_driver_refuses_is_told(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    driver.refusal = "error preparing devices for claim default/one: device is gone"
    await _bound(node, _pod("refused", "sleep 60"), "one")
    assert await node.until_event("refused", "FailedPrepareDynamicResources") == (
        "Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed for ResourceClaim one: "
        "error preparing devices for claim default/one: device is gone"
    )
    seen = {"device is gone"}
    for refusal, skips, words in (
        ("general", False, "NodePrepareResources: rpc error: code = Unknown desc = the driver is out of order"),
        ("", True, "NodePrepareResources skipped 1 ResourceClaims"),
    ):
        driver.refusal, driver.skips = refusal, skips
        await node.client.patch("pods", "refused", {"metadata": {"annotations": {"looked": words}}}, "default")

        async def came(words: str = words) -> bool:
            return any(message.endswith(words) for _, message in await node.messages("refused"))

        await node.until(came)
        seen.add(words)
    driver.skips = False
    await node.client.patch("pods", "refused", {"metadata": {"annotations": {"looked": "again"}}}, "default")
    await node.until_phase("refused", "Running")


async def test_a_device_that_no_spec_has_keeps_the_container_from_being_created(node: Node, driver: Driver) -> None:
    claim = await _claim(node, "one")
    driver._write_spec = lambda claim: None  # type: ignore[method-assign]
    await _bound(node, _pod("holder", "sleep 60"), "one")
    words = (
        "failed to create containerd container: CDI device injection failed: unresolvable CDI devices "
        f"{driver.cdi(claim['metadata']['uid'], 'gpu-0')}"
    )
    assert (await node.until_state("holder", "waiting", "CreateContainerError"))["message"] == words
    assert await node.until_event("holder", "Failed") == f"Error: {words}"


async def test_the_health_of_a_device_is_seen_in_the_status_of_its_container(node: Node, driver: Driver) -> None:
    claim = (await _claim(node, "one"))["metadata"]["uid"]
    await driver.set_health("gpu-0", "HEALTHY")
    await _bound(node, _pod("holder", "sleep 60"), "one")
    await node.until_phase("holder", "Running")

    async def shown(expected: Object) -> None:
        wanted = [{"name": "claim:gpu", "resources": [{"resourceID": driver.cdi(claim, "gpu-0"), **expected}]}]

        async def there() -> bool:
            return (await node.status("holder")).get("allocatedResourcesStatus") == wanted

        await node.until(there)

    await shown({"health": "Healthy"})
    await driver.set_health("gpu-0", "UNHEALTHY", "critical XID 79 reported by NVML")
    await shown({"health": "Unhealthy", "message": "critical XID 79 reported by NVML"})
    await driver.stop()
    await shown({"health": "Unknown"})


async def test_a_new_kubelet_prepares_again_and_unprepares_what_nobody_holds(node: Node, driver: Driver) -> None:
    for name in ("one", "two"):
        await _claim(node, name)
    await _bound(node, _pod("stays", "sleep 60", claim="one"), "one")
    await _bound(node, _pod("goes", "sleep 60", claim="two"), "two")
    for name in ("stays", "goes"):
        await node.until_phase(name, "Running")
    await node.stop()
    await node.client.delete("pods", "goes", "default", grace_period_seconds=0)
    await driver.stop()
    driver.prepared.clear()
    await driver.start()
    await node.start()
    await node.until(lambda: driver.prepared == ["one"])

    async def kubelet_looked() -> bool:
        assert node.kubelet
        await node.kubelet._claims._reconcile()
        return driver.unprepared == ["two"]

    await node.until(kubelet_looked)
    await node.until_phase("stays", "Running")
    assert [each["ClaimName"] for each in _state(node)] == ["one"]


async def test_a_kubelet_ends_while_a_driver_has_not_answered(node: Node, driver: Driver) -> None:
    await _claim(node, "one")
    driver.goes_on.clear()
    await _bound(node, _pod("holder", "sleep 60"), "one")
    await asyncio.wait_for(driver.called.wait(), 60)
    try:
        async with asyncio.timeout(10):
            await node.stop()
    finally:
        driver.goes_on.set()


async def test_a_driver_without_a_version_in_common_is_told(node: Node) -> None:
    stranger = Driver(node.root, "v1alpha4.Node")
    await stranger.start()
    told = await stranger.registered()
    await stranger.stop()
    assert not told.plugin_registered
    assert told.error == (
        "RegisterPlugin error -- plugin validation failed with err: invalid supported gRPC versions of DRA driver plugin gpu.example.com at "
        "endpoint /var/lib/kubelet/plugins/gpu.example.com/dra.sock: none of services supported by the plugin "
        '(["v1alpha4.Node"]) are supported by the kubelet (["v1.DRAPlugin" "v1beta1.DRAPlugin"])'
    )


async def test_a_plugin_of_another_kind_is_told(node: Node) -> None:
    stranger = Driver(node.root)
    stranger.type = "CSIPlugin"
    await stranger.start()
    told = await stranger.registered()
    await stranger.stop()
    socket = f"/var/lib/kubelet/plugins_registry/{DRIVER}-reg.sock"
    assert told.error == f"RegisterPlugin error -- no handler registered for plugin type: CSIPlugin at socket {socket}"


async def test_a_driver_of_the_beta_is_spoken_to_in_its_version(node: Node) -> None:
    (node.root / "opt/driver").mkdir(parents=True)
    old = Driver(node.root, "v1beta1.DRAPlugin")
    await old.start()
    assert (await old.registered()).plugin_registered
    await _claim(node, "one")
    await _bound(node, _pod("holder", "sleep 60"), "one")
    await node.until_phase("holder", "Running")
    await old.stop()
    assert old.prepared == ["one"]


async def _slice(node: Node, name: str, node_name: str = NODE, driver: str = DRIVER) -> None:
    pool = {"name": node_name, "generation": 1, "resourceSliceCount": 1}
    body = {"metadata": {"name": name}, "spec": {"driver": driver, "nodeName": node_name, "pool": pool, "devices": [{"name": "gpu-0"}]}}
    await node.client.create(SLICES, body)


async def _slices(node: Node) -> set[str]:
    return {each["metadata"]["name"] for each in (await node.client.list(SLICES)).items}


async def test_the_slices_of_a_driver_that_stays_away_are_deleted(node: Node, driver: Driver, monkeypatch: Any) -> None:
    await _slice(node, "own")
    await _slice(node, "of-another-driver", driver="nic.example.com")
    await _slice(node, "of-another-node", node_name="node-2")
    # One that is back in time keeps them.
    await driver.stop()
    await driver.start()
    assert (await driver.registered()).plugin_registered
    drivers = node.kubelet._claims.drivers  # type: ignore[union-attr]
    await node.until(lambda: not drivers._wiping)
    monkeypatch.setattr(dra_drivers, "WIPE_SECONDS", 0.1)
    # A crash leaves the sockets: that nobody listens is what the kubelet sees.
    await driver.stop(crashed=True)

    async def wiped() -> bool:
        return await _slices(node) == {"of-another-driver", "of-another-node"}

    await node.until(wiped)


async def test_a_node_that_starts_offers_nothing_until_its_drivers_are_back(node: Node) -> None:
    await node.stop()
    await _slice(node, "of-before")
    await _slice(node, "of-another-node", node_name="node-2")
    await node.start()

    async def wiped() -> bool:
        return await _slices(node) == {"of-another-node"}

    await node.until(wiped)


async def test_the_node_tells_who_uses_which_claim(node: Node, driver: Driver) -> None:
    claim = (await _claim(node, "one"))["metadata"]["uid"]
    await _bound(node, _pod("holder", "sleep 60"), "one")
    await node.until_phase("holder", "Running")
    channel = Channel(path=str((node.root / "var/lib/kubelet/pod-resources").resolve() / "kubelet.sock"))
    method = UnaryUnaryMethod(
        channel, "/v1.PodResourcesLister/List", podresources.ListPodResourcesRequest, podresources.ListPodResourcesResponse
    )
    (pod,) = (await method(podresources.ListPodResourcesRequest())).pod_resources
    channel.close()
    (container,) = pod.containers
    (used,) = container.dynamic_resources
    (device,) = used.claim_resources
    assert (pod.namespace, pod.name, container.name, used.claim_namespace, used.claim_name) == (
        "default",
        "holder",
        "main",
        "default",
        "one",
    )
    assert (device.driver_name, device.pool_name, device.device_name) == (DRIVER, NODE, "gpu-0")
    assert [each.name for each in device.cdi_devices] == [driver.cdi(claim, "gpu-0")]


async def test_without_claims_no_driver_is_asked(node: Node, driver: Driver) -> None:
    await node.run("plain", "sleep", "60")
    await node.until_phase("plain", "Running")
    await node.client.delete("pods", "plain", "default", grace_period_seconds=1)
    await node.until_gone("plain")
    assert (driver.prepared, driver.unprepared) == ([], [])


async def test_a_pod_that_was_never_prepared_goes_without_its_driver(node: Node) -> None:
    await _claim(node, "one")
    await _bound(node, _pod("early", "sleep 60"), "one")
    await node.until_event("early", "FailedPrepareDynamicResources")
    await node.client.delete("pods", "early", "default", grace_period_seconds=1)
    await node.until_gone("early")
    assert not (node.root / "var/lib/kubelet/dra_manager_state").exists()
