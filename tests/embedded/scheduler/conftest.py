"""The four nodes of the lab cluster and small ways to write Pods for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.embedded.scheduler import algorithm, preemption
from clusters.embedded.scheduler.framework import PodInfo, Snapshot, node_info, pod_info
from kubeobjects import Object

GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
EVERY_TOLERATION = {"operator": "Exists"}


def make_node(name: str, *, labels: dict[str, str] | None = None, taints: list[Object] | None = None, gpus: int = 0) -> Object:
    allocatable = {"cpu": "2", "memory": "24684092Ki", "ephemeral-storage": "264212084Ki", "pods": "110"}
    if gpus:
        allocatable["nvidia.com/gpu"] = str(gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
        },
        "spec": {"taints": taints or []},
        "status": {"allocatable": allocatable},
    }


def make_pod(
    name: str = "api", *, requests: dict[str, Any] | None = None, node: str = "", labels: dict[str, str] | None = None, **spec: Any
) -> Object:
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lab", "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels or {}},
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [{"name": "main", "image": "python:3.12-slim", "resources": {"requests": requests or {}}}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }
    if node:
        pod["spec"]["nodeName"] = node
    return pod


def lab_nodes() -> list[Object]:
    gpu = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    return [
        make_node("ai-lab-control-plane", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]),
        make_node("ai-lab-worker"),
        make_node(
            "ai-lab-worker2", labels={"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}, taints=gpu, gpus=2
        ),
        make_node("ai-lab-worker3", labels={"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "1"}, taints=gpu, gpus=1),
    ]


def snapshot_of(nodes: list[Object], placed: list[Object] | None = None) -> Snapshot:
    infos = {each["metadata"]["name"]: node_info(each) for each in nodes}
    for pod in placed or []:
        infos[pod["spec"]["nodeName"]].pods.append(pod_info(pod))
    return Snapshot(infos)


Lab = Callable[..., Snapshot]


@pytest.fixture
def lab() -> Lab:
    """`lab(*placed)`: the lab's nodes with these Pods on them."""
    return lambda *placed: snapshot_of(lab_nodes(), list(placed))


def message(pod: Object, snapshot: Snapshot, budgets: list[Object] | None = None) -> str:
    """The whole FailedScheduling text for a Pod that fits nowhere."""
    info: PodInfo = pod_info(pod)
    result = algorithm.schedule(info, snapshot)
    assert result.node is None, f"the Pod went to {result.node}"
    return result.diagnosis.message(preemption.find(info, snapshot, result.diagnosis, {}, budgets or []).message)


def placed_on(pod: Object, snapshot: Snapshot) -> str | None:
    return algorithm.schedule(pod_info(pod), snapshot).node
