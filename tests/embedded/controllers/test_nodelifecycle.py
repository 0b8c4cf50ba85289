"""What a node's conditions and its silence mean for its taints, and for whom a taint is the end."""

from __future__ import annotations

from typing import Any

from clusters.embedded.controllers import nodelifecycle, tainteviction
from kubeobjects import Object


def node(ready: str = "True", *, taints: list[Object] | None = None, **spec: Any) -> Object:
    conditions = [{"type": "Ready", "status": ready}, {"type": "MemoryPressure", "status": "False"}]
    return {
        "metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"taints": taints or [], **spec},
        "status": {"conditions": conditions},
    }


def keys(taints: list[Object]) -> list[tuple[str, str]]:
    return [(each["key"], each["effect"]) for each in taints]


def test_a_node_that_is_not_ready_is_tainted_twice() -> None:
    key = "node.kubernetes.io/not-ready"
    assert keys(nodelifecycle.taints_for(node("False"))) == [(key, "NoSchedule"), (key, "NoExecute")]


def test_an_unreachable_node_is_tainted_as_such() -> None:
    key = "node.kubernetes.io/unreachable"
    assert keys(nodelifecycle.taints_for(node("Unknown"))) == [(key, "NoSchedule"), (key, "NoExecute")]


def test_other_peoples_taints_stay_when_the_node_recovers() -> None:
    own = [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}, {"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    assert keys(nodelifecycle.taints_for(node(taints=own))) == [("nvidia.com/gpu", "NoSchedule")]


def test_a_cordon_is_a_taint() -> None:
    assert keys(nodelifecycle.taints_for(node(unschedulable=True))) == [("node.kubernetes.io/unschedulable", "NoSchedule")]


def test_a_silent_node_is_unknown_in_everything_it_used_to_say() -> None:
    conditions = {each["type"]: each for each in nodelifecycle.silent_conditions(node())}
    assert {each["status"] for each in conditions.values()} == {"Unknown"}
    assert conditions["Ready"]["message"] == "Kubelet stopped posting node status."
    assert conditions["DiskPressure"]["reason"] == "NodeStatusNeverUpdated"


def pod(*tolerations: Object) -> Object:
    return {"spec": {"tolerations": list(tolerations)}}


def test_how_long_a_pod_may_stay_on_a_tainted_node() -> None:
    taint = {"key": "maintenance", "value": "now", "effect": "NoExecute"}
    assert tainteviction.grace(pod(), [taint]) == 0
    assert tainteviction.grace(pod({"key": "maintenance", "operator": "Exists"}), [taint]) is None
    assert tainteviction.grace(pod({"key": "maintenance", "operator": "Exists", "tolerationSeconds": 300}), [taint]) == 300
    assert (
        tainteviction.grace(pod({"operator": "Exists", "tolerationSeconds": 30}, {"key": "maintenance", "operator": "Exists"}), [taint])
        == 30
    )
    assert tainteviction.grace(pod({"key": "maintenance", "operator": "Equal", "value": "later"}), [taint]) == 0
