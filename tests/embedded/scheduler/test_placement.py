"""Where Pods go: filters that narrow, scores that choose, and Pods that are moved out of the way."""

from __future__ import annotations

from typing import Any

from clusters.embedded.scheduler import algorithm, preemption
from clusters.embedded.scheduler.framework import pod_info
from kubeobjects import Object, podresources

from .conftest import EVERY_TOLERATION, GPU_TOLERATION, Lab, lab_nodes, make_node, make_pod, message, placed_on, snapshot_of

HOSTNAME = "kubernetes.io/hostname"


def test_a_plain_pod_goes_to_the_node_without_taints(lab: Lab) -> None:
    assert placed_on(make_pod(), lab()) == "ai-lab-worker"


def test_a_gpu_pod_goes_where_a_gpu_is_free(lab: Lab) -> None:
    holder = make_pod("holder", requests={"nvidia.com/gpu": "2"}, node="ai-lab-worker2")
    assert placed_on(make_pod(requests={"nvidia.com/gpu": "1"}, tolerations=[GPU_TOLERATION]), lab(holder)) == "ai-lab-worker3"


def test_the_emptier_of_two_nodes_wins() -> None:
    nodes = [make_node("a"), make_node("b")]
    busy = make_pod("busy", requests={"cpu": "1", "memory": "8Gi"}, node="a")
    assert placed_on(make_pod(requests={"cpu": "100m"}), snapshot_of(nodes, [busy])) == "b"


def test_a_soft_taint_only_costs_points() -> None:
    nodes = [make_node("a", taints=[{"key": "spot", "effect": "PreferNoSchedule"}]), make_node("b")]
    assert placed_on(make_pod(), snapshot_of(nodes)) == "b"
    assert placed_on(make_pod(), snapshot_of(nodes[:1])) == "a"


def test_preferred_affinity_decides_between_nodes_that_fit(lab: Lab) -> None:
    term = {"matchExpressions": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": ["Tesla-T4"]}]}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]}}
    assert placed_on(make_pod(affinity=affinity, tolerations=[GPU_TOLERATION]), lab()) == "ai-lab-worker3"


def test_a_pod_that_dislikes_its_own_kind_goes_elsewhere() -> None:
    nodes = [make_node("a"), make_node("b")]
    term = {"labelSelector": {"matchLabels": {"app": "api"}}, "topologyKey": HOSTNAME}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    first = make_pod("first", labels={"app": "api"}, affinity=affinity, node="a")
    second = make_pod("second", labels={"app": "api"}, affinity=affinity)
    assert placed_on(second, snapshot_of(nodes, [first])) == "b"
    third = make_pod("other", labels={"app": "api"}, affinity=affinity, node="b")
    assert message(second, snapshot_of(nodes, [first, third])).startswith(
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    )


def test_others_may_dislike_a_pod_that_dislikes_nobody() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "noisy"}}, "topologyKey": HOSTNAME}
    shy = make_pod("shy", affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}, node="a")
    assert message(make_pod("noisy", labels={"app": "noisy"}), snapshot_of([make_node("a")], [shy])).startswith(
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_the_first_of_a_group_that_wants_company_may_start_alone(lab: Lab) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "api"}}, "topologyKey": HOSTNAME}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert placed_on(make_pod(labels={"app": "api"}, affinity=affinity), lab()) == "ai-lab-worker"


def test_pods_are_spread_as_evenly_as_the_constraint_asks() -> None:
    nodes = [make_node("a"), make_node("b")]
    constraint = {
        "maxSkew": 1,
        "topologyKey": HOSTNAME,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "api"}},
    }
    placed = [make_pod("one", labels={"app": "api"}, node="a")]
    spread = make_pod("two", labels={"app": "api"}, topologySpreadConstraints=[constraint])
    assert placed_on(spread, snapshot_of(nodes, placed)) == "b"
    nodes[1]["spec"]["unschedulable"] = True
    assert message(spread, snapshot_of(nodes, placed)).startswith(
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable."
    )
    zone = {**constraint, "topologyKey": "topology.kubernetes.io/zone"}
    assert "node(s) didn't match pod topology spread constraints (missing required label)" in message(
        make_pod("two", labels={"app": "api"}, topologySpreadConstraints=[zone]), snapshot_of(nodes[:1])
    )


def test_a_pod_needs_what_its_largest_moment_needs() -> None:
    def container(cpu: str, **more: Any) -> Object:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec: Object = {
        "containers": [container("200m"), container("100m")],
        "initContainers": [container("1"), container("50m", restartPolicy="Always")],
    }
    assert podresources.requests({"spec": spec}) == {"cpu": "1"}
    spec["initContainers"].reverse()
    assert podresources.requests({"spec": spec}) == {"cpu": "1050m"}
    spec["overhead"] = {"cpu": "10m"}
    assert podresources.requests({"spec": spec}) == {"cpu": "1060m"}


def test_a_pod_that_has_been_promised_the_node_keeps_its_room() -> None:
    snapshot = snapshot_of([make_node("a", gpus=1)])
    urgent = pod_info(make_pod("urgent", requests={"nvidia.com/gpu": "1"}, priority=10))
    late = pod_info(make_pod("late", requests={"nvidia.com/gpu": "1"}, priority=5))
    assert algorithm.schedule(late, snapshot, {"a": [urgent]}).node is None
    assert algorithm.schedule(urgent, snapshot, {"a": [late]}).node == "a"


def victims(pod: Object, nodes: list[Object], placed: list[Object], budgets: list[Object] | None = None) -> tuple[str, list[str]]:
    info, snapshot = pod_info(pod), snapshot_of(nodes, placed)
    result = algorithm.schedule(info, snapshot)
    outcome = preemption.find(info, snapshot, result.diagnosis, {}, budgets or [])
    assert outcome.candidate is not None, outcome.message
    return outcome.candidate.node, [each.pod["metadata"]["name"] for each in outcome.candidate.victims]


def test_only_as_many_are_evicted_as_are_needed_and_the_least_important() -> None:
    placed = [
        make_pod("low", requests={"cpu": "1"}, node="a", priority=1),
        make_pod("middle", requests={"cpu": "1"}, node="a", priority=5),
    ]
    assert victims(make_pod("high", requests={"cpu": "1"}, priority=10), [make_node("a")], placed) == ("a", ["low"])


def test_a_node_whose_budgets_hold_is_preferred() -> None:
    placed = [
        make_pod("guarded", requests={"cpu": "2"}, node="a", labels={"app": "api"}, priority=0),
        make_pod("free", requests={"cpu": "2"}, node="b", labels={"app": "batch"}, priority=1),
    ]
    budget = {
        "metadata": {"namespace": "lab", "name": "keep"},
        "spec": {"selector": {"matchLabels": {"app": "api"}}},
        "status": {"disruptionsAllowed": 0},
    }
    pod = make_pod("high", requests={"cpu": "1"}, priority=10)
    assert victims(pod, [make_node("a"), make_node("b")], placed, [budget]) == ("b", ["free"])
    assert victims(pod, [make_node("a"), make_node("b")], placed) == ("a", ["guarded"])


def test_equals_are_not_evicted(lab: Lab) -> None:
    holder = make_pod("holder", requests={"cpu": "2"}, node="ai-lab-worker", priority=10)
    assert message(make_pod("peer", requests={"cpu": "1"}, priority=10), lab(holder)).endswith(
        "preemption: 0/4 nodes are available: 1 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling."
    )


def test_what_stays_short_after_evicting_everyone_is_said() -> None:
    placed = [
        make_pod("low", requests={"cpu": "500m"}, node="a", priority=0),
        make_pod("peer", requests={"cpu": "1"}, node="a", priority=10),
    ]
    assert message(make_pod("high", requests={"cpu": "1500m"}, priority=10), snapshot_of([make_node("a")], placed)) == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Insufficient cpu."
    )


def test_a_second_eviction_waits_for_the_first(lab: Lab) -> None:
    going = make_pod("going", requests={"cpu": "2"}, node="ai-lab-worker")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    waiting = make_pod("waiting", requests={"cpu": "1"}, priority=10)
    waiting["status"]["nominatedNodeName"] = "ai-lab-worker"
    assert message(waiting, lab(going)).endswith(
        "no new claims to deallocate, preemption: not eligible due to a terminating pod on the nominated node."
    )


def test_among_equal_nodes_the_choice_is_always_the_same() -> None:
    pod = make_pod(tolerations=[EVERY_TOLERATION])
    assert len({placed_on(pod, snapshot_of(list(reversed(lab_nodes())))), placed_on(pod, snapshot_of(lab_nodes()))}) == 1
