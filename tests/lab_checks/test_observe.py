"""Facts read off objects as clusters of several versions show them."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from kubeobjects import Object
from lab_checks.engine import observe

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
    with pytest.raises(ValueError, match="quantities must match"):
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


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1Ei", 2**60),
        ("2E", 2 * 10**18),
        ("2e3", 2000),
        ("500n", Decimal("5e-7")),
        ("100u", Decimal("1e-4")),
        ("250m", Decimal("0.25")),
        ("4k", 4000),
    ],
)
def test_every_suffix_that_a_server_accepts_is_read(text: str, number: Decimal) -> None:
    assert observe.amount(text) == number


def _asks(cpu: str, **more: str) -> dict[str, object]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [_asks("1"), _asks("2")]}, 3),
        ({"containers": [_asks("1")], "initContainers": [_asks("4")]}, 4),
        ({"containers": [_asks("1")], "initContainers": [_asks("2", restartPolicy="Always")]}, 3),
        ({"containers": [_asks("1")], "initContainers": [_asks("2", restartPolicy="Always"), _asks("5")]}, 7),
        ({"containers": [_asks("1")], "resources": {"requests": {"cpu": "6"}}}, 6),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}]}, 2),
        ({}, 0),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(spec: dict[str, object], cpu: int) -> None:
    assert observe.asked(spec, "cpu") == cpu


@pytest.mark.parametrize(("text", "number"), [("2", 2), ("many", 0), ("", 0), ("-1", 0), (None, 0)])
def test_a_label_that_is_no_number_counts_nothing(text: object, number: int) -> None:
    assert observe.whole(text) == number


def restarted(reason: str, code: int, started: str, *, running: bool = True) -> Object:
    state = {"running": {"startedAt": "2026-11-26T10:10:00Z"}} if running else {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"reason": reason, "exitCode": code, "startedAt": started}}
    return {"status": {"containerStatuses": [{"name": "server", "state": state, "lastState": last}]}}


def test_an_ending_with_the_nodes_restart_says_nothing_of_the_container() -> None:
    assert observe.restarted_by_itself(restarted("Unknown", 255, "2026-11-26T10:00:00Z"), "server", 0.0) > 0
    assert observe.restarted_by_itself(restarted("Unknown", 255, "2026-11-26T10:00:00Z", running=False), "server", 0.0) == 0
    assert observe.restarted_by_itself(restarted("OOMKilled", 137, "2026-11-26T10:00:00Z"), "server", 2e9) == 0


def test_a_container_that_read_the_old_configuration_is_not_blamed_for_it() -> None:
    fixed = datetime.fromisoformat("2026-11-26T10:05:00+00:00").timestamp()
    assert observe.restarted_by_itself(restarted("Error", 1, "2026-11-26T10:04:59Z"), "server", fixed) > 0
    assert observe.restarted_by_itself(restarted("Error", 1, "2026-11-26T10:05:01Z"), "server", fixed) == 0


def test_a_container_that_waits_for_its_next_start_is_still_to_read_the_new_configuration() -> None:
    fixed = datetime.fromisoformat("2026-11-26T10:05:00+00:00").timestamp()
    assert observe.will_read_it_anew(restarted("Error", 1, "2026-11-26T10:04:59Z", running=False), "server", fixed)
    assert not observe.will_read_it_anew(restarted("Error", 1, "2026-11-26T10:05:01Z", running=False), "server", fixed)
    assert not observe.will_read_it_anew(restarted("Error", 1, "2026-11-26T10:04:59Z"), "server", fixed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "<none>"), ({}, "<none>"), ([], "<none>"), (True, "true"), (2.0, "2"), (Decimal("2.0"), "2"), (0.5, "0.5"), (0, "0"), ("1Gi", "1Gi"),
        ({"app": "api", "tier": "x"}, "app=api,tier=x"), (["a", "b"], "a,b"), ([{"key": "k", "on": True}], '[{"key":"k","on":true}]'),
        ({"httpGet": {"path": "/ready"}}, '{"httpGet":{"path":"/ready"}}'),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_kubectl_prints_it(value: object, text: str) -> None:
    assert observe.shown(value) == text
