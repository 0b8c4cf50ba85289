"""Facts read off objects as clusters of several versions show them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from lab_checks import observe

REFERENCE = Path(__file__).resolve().parent.parent / "fidelity" / "reference"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient nvidia.com/gpu. no new claims to deallocate, "
            "preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.",
            [(1, "taint"), (3, "gpu")],
        ),
        (
            "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 1 Insufficient memory, "
            "2 node(s) had untolerated taint {nvidia.com/gpu: present}. preemption: 0/4 nodes are available: 4 Preemption is not helpful.",
            [(1, "taint"), (1, "memory"), (2, "taint")],
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available.",
            [(3, "selector")],
        ),
        ("0/4 nodes are available: 1 node(s) were unschedulable, 3 Insufficient cpu.", [(1, "unschedulable"), (3, "cpu")]),
        ("", []),
    ],
)
def test_a_schedulers_line_is_read_in_old_and_new_words(message: str, expected: list[tuple[int, str]]) -> None:
    assert [(each.nodes, each.kind) for each in observe.reasons(message)] == expected


@pytest.mark.parametrize(
    ("quantity", "number"), [("500m", "0.5"), ("64Mi", "67108864"), ("2", "2"), ("1e3", "1000"), ("2Ti", "2199023255552"), (None, "0")]
)
def test_quantities_are_exact(quantity: str | None, number: str) -> None:
    assert observe.amount(quantity) == Decimal(number)


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        observe.amount("lots")


def test_a_killed_container_is_read_from_its_last_state() -> None:
    pod = json.loads((REFERENCE / "pod-oomkilled.json").read_text())
    pod = pod["items"][0] if "items" in pod else pod
    (ending,) = observe.endings(pod)
    assert (ending.reason, ending.code) == ("OOMKilled", 137)
    assert ending.restarts >= 1


def test_a_limit_alone_is_a_request() -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {observe.GPU: "1"}}}, {"name": "b"}]}
    assert observe.asked(spec, observe.GPU) == 1


def test_a_node_that_lost_a_device_promises_more_than_it_has() -> None:
    node = json.loads((REFERENCE / "node-gpu.json").read_text())
    node["status"]["allocatable"][observe.GPU] = "1"
    holder = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"nodeName": node["metadata"]["name"], "containers": [{"name": "a", "resources": {"limits": {observe.GPU: "1"}}}]},
        "status": {"phase": "Running"},
    }
    facts = observe.node_facts(node, [holder])
    assert (facts.promised, facts.capacity, facts.allocatable, facts.held, facts.free) == (2, 2, 1, 1, 0)
    assert facts.taints == (("nvidia.com/gpu", "present", "NoSchedule"),)


def test_a_finished_pod_holds_nothing() -> None:
    node = json.loads((REFERENCE / "node-gpu.json").read_text())
    done = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"nodeName": node["metadata"]["name"], "containers": [{"name": "a", "resources": {"limits": {observe.GPU: "2"}}}]},
        "status": {"phase": "Succeeded"},
    }
    assert observe.node_facts(node, [done]).held == 0
