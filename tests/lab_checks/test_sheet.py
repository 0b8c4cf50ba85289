"""A sheet of answers: every answer that does not hold and every open blank in one verdict, and what is right in none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lab_checks.engine.course import Exercise
from lab_checks.engine.verdict import Outcome, Stop, Verdict
from lab_checks.judging import answers, sheet
from lab_checks.judging.sheet import Blank

BLANKS = [
    sheet.number(
        "total", 3, "GPUs of all nodes", "kubectl get nodes", told={2: "that is how many nodes offer some"}, things=sheet.GPUS, whole=4
    ),
    sheet.names(
        "nodes",
        {"alpha", "beta"},
        "nodes with GPUs",
        "kubectl describe nodes",
        known=["alpha", "beta", "gamma"],
        told="{} offers none".format,
    ),
    Blank("device", answers.word, lambda said: said.lower() == "cpu", "what its log names"),
]


def verdict(**given: object) -> Verdict | None:
    exercise = Exercise(lab="00-welcome", id="x", title="", goal="")
    try:
        sheet.judge(SimpleNamespace(answers=given, exercise=exercise), BLANKS, begin="look first", done=0.5)  # type: ignore[arg-type]
    except Stop as stop:
        return stop.verdict
    return None


@pytest.mark.parametrize(
    ("given", "outcome", "says"),
    [
        ({}, Outcome.NOT_YET, "nothing has been answered yet"),
        ({"total": "", "nodes": [], "device": None}, Outcome.NOT_YET, "nothing has been answered yet"),
        ({"total": "three"}, Outcome.NOT_YET, "1 of 3 answers hold; not answered yet: nodes, device"),
        ({"total": 2}, Outcome.FAILED, "total: that is how many nodes offer some"),
        ({"total": 7}, Outcome.FAILED, "total: the cluster shows something else"),
        ({"total": "3 nodes"}, Outcome.FAILED, "total: that counts something else: node"),
        ({"total": "3 of 5"}, Outcome.FAILED, "total: the number is not out of 5"),
        ({"total": "3 of 4 GPUs"}, Outcome.NOT_YET, "1 of 3 answers hold; not answered yet: nodes, device"),
        ({"total": "many"}, Outcome.FAILED, "total: a number is asked for"),
        ({"total": 0}, Outcome.FAILED, "total: the cluster shows something else"),
        ({"nodes": "gamma and alpha"}, Outcome.FAILED, "nodes: gamma offers none"),
        ({"nodes": "moon"}, Outcome.FAILED, "nodes: there is no node moon"),
        ({"nodes": "alpha"}, Outcome.FAILED, "nodes: one more belongs to it"),
        ({"nodes": 2}, Outcome.FAILED, "nodes: that is a count, and names are asked for"),
        ({"nodes": "alpha or beta"}, Outcome.FAILED, "nodes: names are asked for, and nothing else"),
        ({"total": 2, "nodes": "alpha", "device": "GPU"}, Outcome.FAILED, "3 answers do not hold: total, nodes, device"),
    ],
)
def test_a_sheet_is_judged_as_a_whole(given: dict[str, object], outcome: Outcome, says: str) -> None:
    found = verdict(**given)
    assert found is not None
    assert found.outcome is outcome
    assert found.headline == says
    assert found.credit < 1


def test_a_sheet_without_a_mistake_says_nothing() -> None:
    assert verdict(total="3 GPUs", nodes="node/alpha and beta", device="the CPU") is None


def test_every_wrong_and_every_open_blank_is_named_and_no_right_value() -> None:
    found = verdict(total=2, device="GPU")
    assert found is not None
    text = "\n".join(found.lines())
    assert "answer total: 2: that is how many nodes offer some" in text
    assert "answer device: GPU: the cluster shows something else" in text
    assert "not answered yet: nodes" in text
    assert "total: GPUs of all nodes; device: what its log names" in text
    assert "3" not in text.replace("x: 2", "")
    assert "cpu" not in text


def test_what_is_done_besides_the_answers_counts() -> None:
    nothing, one = verdict(), verdict(total=3)
    assert nothing is not None
    assert one is not None
    assert 0.5 == nothing.credit < one.credit < 0.9
    assert nothing.next == "look first"
    assert one.next == 'lab.answer("x", nodes=…, device=…)'
