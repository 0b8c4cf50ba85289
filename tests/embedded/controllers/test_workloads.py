"""DaemonSets, StatefulSets and ReplicaSets on the lab's four nodes."""

from __future__ import annotations

from typing import Any

from hollow import HollowCluster

from kubeobjects import Object


def template(app: str = "agent", **spec: Any) -> Object:
    container = {"name": "main", "image": "python:3.12-slim"} | spec.pop("container", {})
    return {"metadata": {"labels": {"app": app}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}}


def daemonset(**spec: Any) -> Object:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    body = {"selector": {"matchLabels": {"app": "agent"}}, "template": template(tolerations=tolerations), **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": body}


async def status_of(cluster: HollowCluster, resource: str, name: str, **wanted: Any) -> Object:
    async def look() -> Object | None:
        found = await cluster.get(resource, name)
        status = found.get("status") or {}
        current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        return found if current and all(status.get(key) == value for key, value in wanted.items()) else None

    return await cluster.eventually(look)


async def test_a_daemon_runs_on_every_node_whose_taints_it_tolerates(cluster: HollowCluster) -> None:
    await cluster.create("daemonsets.apps", daemonset())
    done = await status_of(cluster, "daemonsets.apps", "agent", numberAvailable=3)
    assert done["status"] == {
        "currentNumberScheduled": 3,
        "desiredNumberScheduled": 3,
        "numberAvailable": 3,
        "numberMisscheduled": 0,
        "numberReady": 3,
        "observedGeneration": 1,
        "updatedNumberScheduled": 3,
    }
    pods = await cluster.list("pods")
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["ai-lab-worker", "ai-lab-worker2", "ai-lab-worker3"]
    assert {f"Created pod: {pod['metadata']['name']}" for pod in pods} == {*await cluster.events("SuccessfulCreate")}


async def test_a_daemon_follows_the_nodes(cluster: HollowCluster) -> None:
    body = daemonset()
    body["spec"]["template"]["spec"]["nodeSelector"] = {"lab": "yes"}
    await cluster.create("daemonsets.apps", body)
    await status_of(cluster, "daemonsets.apps", "agent", desiredNumberScheduled=0)
    await cluster.client.patch("nodes", "ai-lab-worker2", {"metadata": {"labels": {"lab": "yes"}}})
    await status_of(cluster, "daemonsets.apps", "agent", numberReady=1, desiredNumberScheduled=1)
    await cluster.client.patch("nodes", "ai-lab-worker2", {"metadata": {"labels": {"lab": None}}})

    async def gone() -> bool:
        return not await cluster.list("pods")

    await cluster.eventually(gone)


async def test_a_daemon_is_replaced_node_by_node(cluster: HollowCluster) -> None:
    await cluster.create("daemonsets.apps", daemonset())
    await status_of(cluster, "daemonsets.apps", "agent", numberAvailable=3)
    changed = await cluster.get("daemonsets.apps", "agent")
    changed = {
        **changed,
        "spec": {**changed["spec"], "template": template(tolerations=[{"operator": "Exists"}], container={"image": "python:3.13-slim"})},
    }
    await cluster.client.update("daemonsets.apps", changed)
    await status_of(cluster, "daemonsets.apps", "agent", numberAvailable=4, updatedNumberScheduled=4)
    revisions = await cluster.list("controllerrevisions.apps")
    assert sorted(each["revision"] for each in revisions) == [1, 2]


def statefulset(replicas: int = 3, **spec: Any) -> Object:
    body = {"serviceName": "db", "replicas": replicas, "selector": {"matchLabels": {"app": "db"}}, "template": template("db"), **spec}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": body}


async def test_a_stateful_set_starts_in_order_with_claims_of_its_own(cluster: HollowCluster) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    body = statefulset(volumeClaimTemplates=[claim])
    await cluster.create("statefulsets.apps", body)
    await status_of(cluster, "statefulsets.apps", "db", availableReplicas=3)
    pods = sorted(await cluster.list("pods"), key=lambda pod: int(pod["metadata"]["resourceVersion"]))
    assert sorted(pod["metadata"]["name"] for pod in pods) == ["db-0", "db-1", "db-2"]
    claims = {each["metadata"]["name"]: each["status"]["phase"] for each in await cluster.list("persistentvolumeclaims")}
    assert claims == {"data-db-0": "Bound", "data-db-1": "Bound", "data-db-2": "Bound"}
    told = await cluster.events("SuccessfulCreate", "db")
    assert told == [
        each
        for number in range(3)
        for each in (
            f"create Claim data-db-{number} Pod db-{number} in StatefulSet db success",
            f"create Pod db-{number} in StatefulSet db successful",
        )
    ]


async def test_a_partition_holds_back_the_lower_ordinals(cluster: HollowCluster) -> None:
    await cluster.create("statefulsets.apps", statefulset(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}))
    await status_of(cluster, "statefulsets.apps", "db", availableReplicas=3)
    changed = await cluster.get("statefulsets.apps", "db")
    await cluster.client.update(
        "statefulsets.apps", {**changed, "spec": {**changed["spec"], "template": template("db", container={"image": "python:3.13-slim"})}}
    )
    done = await status_of(cluster, "statefulsets.apps", "db", updatedReplicas=1, readyReplicas=3)
    assert done["status"]["currentReplicas"] == 2
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in await cluster.list("pods")}
    assert images == {"db-0": "python:3.12-slim", "db-1": "python:3.12-slim", "db-2": "python:3.13-slim"}


async def test_scaling_down_ends_the_highest_ordinal_first(cluster: HollowCluster) -> None:
    await cluster.create("statefulsets.apps", statefulset())
    await status_of(cluster, "statefulsets.apps", "db", availableReplicas=3)
    await cluster.client.patch("statefulsets.apps", "db", {"spec": {"replicas": 1}}, cluster.namespace)
    await status_of(cluster, "statefulsets.apps", "db", replicas=1)
    assert await cluster.events("SuccessfulDelete") == [
        "delete Pod db-2 in StatefulSet db successful",
        "delete Pod db-1 in StatefulSet db successful",
    ]


async def test_a_replica_set_replaces_a_deleted_pod_once(cluster: HollowCluster) -> None:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "agent"}}, "template": template()}
    await cluster.create("replicasets.apps", {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": spec})
    await status_of(cluster, "replicasets.apps", "web", readyReplicas=2)
    victim = (await cluster.list("pods"))[0]["metadata"]["name"]
    await cluster.client.delete("pods", victim, cluster.namespace)

    async def replaced() -> bool:
        names = [pod["metadata"]["name"] for pod in await cluster.list("pods")]
        return len(names) == 2 and victim not in names

    await cluster.eventually(replaced)
    assert len(await cluster.events("SuccessfulCreate")) == 3


async def test_a_replica_set_adopts_and_releases_pods_by_their_labels(cluster: HollowCluster) -> None:
    orphan = template()
    await cluster.create(
        "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", "labels": {"app": "agent"}}, "spec": orphan["spec"]}
    )
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "agent"}}, "template": template()}
    await cluster.create("replicasets.apps", {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": spec})
    await status_of(cluster, "replicasets.apps", "web", readyReplicas=1)
    assert [pod["metadata"]["name"] for pod in await cluster.list("pods")] == ["orphan"]
    await cluster.client.patch("pods", "orphan", {"metadata": {"labels": {"app": "other"}}}, cluster.namespace)

    async def released() -> bool:
        pods = {pod["metadata"]["name"]: pod for pod in await cluster.list("pods")}
        return len(pods) == 2 and "ownerReferences" not in pods["orphan"]["metadata"]

    await cluster.eventually(released)
