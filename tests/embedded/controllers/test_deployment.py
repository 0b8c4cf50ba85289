"""Rollouts as a learner sees them: revisions, conditions, events, and going back."""

from __future__ import annotations

from typing import Any

from hollow import HollowCluster

from kubeobjects import Object


def deployment(replicas: int = 2, image: str = "python:3.12-slim", annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "annotations": {"kubernetes.io/change-cause": "model v1"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {
                "metadata": {"labels": {"app": "api"}, "annotations": annotations or {}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": image}]},
            },
            **spec,
        },
    }


def complete(obj: Object) -> bool:
    status, wanted = obj.get("status") or {}, obj["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= obj["metadata"]["generation"]
    return seen and all(status.get(name, 0) == wanted for name in ("updatedReplicas", "replicas", "availableReplicas"))


async def rolled_out(cluster: HollowCluster) -> Object:
    async def look() -> Object | None:
        found = await cluster.get("deployments.apps", "api")
        return found if complete(found) else None

    return await cluster.eventually(look)


async def change(cluster: HollowCluster, body: Object) -> None:
    await cluster.client.patch("deployments.apps", "api", body, cluster.namespace, type="strategic")


def set_image(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}


def conditions(obj: Object) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in obj["status"]["conditions"]}


async def test_a_rollout_ends_with_the_words_of_a_real_one(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    done = await rolled_out(cluster)
    (replica_set,) = await cluster.list("replicasets.apps")
    name = replica_set["metadata"]["name"]

    async def settled() -> Object | None:
        found = await cluster.get("deployments.apps", "api")
        return found if conditions(found)["Progressing"][1] == "NewReplicaSetAvailable" else None

    done = await cluster.eventually(settled)
    assert conditions(done) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'),
    }
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert {key: value for key, value in done["status"].items() if key != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
    }
    assert replica_set["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "2",
        "deployment.kubernetes.io/max-replicas": "3",
        "deployment.kubernetes.io/revision": "1",
        "kubernetes.io/change-cause": "model v1",
    }
    assert await cluster.events("ScalingReplicaSet") == [f"Scaled up replica set {name} from 0 to 2"]
    made = sorted(pod["metadata"]["name"] for pod in await cluster.list("pods"))
    assert sorted(await cluster.events("SuccessfulCreate")) == [f"Created pod: {each}" for each in made]


async def test_a_second_template_makes_a_second_revision_and_empties_the_first(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment(replicas=3))
    await rolled_out(cluster)
    await change(cluster, set_image("python:3.13-slim"))
    done = await rolled_out(cluster)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    sizes = {
        each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: each["spec"]["replicas"]
        for each in await cluster.list("replicasets.apps")
    }
    assert sizes == {"1": 0, "2": 3}
    images = {pod["spec"]["containers"][0]["image"] for pod in await cluster.list("pods") if "deletionTimestamp" not in pod["metadata"]}
    assert images == {"python:3.13-slim"}


async def test_going_back_renumbers_the_old_replica_set(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await change(cluster, set_image("python:3.13-slim"))
    await rolled_out(cluster)
    await change(cluster, set_image("python:3.12-slim"))
    await rolled_out(cluster)
    sets = await cluster.list("replicasets.apps")
    assert len(sets) == 2
    by_image = {each["spec"]["template"]["spec"]["containers"][0]["image"]: each["metadata"]["annotations"] for each in sets}
    assert by_image["python:3.12-slim"]["deployment.kubernetes.io/revision"] == "3"
    assert by_image["python:3.12-slim"]["deployment.kubernetes.io/revision-history"] == "1"
    assert by_image["python:3.13-slim"]["deployment.kubernetes.io/revision"] == "2"


async def test_a_rollout_that_cannot_finish_keeps_the_old_pods_and_says_so(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment(progressDeadlineSeconds=1))
    await rolled_out(cluster)
    broken = set_image("registry.example.com/broken")
    broken["spec"]["template"]["metadata"] = {"annotations": {"hollow/image": "missing"}}
    await change(cluster, broken)

    async def timed_out() -> Object | None:
        found = await cluster.get("deployments.apps", "api")
        return found if conditions(found)["Progressing"][0] == "False" else None

    stuck = await cluster.eventually(timed_out)
    (new,) = [
        each
        for each in await cluster.list("replicasets.apps")
        if each["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    ]
    assert conditions(stuck) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{new["metadata"]["name"]}" has timed out progressing.'),
    }
    assert stuck["status"]["readyReplicas"] == 2
    assert stuck["status"]["updatedReplicas"] == 1


async def test_scaling_changes_the_replica_set_and_not_the_revision(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await change(cluster, {"spec": {"replicas": 4}})
    await rolled_out(cluster)
    (replica_set,) = await cluster.list("replicasets.apps")
    assert replica_set["spec"]["replicas"] == 4
    await change(cluster, {"spec": {"replicas": 1}})
    await rolled_out(cluster)
    name = replica_set["metadata"]["name"]
    assert await cluster.events("ScalingReplicaSet") == [
        f"Scaled up replica set {name} from 0 to 2",
        f"Scaled up replica set {name} from 2 to 4",
        f"Scaled down replica set {name} from 4 to 1",
    ]


async def test_a_paused_deployment_does_not_roll(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await change(cluster, {"spec": {"paused": True}})
    await change(cluster, set_image("python:3.13-slim"))

    async def noticed() -> bool:
        found = await cluster.get("deployments.apps", "api")
        return found["status"]["observedGeneration"] == found["metadata"]["generation"]

    await cluster.eventually(noticed)
    found = await cluster.get("deployments.apps", "api")
    assert conditions(found)["Progressing"] == ("Unknown", "DeploymentPaused", "Deployment is paused")
    assert len(await cluster.list("replicasets.apps")) == 1
    await change(cluster, {"spec": {"paused": None}})
    await rolled_out(cluster)
    assert len(await cluster.list("replicasets.apps")) == 2


async def test_recreate_ends_every_old_pod_before_the_first_new_one(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment(strategy={"type": "Recreate"}))
    await rolled_out(cluster)
    old = {pod["metadata"]["uid"] for pod in await cluster.list("pods")}
    await change(cluster, set_image("python:3.13-slim"))
    mixed = False

    async def replaced() -> bool:
        nonlocal mixed
        present = {pod["metadata"]["uid"] for pod in await cluster.list("pods")}
        mixed = mixed or bool(present & old and present - old)
        return complete(await cluster.get("deployments.apps", "api")) and not present & old

    await cluster.eventually(replaced)
    assert not mixed


async def test_history_is_kept_only_as_far_as_the_limit(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment(replicas=1, revisionHistoryLimit=1))
    for tag in ("a", "b", "c"):
        await rolled_out(cluster)
        await change(cluster, set_image(f"python:{tag}"))
    await rolled_out(cluster)

    async def trimmed() -> bool:
        return len(await cluster.list("replicasets.apps")) == 2

    await cluster.eventually(trimmed)


async def test_deleting_a_deployment_takes_its_pods_along(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await cluster.client.delete("deployments.apps", "api", cluster.namespace, propagation_policy="Background")

    async def gone() -> bool:
        return not await cluster.list("replicasets.apps") and not await cluster.list("pods")

    await cluster.eventually(gone)


async def test_orphaned_pods_stay(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await cluster.client.delete("deployments.apps", "api", cluster.namespace, propagation_policy="Orphan")

    async def freed() -> bool:
        sets = await cluster.list("replicasets.apps")
        return bool(sets) and all("ownerReferences" not in each["metadata"] for each in sets)

    await cluster.eventually(freed)
    assert len(await cluster.list("pods")) == 2


async def test_a_foreground_deletion_waits_for_the_pods(cluster: HollowCluster) -> None:
    await cluster.create("deployments.apps", deployment())
    await rolled_out(cluster)
    await cluster.client.delete("deployments.apps", "api", cluster.namespace, propagation_policy="Foreground")

    async def gone() -> bool:
        deployments = await cluster.list("deployments.apps")
        pods = await cluster.list("pods")
        assert deployments or not pods, "the Deployment went before its Pods"
        return not deployments

    await cluster.eventually(gone)
