"""From API objects to what the cluster's picture shows: GPUs and who holds them, states of Pods, filters, differences."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks.face.live import load, model
from lab_checks.face.live.board import Board

GPU = "nvidia.com/gpu"


def node(name: str, gpus: int = 0, healthy: int | None = None, **spec: Any) -> dict[str, Any]:
    offered = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    capacity = dict(offered)
    if gpus:
        capacity[GPU], offered[GPU] = str(gpus), str(gpus if healthy is None else healthy)
    labels = {"kubernetes.io/hostname": name} | ({"nvidia.com/gpu.product": "A100"} if gpus else {})
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {"name": name, "uid": f"node-{name}", "labels": labels},
        "spec": spec,
        "status": {"capacity": capacity, "allocatable": offered, "conditions": [ready]},
    }


def pod(name: str, on: str = "", gpus: int = 0, phase: str = "Running", **spec: Any) -> dict[str, Any]:
    limits = {GPU: str(gpus)} if gpus else {}
    made: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "ai-platform", "uid": f"pod-{name}", "creationTimestamp": "2026-01-01T10:00:00Z"},
        "spec": {"containers": [{"name": "main", "resources": {"limits": limits}}], **spec},
        "status": {"phase": phase, "conditions": []},
    }
    if on:
        made["spec"]["nodeName"] = on
    return made


def with_container(made: dict[str, Any], state: dict[str, Any], last: dict[str, Any] | None = None, ready: bool = False) -> dict[str, Any]:
    made["status"]["containerStatuses"] = [
        {"name": "main", "ready": ready, "state": state, "lastState": last or {}, "restartCount": 1 if last else 0}
    ]
    return made


def states(rows: list[model.Row]) -> list[tuple[str, str]]:
    return [(each["state"], each["by"]) for each in rows]


def test_gpus_say_who_holds_them() -> None:
    assert states(model.gpus(node("a", 2), [pod("trainer", "a", 1)])) == [("held", "ai-platform/trainer"), ("free", "")]


def test_a_gpu_that_the_kubelet_no_longer_offers_is_unhealthy() -> None:
    assert states(model.gpus(node("a", 2, healthy=1), [])) == [("free", ""), ("unhealthy", "")]
    assert states(model.gpus(node("a", 2, healthy=1), [pod("trainer", "a", 1)])) == [("held", "ai-platform/trainer"), ("unhealthy", "")]
    # Both are held, and one of them failed: which, the API does not say, and no third card is drawn.
    assert states(model.gpus(node("a", 2, healthy=1), [pod("trainer", "a", 2)])) == [("held", "ai-platform/trainer")] * 2


def test_a_finished_pod_holds_no_gpu() -> None:
    rows = model.Assembler().rows({"nodes": [node("a", 1)], "pods": [pod("done", "a", 1, phase="Succeeded")]})
    assert states(rows["nodes"]["node-a"]["gpus"]) == [("free", "")]


NO_IMAGE = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-01-01T10:00:05Z", "finishedAt": "2026-01-01T10:00:09Z"}}


@pytest.mark.parametrize(
    ("made", "word", "tone", "why"),
    [
        (pod("p", phase="Pending"), "Pending", model.WAITING, ""),
        (pod("p", "a", phase="Pending"), "ContainerCreating", model.STARTING, ""),
        (with_container(pod("p", "a", phase="Pending"), NO_IMAGE), "ErrImagePull", model.TROUBLE, "no such image"),
        (with_container(pod("p", "a"), WAITING, KILLED), "CrashLoopBackOff", model.TROUBLE, "container main ended: OOMKilled, exit code 137"),
        (with_container(pod("p", "a"), {"running": {"startedAt": "2026-01-01T10:00:05Z"}}), "Not ready", model.STARTING, "running, not Ready: container main"),
        (with_container(pod("p", "a"), KILLED), "OOMKilled", model.TROUBLE, "container main: exit code 137"),
        (pod("p", "a", phase="Succeeded"), "Completed", model.DONE, ""),
    ],
)  # fmt: skip
def test_a_pod_is_in_the_state_that_kubectl_prints(made: dict[str, Any], word: str, tone: str, why: str) -> None:
    assert model.pod_state(made) == model.State(word, tone, why)


def test_a_ready_pod_and_one_that_is_being_deleted() -> None:
    made = with_container(pod("p", "a"), {"running": {}}, ready=True)
    made["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert model.pod_state(made).tone == model.READY
    made["metadata"]["deletionTimestamp"] = "2026-01-01T10:01:00Z"
    assert (model.pod_state(made).word, model.pod_state(made).tone) == ("Terminating", model.LEAVING)


def test_a_life_goes_from_waiting_over_the_kill_to_the_next_run() -> None:
    made = with_container(pod("p", "a"), {"running": {"startedAt": "2026-01-01T10:00:12Z"}}, KILLED)
    made["status"]["conditions"] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T10:00:02Z"}]
    assert [each["word"] for each in model.life(made)] == ["Pending", "ContainerCreating", "Not ready", "OOMKilled", "Not ready"]
    assert [each["since"] - model.life(made)[0]["since"] for each in model.life(made)] == [0, 2, 5, 9, 12]
    assert model.kills(made) == [{"container": "main", "at": model.seconds("2026-01-01T10:00:09Z")}]


def test_each_node_answers_a_waiting_pod_with_its_first_no() -> None:
    taint = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
    nodes = [
        node("cordoned", 1, unschedulable=True, taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]),
        node("cpu"),
        node("full", 1),
        node("other", 4),
        node("tainted", 2, taints=[taint]),
    ]
    nodes[2]["metadata"]["labels"]["pool"] = nodes[4]["metadata"]["labels"]["pool"] = nodes[1]["metadata"]["labels"]["pool"] = "ai"
    waiting = pod("waits", gpus=1, phase="Pending", nodeSelector={"pool": "ai"})
    rows = model.Assembler().rows({"nodes": nodes, "pods": [waiting, pod("holds", "full", 1)]})
    answers = rows["pods"]["pod-waits"]["filters"]
    assert [(each["node"], each["filter"], each["says"]) for each in answers] == [
        ("cordoned", "NodeUnschedulable", "node(s) were unschedulable"),
        ("cpu", "NodeResourcesFit", "Insufficient nvidia.com/gpu"),
        ("full", "NodeResourcesFit", "Insufficient nvidia.com/gpu"),
        ("other", "NodeAffinity", "node(s) didn't match Pod's node affinity/selector"),
        ("tainted", "TaintToleration", "node(s) had untolerated taint(s)"),
    ]
    assert answers[2]["detail"] == "nvidia.com/gpu: asks 1, left 0"
    assert answers[4]["detail"] == "nvidia.com/gpu:NoSchedule"
    assert rows["pods"]["pod-holds"]["filters"] == []


def test_a_waiting_pod_is_answered_anew_when_only_the_nodes_changed() -> None:
    assembler, waiting = model.Assembler(), pod("waits", gpus=1, phase="Pending")
    waiting["metadata"]["resourceVersion"] = "7"
    before = assembler.rows({"nodes": [node("a")], "pods": [waiting]})["pods"]["pod-waits"]["filters"]
    after = assembler.rows({"nodes": [node("a", 1)], "pods": [waiting]})["pods"]["pod-waits"]["filters"]
    assert [before[0]["filter"], after[0]["filter"]] == ["NodeResourcesFit", ""]


def test_a_service_tells_ready_endpoints_from_those_that_are_not() -> None:
    service = {
        "metadata": {"name": "api", "namespace": "ai-platform", "uid": "s"},
        "spec": {"selector": {"app": "api"}, "ports": [{"port": 80}]},
    }
    endpoints = [
        {"conditions": {"ready": True}, "targetRef": {"name": "api-1"}, "addresses": ["10.0.0.1"]},
        {"conditions": {"ready": False}, "targetRef": {"name": "api-2"}, "addresses": ["10.0.0.2"]},
    ]
    row = model.service_row(service, [{"endpoints": endpoints}])
    assert (row["ready"], row["not_ready"], row["ports"]) == (["api-1"], ["api-2"], ["80/TCP"])


def test_only_what_changed_is_told() -> None:
    board = Board()
    board.replaced("nodes", [node("a", 1)])
    board.replaced("pods", [pod("p", phase="Pending", gpus=1)])
    assert set(board.news()) == {"nodes", "pods"}
    assert board.news() == {}
    board.changed("pods", "MODIFIED", pod("p", "a", gpus=1))
    told = board.news()
    assert states(told["nodes"]["set"]["node-a"]["gpus"]) == [("held", "ai-platform/p")]
    assert told["pods"]["set"]["pod-p"]["node"] == "a"
    board.changed("pods", "DELETED", pod("p", "a", gpus=1))
    assert board.news()["pods"] == {"set": {}, "gone": ["pod-p"]}
    board.clear()
    assert board.news()["nodes"]["gone"] == ["node-a"]


def test_events_are_no_reason_to_check_again() -> None:
    board = Board()
    before = board.stirred
    board.changed("events", "ADDED", {"metadata": {"name": "e", "namespace": "default", "uid": "e"}})
    assert board.stirred == before
    board.changed("deployments", "MODIFIED", {"metadata": {"name": "d", "namespace": "default"}})
    assert board.stirred == before + 1


def test_memory_is_kept_for_containers_with_a_limit() -> None:
    limited, free = pod("limited", "a"), pod("free", "a")
    limited["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    board = Board()
    board.replaced("pods", [limited, free])
    board.news()
    containers = [{"name": "main", "memory": {"workingSetBytes": 1024}}]
    summary = {"pods": [{"podRef": {"uid": f"pod-{each}"}, "containers": containers} for each in ("limited", "free")]}
    board.measured(summary, now=100.0)
    board.measured(summary, now=102.0)
    assert board.news()["memory"]["set"] == {"pod-limited": {"main": [(100.0, 1024), (102.0, 1024)]}}
    assert board.limits_somewhere() == {"a"}


def test_two_hundred_pods_are_assembled_in_a_moment() -> None:
    nodes = [node(f"n{number}", 2) for number in range(4)]
    pods = [
        pod(f"p{number}", f"n{number % 4}" if number % 2 else "", phase="Running" if number % 2 else "Pending", gpus=1)
        for number in range(200)
    ]
    rows = model.Assembler().rows({"nodes": nodes, "pods": pods})
    assert len(rows["pods"]) == 200
    assert sum(len(each["filters"]) for each in rows["pods"].values()) == 400


def test_points_of_a_query_that_are_no_numbers_are_left_out() -> None:
    assert load.series({"data": {"result": [{"values": [[1, "0.5"], [2, "NaN"], [3, "2"]]}]}}) == [(1.0, 0.5), (3.0, 2.0)]
    assert load.series({"status": "error"}) == []
