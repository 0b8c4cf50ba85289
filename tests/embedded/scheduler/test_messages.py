"""What a real 1.36 scheduler said about Pods that fit nowhere, word for word."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Storage

from .conftest import EVERY_TOLERATION, GPU_TOLERATION, Lab, lab_nodes, make_node, make_pod, message, placed_on, snapshot_of

NOT_HELPFUL = "no new claims to deallocate, preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."


def test_more_gpus_than_any_node_has(lab: Lab) -> None:
    pod = make_pod(requests={"cpu": "100m", "memory": "64Mi", "nvidia.com/gpu": "16"}, tolerations=[GPU_TOLERATION])
    assert message(pod, lab()) == (
        f"0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient nvidia.com/gpu. {NOT_HELPFUL}"
    )


def test_a_gpu_pod_without_toleration(lab: Lab) -> None:
    pod = make_pod(requests={"nvidia.com/gpu": "1"})
    assert message(pod, lab()) == (
        f"0/4 nodes are available: 1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint(s). {NOT_HELPFUL}"
    )


def test_a_node_selector_that_no_node_satisfies(lab: Lab) -> None:
    pod = make_pod(nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}, tolerations=[GPU_TOLERATION])
    assert message(pod, lab()) == (
        "0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 node(s) didn't match Pod's node affinity/selector. " + NOT_HELPFUL
    )


def test_more_memory_than_any_node_has(lab: Lab) -> None:
    pod = make_pod(requests={"memory": "4Ti"}, tolerations=[GPU_TOLERATION])
    assert message(pod, lab()) == f"0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient memory. {NOT_HELPFUL}"


def test_more_cpu_than_the_one_untainted_node_has(lab: Lab) -> None:
    pod = make_pod(requests={"cpu": "900"})
    assert message(pod, lab()) == f"0/4 nodes are available: 1 Insufficient cpu, 3 node(s) had untolerated taint(s). {NOT_HELPFUL}"


def test_every_resource_that_is_short_is_named(lab: Lab) -> None:
    pod = make_pod(requests={"cpu": "900", "memory": "4Ti", "nvidia.com/gpu": "9"}, tolerations=[EVERY_TOLERATION])
    assert message(pod, lab()) == (
        f"0/4 nodes are available: 4 Insufficient cpu, 4 Insufficient memory, 4 Insufficient nvidia.com/gpu. {NOT_HELPFUL}"
    )


def test_a_cordoned_node() -> None:
    nodes = lab_nodes()
    nodes[1]["spec"]["unschedulable"] = True
    assert message(make_pod(), snapshot_of(nodes)) == (
        f"0/4 nodes are available: 1 node(s) were unschedulable, 3 node(s) had untolerated taint(s). {NOT_HELPFUL}"
    )


def test_required_node_affinity_that_no_node_meets(lab: Lab) -> None:
    term = {"matchExpressions": [{"key": "nvidia.com/gpu.count", "operator": "Gt", "values": ["7"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    pod = make_pod(affinity=affinity, tolerations=[EVERY_TOLERATION])
    assert message(pod, lab()) == f"0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector. {NOT_HELPFUL}"


def test_affinity_to_pods_that_are_nowhere(lab: Lab) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "nobody"}}, "topologyKey": "kubernetes.io/hostname"}
    pod = make_pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}, tolerations=[EVERY_TOLERATION])
    assert message(pod, lab()) == f"0/4 nodes are available: 4 node(s) didn't match pod affinity rules. {NOT_HELPFUL}"


def test_gpus_that_others_hold_leave_room_only_for_preemption(lab: Lab) -> None:
    """The node could hold the Pod once others are gone, so preemption is considered there, and finds nobody of lower priority."""
    holder = make_pod("holder", requests={"nvidia.com/gpu": "2"}, node="ai-lab-worker2")
    selector = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
    pod = make_pod("latecomer", requests={"nvidia.com/gpu": "1"}, nodeSelector=selector, tolerations=[GPU_TOLERATION])
    assert message(pod, lab(holder)) == (
        "0/4 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint(s), "
        "2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: "
        "0/4 nodes are available: 1 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling."
    )


def claim(name: str, storage_class: str) -> dict:
    return {
        "metadata": {"name": name, "namespace": "lab", "uid": f"uid-{name}"},
        "spec": {"storageClassName": storage_class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    }


def test_a_claim_that_does_not_exist(lab: Lab) -> None:
    pod = make_pod(volumes=[{"name": "w", "persistentVolumeClaim": {"claimName": "missing"}}])
    assert message(pod, lab()) == '0/4 nodes are available: persistentvolumeclaim "missing" not found. not found'


def test_a_claim_that_nothing_provisions(lab: Lab) -> None:
    snapshot = lab()
    snapshot.storage = Storage(claims=lambda namespace, name: claim(name, "fast-nvme"))
    pod = make_pod(volumes=[{"name": "w", "persistentVolumeClaim": {"claimName": "weights"}}])
    assert message(pod, snapshot) == "0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"


def test_a_claim_that_waits_for_its_first_consumer_does_not_hold_the_pod_up(lab: Lab) -> None:
    snapshot = lab()
    standard = {"provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer"}
    snapshot.storage = Storage(claims=lambda namespace, name: claim(name, "standard"), storage_class=lambda name: standard)
    assert placed_on(make_pod(volumes=[{"name": "w", "persistentVolumeClaim": {"claimName": "weights"}}]), snapshot) == "ai-lab-worker"


def test_a_daemon_pod_looks_at_its_own_node_only(lab: Lab) -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["ai-lab-worker"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    assert message(make_pod(requests={"cpu": "3"}, affinity=affinity), lab()) == (
        f"0/4 nodes are available: 1 Insufficient cpu, 3 node(s) didn't satisfy plugin(s) [NodeAffinity]. {NOT_HELPFUL}"
    )


def test_a_cluster_without_nodes() -> None:
    assert message(make_pod(), snapshot_of([])) == "no nodes available to schedule pods"


def test_a_full_node() -> None:
    node = make_node("small")
    node["status"]["allocatable"]["pods"] = "1"
    assert message(make_pod(), snapshot_of([node], [make_pod("other", node="small")])) == (
        "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: "
        "0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_a_host_port_that_is_taken() -> None:
    def on_port(name: str, node: str = "") -> dict:
        pod = make_pod(name, node=node)
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        return pod

    assert message(on_port("late"), snapshot_of([make_node("small")], [on_port("early", "small")])) == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_a_pod_that_may_not_preempt(lab: Lab) -> None:
    pod = make_pod(requests={"cpu": "900"}, preemptionPolicy="Never")
    assert message(pod, lab()).endswith("no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.")
