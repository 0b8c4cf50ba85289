"""Components' client: the registry's verbs without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.errors import ApiError
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.store import Store
from kubeobjects import Object


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


class Measuring:
    """A kubelet of which only its measurements are asked."""

    def usage(self) -> dict[str, Any]:
        used = {"cpu": 250, "memory": 64 * 1024**2}
        return {"node": used, "pods": {"default/busy": {"server": used}}}


@pytest.fixture
async def client(store: Store, tmp_path: Path) -> LocalClient:
    connections = NodeConnections()
    connections.register("node-a", Measuring())  # type: ignore[arg-type]
    server = ApiServer(store, tmp_path, connections)
    await server.bootstrap()
    found = LocalClient(server.services, "system:kube-controller-manager")
    await found.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    return found


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def pod(name: str = "web", **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"containers": [{"name": "main", "image": "python:3.12-slim"}]},
    }


async def test_a_created_object_has_what_the_server_gives_it(client: LocalClient) -> None:
    created = await client.create("configmaps", config_map("settings", a="1"))
    assert created["metadata"]["uid"]
    assert created["metadata"]["creationTimestamp"]
    assert int(created["metadata"]["resourceVersion"]) > 0
    assert await client.get("configmaps", "settings", "default") is created


async def test_the_body_that_a_component_passes_stays_its_own(client: LocalClient) -> None:
    body = config_map("settings", a="1")
    await client.create("configmaps", body)
    body["data"]["a"] = "changed later"
    assert (await client.get("configmaps", "settings", "default"))["data"] == {"a": "1"}


async def test_creating_twice_is_a_conflict(client: LocalClient) -> None:
    await client.create("configmaps", config_map("settings"))
    with pytest.raises(ApiError, match='configmaps "settings" already exists') as caught:
        await client.create("configmaps", config_map("settings"))
    assert (caught.value.code, caught.value.reason) == (409, "AlreadyExists")


async def test_nothing_is_created_in_a_namespace_that_is_missing(client: LocalClient) -> None:
    body = config_map("settings")
    body["metadata"]["namespace"] = "nowhere"
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        await client.create("configmaps", body)


async def test_a_generated_name_begins_as_asked(client: LocalClient) -> None:
    body = config_map("x")
    del body["metadata"]["name"]
    body["metadata"]["generateName"] = "part-"
    names = {(await client.create("configmaps", body))["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("part-") and len(name) == 10 for name in names)


async def test_an_update_of_an_old_version_is_refused(client: LocalClient) -> None:
    first = await client.create("configmaps", config_map("settings", a="1"))
    await client.update("configmaps", {**first, "data": {"a": "2"}})
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        await client.update("configmaps", {**first, "data": {"a": "3"}})
    assert caught.value.code == 409


async def test_a_write_that_changes_nothing_keeps_the_version(client: LocalClient) -> None:
    first = await client.create("configmaps", config_map("settings", a="1"))
    again = await client.patch("configmaps", "settings", {"data": {"a": "1"}}, "default")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_pod_on_a_node_is_deleted_gracefully_and_then_by_its_kubelet(client: LocalClient) -> None:
    await client.create("pods", pod())
    await client.create("pods", {"target": {"kind": "Node", "name": "n1"}}, "default", subresource="binding", name="web")
    await client.delete("pods", "web", "default")
    going = await client.get("pods", "web", "default")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert going["spec"]["nodeName"] == "n1"
    await client.delete("pods", "web", "default", grace_period_seconds=0)
    with pytest.raises(ApiError, match='pods "web" not found'):
        await client.get("pods", "web", "default")


async def test_a_pod_is_bound_once(client: LocalClient) -> None:
    await client.create("pods", pod())
    await client.create("pods", {"target": {"kind": "Node", "name": "n1"}}, "default", subresource="binding", name="web")
    bound = await client.get("pods", "web", "default")
    assert any(each["type"] == "PodScheduled" and each["status"] == "True" for each in bound["status"]["conditions"])
    with pytest.raises(ApiError, match='pod web is already assigned to node "n1"'):
        await client.create("pods", {"target": {"kind": "Node", "name": "n2"}}, "default", subresource="binding", name="web")


async def test_a_finalizer_holds_an_object_until_it_is_removed(client: LocalClient) -> None:
    body = config_map("held")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    await client.create("configmaps", body)
    await client.delete("configmaps", "held", "default")
    held = await client.get("configmaps", "held", "default")
    assert held["metadata"]["deletionTimestamp"]
    await client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, "default")
    with pytest.raises(ApiError, match="not found"):
        await client.get("configmaps", "held", "default")


async def test_foreground_deletion_leaves_the_object_to_the_garbage_collector(client: LocalClient) -> None:
    await client.create("configmaps", config_map("owner"))
    await client.delete("configmaps", "owner", "default", propagation_policy="Foreground")
    assert (await client.get("configmaps", "owner", "default"))["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_a_deletion_with_another_uid_is_refused(client: LocalClient) -> None:
    await client.create("configmaps", config_map("settings"))
    with pytest.raises(ApiError, match="does not match the UID in record"):
        await client.delete("configmaps", "settings", "default", uid="another")


async def test_a_namespace_goes_when_its_finalizer_does(client: LocalClient) -> None:
    await client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    await client.delete("namespaces", "team")
    going = await client.get("namespaces", "team")
    assert going["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError, match="because it is being terminated"):
        await client.create("configmaps", {"metadata": {"name": "late"}}, "team")
    await client.update("namespaces", {**going, "spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(ApiError, match="not found"):
        await client.get("namespaces", "team")


async def test_a_watch_tells_what_happened_after_a_version(client: LocalClient) -> None:
    listed = await client.list("configmaps")
    await client.create("configmaps", config_map("one", a="1"))
    await client.patch("configmaps", "one", {"data": {"a": "2"}}, "default")
    await client.delete("configmaps", "one", "default")
    seen = []
    async with asyncio.timeout(2):
        async for event in client.watch("configmaps", resource_version=listed.resource_version):
            seen.append((event.type, event.object["data"]["a"]))
            if event.type == "DELETED":
                break
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


async def test_scaling_through_the_subresource_changes_replicas_only(client: LocalClient) -> None:
    labels = {"app": "web"}
    await client.create(
        "deployments.apps",
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod()["spec"]},
            },
        },
    )
    scale = await client.patch("deployments.apps", "web", {"spec": {"replicas": 3}}, "default", subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 3, "app=web")
    assert (await client.get("deployments.apps", "web", "default"))["spec"]["replicas"] == 3


async def test_events_are_one_thing_in_both_api_groups(client: LocalClient) -> None:
    await client.create(
        "events",
        {
            "metadata": {"name": "web.1", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
            "reason": "Pulled",
            "message": "pulled it",
            "type": "Normal",
            "source": {"component": "kubelet"},
        },
    )
    newer = await client.get("events.events.k8s.io", "web.1", "default")
    assert newer["note"] == "pulled it"
    assert newer["regarding"]["name"] == "web"
    found = await client.list("events", field_selector="involvedObject.name=web,type!=Warning")
    assert [each["message"] for each in found.items] == ["pulled it"]


async def test_fields_that_cannot_be_selected_by_are_refused(client: LocalClient) -> None:
    with pytest.raises(ApiError, match=r"field label not supported: spec.color"):
        await client.list("pods", field_selector="spec.color=red")
    with pytest.raises(ApiError, match=r'"spec.color" is not a known field selector: only "metadata.name", "metadata.namespace"'):
        await client.list("configmaps", field_selector="spec.color=red")


async def test_an_object_keeps_its_name(client: LocalClient) -> None:
    await client.create("configmaps", config_map("a"))
    with pytest.raises(ApiError, match=r'metadata.name: Invalid value: "b": field is immutable'):
        await client.patch("configmaps", "a", {"metadata": {"name": "b"}}, "default")


async def test_a_namespaced_object_needs_a_namespace(client: LocalClient) -> None:
    with pytest.raises(ApiError, match="an empty namespace may not be set during creation"):
        await client.create("configmaps", {"metadata": {"name": "a"}})


async def test_deleting_a_job_without_a_word_about_its_pods_keeps_them(client: LocalClient) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "python:3.12-slim"}]}}
    await client.create("jobs.batch", {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template}})
    await client.delete("jobs.batch", "j", "default")
    assert "orphan" in (await client.get("jobs.batch", "j", "default"))["metadata"]["finalizers"]


async def test_a_controller_reads_what_pods_use_as_kubectl_top_does(client: LocalClient) -> None:
    for name, node in (("busy", "node-a"), ("elsewhere", "node-b")):
        pod = {"metadata": {"name": name, "namespace": "default", "labels": {"app": name}}}
        await client.create("pods", pod | {"spec": {"nodeName": node, "containers": [{"name": "server", "image": "python:3.12-slim"}]}})
    (measured,) = (await client.list("pods.metrics.k8s.io", "default")).items
    assert measured["metadata"]["name"] == "busy"
    assert measured["containers"] == [{"name": "server", "usage": {"cpu": "250000000n", "memory": "65536Ki"}}]
    assert (await client.list("pods.metrics.k8s.io", "default", label_selector="app=elsewhere")).items == []
    with pytest.raises(ApiError):
        await client.list("pods.metrics.k8s.io", "default", label_selector="app in (")
