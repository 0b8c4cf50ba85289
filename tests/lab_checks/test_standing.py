"""What an exercise is called before, during and after the work on it, and which hint comes next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab_checks.engine import course, verdict
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Seen
from lab_checks.face import notebook, wording

# Of a version that has an earlier one.
EXERCISE = replace(course.load().lab("03-pending").exercise("moved-in"), version=2)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def begin(session: Session) -> None:
    session.progress.start(EXERCISE.key, EXERCISE.version, "cluster", {})


def accept(session: Session) -> None:
    session._keep(EXERCISE, "taint-not-tolerated", "a line", True)


def state(session: Session) -> str:
    return wording.state(EXERCISE, session.progress.standing(EXERCISE.key))


def test_an_exercise_has_one_word_for_how_it_stands(session: Session) -> None:
    assert state(session) == "not started"
    begin(session)
    assert state(session) == "started"
    session.progress.record(EXERCISE.key, EXERCISE.version, "failed", "", 0)
    assert state(session) == "failed"
    begin(session)
    assert state(session) == "started"
    session.progress.record(EXERCISE.key, EXERCISE.version - 1, "passed", "", 1)
    assert state(session) == "passed an earlier version"
    session.progress.record(EXERCISE.key, EXERCISE.version, "passed", "", 1)
    begin(session)
    assert state(session) == "passed"


def test_an_accepted_diagnosis_is_no_pass_and_says_what_comes_next() -> None:
    judged = verdict.passed("the cause is x", Seen("node/a", "taints", "t")).on_diagnosis(
        "now the fix, then ai-lab check 03-pending/moved-in"
    )
    shown = wording.verdict_in(wording.in_notebook, judged.of("moved-in"), "03-pending")
    lines = shown.lines()
    assert lines[0] == "[diagnosis accepted] moved-in: the cause is x"
    assert lines[-1] == '  next: now the fix, then lab.check("moved-in")'
    card = notebook.verdict_card(shown)
    assert "diagnosis accepted</b>" in card
    assert "passed" not in card
    assert wording.LOOKS[shown.mark] not in (wording.LOOKS["passed"], wording.LOOKS["failed"])


def test_a_card_names_what_was_seen_with_its_field_or_without() -> None:
    card = notebook.verdict_card(verdict.failed("no", verdict.Seen("pod/a", "phase", "Pending"), verdict.Seen("cluster", "", "is full")))
    assert "<code>pod/a</code> phase: <code" in card
    assert "<code>cluster</code>: <code" in card


def test_a_diagnosis_that_is_refused_does_not_fail_the_exercise() -> None:
    assert verdict.failed("no").on_diagnosis("now the fix").of("x").lines() == ["[diagnosis not accepted] x: no"]
    assert verdict.not_yet("wait").on_diagnosis("now the fix").mark == "not yet"


@pytest.mark.parametrize("outcome", list(verdict.Outcome))
@pytest.mark.parametrize("diagnosis", [False, True])
def test_every_verdict_has_a_look(outcome: verdict.Outcome, diagnosis: bool) -> None:
    assert wording.LOOKS[verdict.Verdict(outcome, "", diagnosis=diagnosis).mark].sign


def test_hints_end_with_the_last_one_and_are_counted_no_further(session: Session) -> None:
    begin(session)
    numbers = [session.hint(EXERCISE)[1] for _ in range(len(EXERCISE.hints) + 3)]
    assert numbers == [1, 2, 3, 4, 5, 5, 5, 5]
    assert session.progress.standing(EXERCISE.key).hints == len(EXERCISE.hints)
    begin(session)
    session.hint(EXERCISE)
    assert session.progress.standing(EXERCISE.key).hints == len(EXERCISE.hints)


def test_after_an_accepted_diagnosis_hints_are_about_the_fix(session: Session) -> None:
    begin(session)
    accept(session)
    text, number, of = session.hint(EXERCISE)
    assert text == f"The cause is found: taint-not-tolerated. Now the fix. {EXERCISE.hints[2]}"
    assert (number, of) == (3, 5)
    assert session.hint(EXERCISE)[:2] == (EXERCISE.hints[3], 4)
    # Only those that were shown are counted.
    assert session.progress.standing(EXERCISE.key).hints == 2


def test_hints_taken_before_the_diagnosis_do_not_come_again(session: Session) -> None:
    begin(session)
    for _ in range(4):
        session.hint(EXERCISE)
    accept(session)
    assert [session.hint(EXERCISE)[1] for _ in range(2)] == [5, 5]


def test_a_refused_diagnosis_changes_no_hint(session: Session) -> None:
    begin(session)
    session._keep(EXERCISE, "quota-spent", "a line", False)
    assert session.hint(EXERCISE)[1] == 1


def test_a_new_start_begins_with_the_first_hint(session: Session) -> None:
    begin(session)
    accept(session)
    begin(session)
    assert session.hint(EXERCISE)[1] == 1
