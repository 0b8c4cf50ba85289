"""One message, named as it is done where it is read: commands in a terminal, calls in a notebook."""

from __future__ import annotations

import re

import pytest

from lab_checks.engine import course, verdict
from lab_checks.face import wording

LAB = "03-pending"


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("ai-lab start 03-pending/moved-in", 'lab.start("moved-in")'),
        ("ai-lab reset 03-pending/moved-in brings the start back", 'lab.reset("moved-in") brings the start back'),
        ("ai-lab reset 03-pending/moved-in, then look", 'lab.reset("moved-in"), then look'),
        ("ai-lab reset 03-pending/moved-in; then look.", 'lab.reset("moved-in"); then look.'),
        ("ai-lab reset 03-pending", "lab.reset()"),
        ("ai-lab progress", "lab.progress()"),
    ],
)
def test_a_command_is_a_call_in_a_notebook_and_back(command: str, call: str) -> None:
    assert wording.in_notebook(command, LAB) == call
    assert wording.in_terminal(call, LAB) == command


@pytest.mark.parametrize(
    ("call", "command"),
    [
        ('Hand in lab.answer("moved-in", node="…", free=…).', 'Hand in ai-lab answer 03-pending/moved-in node="…" free=….'),
        ('lab.answer("x", a="one, and two", b=1)', 'ai-lab answer 03-pending/x a="one, and two" b=1'),
        (
            'lab.answer("x", of={"ONE": {"cause": "…", "evidence": ["…", "…"]}}, b=[1, 2], c=3)',
            """ai-lab answer 03-pending/x of='{"ONE": {"cause": "…", "evidence": ["…", "…"]}}' b='[1, 2]' c=3""",
        ),
        ('lab.answer("x", of={"ONE": "it is not bob\'s"})', """ai-lab answer 03-pending/x of='{"ONE": "it is not bob'"'"'s"}'"""),
        ('lab.causes("x")', "ai-lab diagnose 03-pending/x"),
        ('`practice.ask("signals")` asks', "`ai-lab interview signals` asks"),
        ("`practice.mock(7)`", "`ai-lab interview --mock --seed 7`"),
    ],
)
def test_what_only_notebooks_say_is_said_as_a_command(call: str, command: str) -> None:
    assert wording.in_terminal(call, LAB) == command


@pytest.mark.parametrize(
    "text", ["ai-lab up", "ai-lab status", "ai-lab start 04-not-ready/slow-load", "kubectl -n ai-lab get pods", "the lab (x)"]
)
def test_what_has_no_call_here_stays_as_it_is(text: str) -> None:
    assert wording.in_notebook(text, LAB) == text
    assert wording.in_terminal(text, LAB) == text


def test_what_was_seen_on_the_cluster_is_not_reworded() -> None:
    seen = verdict.Seen("event", "message", "ai-lab reset 03-pending/moved-in")
    shown = wording.verdict_in(wording.in_notebook, verdict.failed("no", seen, next="ai-lab reset 03-pending/moved-in"), LAB)
    assert shown.seen == (seen,)
    assert shown.next == 'lab.reset("moved-in")'


def test_a_query_is_named_by_its_promql_in_a_terminal() -> None:
    asked = "lab.query('sum(rate(model_requests_total[1m]))'), then lab.plot('up', minutes=5)"
    assert wording.in_terminal(asked, LAB) == "the PromQL query sum(rate(model_requests_total[1m])), then the PromQL query up"
    assert wording.in_terminal("lab.query(…) for each of them", LAB) == "a PromQL query for each of them"


def test_no_goal_and_no_hint_names_a_call_in_a_terminal() -> None:
    for lab in course.load().labs:
        for exercise in lab.exercises:
            for text in (exercise.goal, *exercise.hints):
                assert not re.search(r"\b(?:lab|practice)\.\w+\(", wording.in_terminal(text, lab.id)), f"{exercise.key}: {text}"
