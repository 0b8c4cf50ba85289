"""Lab 01-gpu-nodes: why a node gives no GPU, what a quote proves, and when the technician comes."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.engine import course
from lab_checks.engine.api import shell
from lab_checks.engine.course import Exercise
from lab_checks.engine.observe import NodeFacts
from lab_checks.engine.session import Session
from lab_checks.labs.gpu_nodes import checks, facts, repair

LAB = course.load().lab("01-gpu-nodes")

REFUSALS = {
    "half": "Pod is invalid:\n* limits[nvidia.com/gpu]: Invalid value: 500m: must be an integer\n* requests[nvidia.com/gpu]: must be an integer",
    "unequal": "Pod is invalid: requests: Invalid value: 1: must be equal to nvidia.com/gpu limit of 2",
}


def numbers(*, promised: int, capacity: int, allocatable: int, held: int) -> NodeFacts:
    return NodeFacts(
        name="node-a", ready=True, unschedulable=False, product="Tesla-T4", promised=promised, capacity=capacity, allocatable=allocatable, held=held, taints=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("node", "wanted", "has_plugin", "why"),
    [
        (numbers(promised=0, capacity=0, allocatable=0, held=0), 1, False, "no-gpu-built-in"),
        (numbers(promised=2, capacity=0, allocatable=0, held=0), 1, False, "no-plugin"),
        (numbers(promised=2, capacity=0, allocatable=0, held=0), 1, True, "plugin-finds-none"),
        (numbers(promised=2, capacity=2, allocatable=1, held=1), 1, True, "sick-device"),
        (numbers(promised=2, capacity=2, allocatable=2, held=2), 1, True, "held-by-others"),
        (numbers(promised=2, capacity=2, allocatable=1, held=2), 1, True, "held-by-others"),
        (numbers(promised=1, capacity=1, allocatable=1, held=0), 2, True, "smaller-than-asked"),
        (numbers(promised=2, capacity=2, allocatable=2, held=1), 1, True, ""),
    ],
)
def test_the_same_words_of_the_scheduler_have_different_causes(node: NodeFacts, wanted: int, has_plugin: bool, why: str) -> None:
    assert facts.why_not(node, wanted, has_plugin) == why


@pytest.mark.parametrize(
    ("quote", "wishes"),
    [
        ("must be an integer", ["half"]),
        ("must be equal to nvidia.com/gpu limit of 2", ["unequal"]),
        ("Pod is invalid", ["half", "unequal"]),
        (REFUSALS["half"], ["half"]),
        (REFUSALS["unequal"], ["unequal"]),
        ("must be an integer\nmust be equal to nvidia.com/gpu limit of 2", ["half", "unequal"]),
        ("GPUs are whole", []),
        ("half", []),
        ("must be equal to nvidia.com/gpu limit of 1", []),
        ("because requests: Invalid value: 1: must be equal to nvidia.com/gpu limit of 2", []),
        ("", []),
    ],
)
def test_a_quote_belongs_to_the_refusal_that_alone_says_it(quote: str, wishes: list[str]) -> None:
    assert facts.answers_to(quote, REFUSALS) == wishes


@pytest.mark.parametrize(
    ("written", "left"),
    [("0=79", 1), ("79", 1), ("0=79,1=48", 0), ("all=79", 0)],
)
def test_a_fault_is_read_off_the_nodes_annotation(written: str, left: int) -> None:
    rows = {"node-a": {"faults": {}, "labels": {}}, "node-b": {"faults": {repair.XID: written}, "labels": {"nvidia.com/gpu.count": "2"}}}
    assert facts.fault(rows) == facts.Fault("node-b", 79, left)
    assert facts.fault({"node-a": rows["node-a"]}) is None


HELD = numbers(promised=2, capacity=2, allocatable=2, held=2)
NONE = numbers(promised=1, capacity=0, allocatable=0, held=0)
LOG = "[gpu-device-plugin] Starting device plugin\n[gpu-device-plugin] No devices found. Waiting indefinitely."


@pytest.mark.parametrize(
    ("why", "node", "quote", "shows"),
    [
        ("held-by-others", HELD, "  nvidia.com/gpu     2           2", True),
        ("held-by-others", HELD, "Allocated resources:\n  nvidia.com/gpu     2     2", True),
        ("held-by-others", HELD, "nvidia.com/gpu", False),
        ("held-by-others", HELD, "allocated resources", False),
        ("held-by-others", HELD, "nvidia.com/gpu 1 1", False),
        ("held-by-others", HELD, "I looked: allocated resources nvidia.com/gpu 2 2, so all are gone", False),
        (
            "plugin-finds-none",
            NONE,
            "[pod/nvidia-device-plugin-daemonset-x2x4z/ctr] [gpu-device-plugin] No devices found. Waiting indefinitely.",
            True,
        ),
        ("plugin-finds-none", NONE, "my guess: [gpu-device-plugin] No devices found. Waiting indefinitely.", False),
        ("plugin-finds-none", NONE, "No devices found", True),
        ("plugin-finds-none", NONE, "[gpu-device-plugin]", False),
        ("plugin-finds-none", NONE, "[gpu-device-plugin] Starting device plugin", False),
        ("plugin-finds-none", NONE, "", False),
    ],
)
def test_a_quote_shows_the_cause_and_not_only_its_subject(why: str, node: NodeFacts, quote: str, shows: bool) -> None:
    assert facts.shows(quote, facts.evidence_lines(why, node, LOG)) is shows


@pytest.mark.parametrize(
    ("wish", "quote", "says"),
    [
        ("half", "must be equal to nvidia.com/gpu limit of 2", "it says that to unequal"),
        ("half", "GPUs are whole", "it says that to none of the three"),
        ("half", "Pod is invalid", "stands in more than one refusal"),
    ],
)
def test_a_wrong_quote_is_told_where_it_belongs(wish: str, quote: str, says: str) -> None:
    assert says in checks._refusal(wish, REFUSALS).wrong(quote)
    assert checks._refusal("half", REFUSALS).wrong("must be an integer") == ""


def node(*, sick: bool, cordoned: bool) -> Object:
    annotations = {repair.XID: "0=79"} if sick else {}
    return {"metadata": {"name": "node-a", "annotations": annotations}, "spec": {"unschedulable": True} if cordoned else {}}


def test_the_technician_comes_to_a_sick_device_on_a_node_that_takes_no_new_pods() -> None:
    assert repair.refusal(node(sick=True, cordoned=True)) == ""
    assert "Cordon the node first" in repair.refusal(node(sick=True, cordoned=False))
    assert "nothing to repair" in repair.refusal(node(sick=False, cordoned=True))


@pytest.mark.cluster
def test_the_first_hint_follows_what_was_looked_at_and_what_is_there(lab_session: Session) -> None:
    def first(exercise: Exercise) -> str:
        lab_session.start(exercise)
        return lab_session.hint(exercise)[0]

    assert "Which two things must a Pod say" in first(LAB.exercise("first-gpu-pod"))
    assert "wishes/half.yaml" in first(LAB.exercise("half-a-gpu"))
    assert "Which three numbers of a node" in first(LAB.exercise("four-ways"))
    sick = LAB.exercise("sick-device")
    assert "Two numbers of each node" in first(sick)
    lab_session.start(sick)
    shell("kubectl describe node ai-lab-worker2", lab_session.learner)
    assert "On ai-lab-worker2 one of 2 cannot be given" in lab_session.hint(sick)[0]
