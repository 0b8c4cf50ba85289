"""The engine of diagnoses: a cause, quoted lines, the objects that they are of, and what the start showed."""

from __future__ import annotations

from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine import course
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise
from lab_checks.engine.verdict import Seen, Stop, Verdict
from lab_checks.judging import diagnosis, shown
from lab_checks.judging.diagnosis import Engine, Finding

SHORT = "0/4 nodes are available: 3 Insufficient nvidia.com/gpu."
EXERCISE = Exercise("03-pending", "friday-change", "", "", diagnosis=True, causes=("more-than-any-node", "held-by-others"))


def event(name: str, message: str, at: str = "2026-11-26T10:00:05Z") -> Object:
    about = {"kind": "Pod", "name": name, "namespace": "ai-platform"}
    metadata = {"name": f"{name}.1", "namespace": "ai-platform", "creationTimestamp": at}
    return {
        "kind": "Event", "metadata": metadata, "involvedObject": about, "type": "Warning", "reason": "FailedScheduling", "message": message,
        "lastTimestamp": at,
    }  # fmt: skip


def node(name: str, gpus: str) -> Object:
    return {
        "kind": "Node", "metadata": {"name": name, "labels": {"nvidia.com/gpu.count": gpus}}, "spec": {},
        "status": {"allocatable": {"nvidia.com/gpu": gpus, "cpu": "8"}, "capacity": {"nvidia.com/gpu": gpus}},
    }  # fmt: skip


class Cluster:
    """An API that answers from a list."""

    kubeconfig = None

    def __init__(self, *objects: Object):
        self.objects = objects

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        return [each for each in self.objects if f"{each['kind'].lower()}s" == kind]

    def log(self, *_: Any, **__: Any) -> str:
        return ""


@pytest.fixture(autouse=True)
def no_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `kubectl describe` adds is tried on a live cluster."""
    monkeypatch.setattr(shown, "_describe", lambda ctx: iter(()))


def context(*objects: Object, **baseline: Any) -> Context:
    return Context(Cluster(*objects), EXERCISE, {"since": "2026-11-26T10:00:00Z", **baseline}, {}, lambda: None)  # type: ignore[arg-type]


CLUSTER = (event("api-6b7-x", SHORT), event("other-5d9-z", SHORT.replace("3", "2")), node("worker2", "2"), node("worker3", "1"))


def engine(*, holds: bool = True) -> Engine[None]:
    rules = {
        "more-than-any-node": lambda _: Finding(
            holds, "no node has 4", (Seen("node/worker2", "", "2"),), {"most": [2], "nodes": ["worker2"]}
        ),
        "held-by-others": lambda _: Finding(False, "nobody holds any"),
    }
    return Engine("03-pending", lambda ctx: None, rules, lambda _: {"workload": ["api"], "node": ["worker2", "worker3"]})


def judged(ctx: Context, cause: str, *lines: str, **how: Any) -> Verdict:
    try:
        return engine(**how).judge(ctx, cause, "\n".join(lines))
    except Stop as stop:
        return stop.verdict


@pytest.mark.parametrize(
    "second",
    [
        "nvidia.com/gpu:     2",
        "  nvidia.com/gpu: 2",
        '"nvidia.com/gpu": "2",',
        "worker2   2",
    ],
)
@pytest.mark.parametrize(
    "first",
    [
        "3 Insufficient nvidia.com/gpu",
        SHORT,
        f"Warning  FailedScheduling  12s  default-scheduler  {SHORT}",
        f"12s   Warning   FailedScheduling   pod/api-6b7-x   {SHORT}",
        f"> {SHORT}",
    ],
)
def test_a_line_is_taken_in_every_format(first: str, second: str) -> None:
    assert judged(context(*CLUSTER), "more-than-any-node", first, second).passed


def test_a_long_paste_may_hold_a_line_of_something_else_and_a_short_one_may_not() -> None:
    strange = "kube-proxy is fine today"
    real = [f"{SHORT}", "nvidia.com/gpu: 2", *["worker2   2", "worker3   1"] * 3]
    assert judged(context(*CLUSTER), "more-than-any-node", *real, strange).passed
    assert judged(context(*CLUSTER), "more-than-any-node", *real[:2], strange).headline == "a quoted line is nowhere on the cluster"


def test_lines_of_two_objects_are_not_put_together() -> None:
    found = judged(
        context(*CLUSTER), "more-than-any-node", "2 Insufficient nvidia.com/gpu", "pod/api-6b7-x FailedScheduling", "nvidia.com/gpu: 2"
    )
    assert "is about something else" in found.headline


def test_facts_that_can_be_read_only_once_are_kept() -> None:
    finding = Finding(True, "", facts={"nodes": (each for each in ("worker2",))})
    assert finding.facts["nodes"] == finding.facts["nodes"] == ("worker2",)


def test_after_the_fix_a_line_of_who_held_a_part_then_still_counts() -> None:
    exercise = Exercise("03-pending", "busy-day", "", "", diagnosis=True, causes=("held-by-others",))
    noted = {
        "since": "2026-11-26T10:00:00Z",
        "shown": {"lines": [["playground-1", "playground-1 1/1 Running", ""], ["api-6b7-x", SHORT, ""]], "words": []},
        "causes": {"held-by-others": {"why": "all are held", "seen": [], "facts": {"held": ["2"], "holders": ["playground-1"]}}},
        "parts": {"holder": ["playground-1"]},
    }
    ctx = Context(Cluster(), exercise, noted, {}, lambda: None)  # type: ignore[arg-type]
    assert engine(holds=False).judge(ctx, "held-by-others", f"{SHORT}\nplayground-1 1/1 Running").passed


def test_a_line_that_the_terminal_wrapped_is_taken() -> None:
    found = judged(
        context(*CLUSTER), "more-than-any-node", "0/4 nodes are available: 3 Insufficient", "nvidia.com/gpu.", "nvidia.com/gpu: 2"
    )
    assert found.passed


@pytest.mark.parametrize(
    ("lines", "says", "expected"),
    [
        ((), "a diagnosis needs evidence", ""),
        (("I think that it is Insufficient nvidia.com/gpu",), "a quoted line is nowhere on the cluster", ""),
        (("3 Insufficient nvidia.com/gpu", "nvidia.com/gpu: 7"), "a quoted line is nowhere on the cluster", ""),
        ((SHORT,), "alone shows nothing yet", "a further line: what the node"),
        ((SHORT, "nvidia.com/gpu: 1"), "this one does not complete it: nvidia.com/gpu: 1", "a further line"),
        (("cpu: 8",), "this evidence does not show it", "the scheduler's own line on this Pod"),
        (("2 Insufficient nvidia.com/gpu",), "is about something else", "the scheduler's own line on this Pod"),
    ],
)
def test_what_is_missing_is_told_and_the_words_are_not(lines: tuple[str, ...], says: str, expected: str) -> None:
    found = judged(context(*CLUSTER), "more-than-any-node", *lines)
    assert not found.passed
    assert says in found.headline
    assert expected in found.expected
    assert "nvidia.com/gpu: 2" not in found.expected


def test_a_cause_that_does_not_hold_says_what_speaks_against_it() -> None:
    found = judged(context(*CLUSTER), "held-by-others", SHORT)
    assert found.headline == "held-by-others is not the cause: nobody holds any"


def test_what_was_said_before_the_exercise_began_is_no_evidence() -> None:
    old = event("api-6b7-x", SHORT, "2026-11-26T09:00:00Z")
    found = judged(context(old, node("worker2", "2")), "more-than-any-node", SHORT)
    assert found.headline == "a quoted line was said before this exercise began"


def test_a_table_of_events_may_hold_rows_of_earlier_exercises() -> None:
    old = event("api-old-x", "Started", "2026-11-26T09:00:00Z")
    row = "69s         Warning   FailedScheduling    pod/api-old-x    Started"
    found = judged(context(old, *CLUSTER), "more-than-any-node", row, SHORT, "nvidia.com/gpu: 2")
    assert found.passed, found.lines()
    assert judged(context(old, *CLUSTER), "more-than-any-node", row).headline == "a quoted line was said before this exercise began"


def test_what_is_said_of_a_node_stands_in_its_description() -> None:
    registered = event("worker2", "Node worker2 event: Registered Node worker2 in Controller", "2026-11-26T08:00:00Z")
    registered["involvedObject"]["kind"] = "Node"
    row = "Warning  FailedScheduling  4m16s  node-controller  Node worker2 event: Registered Node worker2 in Controller"
    found = judged(context(registered, *CLUSTER), "more-than-any-node", SHORT, "nvidia.com/gpu: 2", row)
    assert found.passed, found.lines()


def test_after_the_fix_the_start_still_counts() -> None:
    ctx = context(*CLUSTER)
    noted = {
        **shown.note(ctx),
        "causes": {"more-than-any-node": {"why": "no node had 4", "seen": [["node/worker2", "", "2"]], "facts": {"most": ["2"]}}},
    }
    fixed = context(node("worker2", "4"), **noted)
    found = judged(fixed, "more-than-any-node", SHORT, "nvidia.com/gpu: 2", holds=False)
    assert found.passed
    assert "at the start" in found.seen[0].value
    assert not judged(fixed, "held-by-others", SHORT, holds=False).passed


def test_where_nothing_is_left_and_nothing_was_noted_a_new_start_is_offered() -> None:
    found = judged(context(node("worker2", "4")), "more-than-any-node", SHORT, holds=False)
    assert found.headline == "the cluster no longer shows what was wrong"
    assert "ai-lab reset 03-pending/friday-change" in found.next


@pytest.mark.parametrize(
    ("line", "stands"),
    [
        ('Error from server (NotFound): daemonsets.apps "nvidia-device-plugin-daemonset" not found', True),
        ('Error from server (NotFound): nodes "worker2" not found', False),
        ("No resources found in kube-system namespace.", True),
    ],
)
def test_that_something_is_not_there_is_shown_by_its_absence(line: str, stands: bool) -> None:
    assert bool(shown.Shown(context(*CLUSTER)).places(line)) is stands


def test_every_table_of_causes_can_be_read() -> None:
    for lab in course.load().labs:
        for cause in lab.causes:
            assert cause.look, cause.id
            for need in cause.needs:
                assert need.told, cause.id
                for pattern in need.shows:
                    diagnosis._shows(need, Finding(True, ""), pattern)
