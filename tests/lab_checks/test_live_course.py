"""The start page's map, and what buttons answer where there is no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_checks.engine import course, verdict
from lab_checks.engine.session import Session
from lab_checks.face import wording
from lab_checks.face.live import course_map
from lab_checks.face.live.exercises import Exercises, verdict_row

WORDS = "13-interview"


@pytest.mark.parametrize(
    ("minutes", "passed", "of", "left"), [(75, 0, 9, 75), (75, 3, 9, 50), (75, 8, 9, 10), (75, 9, 9, 0), (40, 0, 0, 0)]
)
def test_what_a_lab_still_takes(minutes: int, passed: int, of: int, left: int) -> None:
    assert course_map.minutes_left(minutes, passed, of) == left


def test_the_map_says_where_the_learner_goes_on(tmp_path: Path) -> None:
    session = Session(tmp_path)
    first = course.load().exercises[0]
    found = course_map.of(session)
    assert (found["passed"], found["now"], found["next"]) == (0, "", first.key)
    assert [each["notebook"] for each in found["labs"]] == [f"{lab.id}.ipynb" for lab in course.load().labs]
    session.progress.start(first.key, first.version, "", {})
    assert course_map.of(session)["now"] == first.key
    session.progress.record(first.key, first.version, "passed", "done", 1.0)
    found = course_map.of(session)
    assert (found["passed"], found["now"], found["next"]) == (1, "", course.load().exercises[1].key)
    assert found["labs"][0]["exercises"][0]["state"] == "passed"
    assert found["labs"][0]["left"] < found["labs"][0]["minutes"]


def test_every_state_and_every_mark_has_a_look() -> None:
    looks = course_map.looks()
    assert set(wording.LOOKS) < set(looks)
    assert {"started", "not started", "passed an earlier version"} <= set(looks)
    assert looks["not yet"]["colour"] == wording.LOOKS["not yet"].in_notebook


def test_a_button_tells_a_missing_cluster_and_offers_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    found = Exercises(lambda line: None).do("check", "03-pending/moved-in")
    assert found == {"exercise": "03-pending/moved-in", "problem": "No lab cluster has been started yet.", "next": "ai-lab up", "up": True}


def test_a_button_for_an_exercise_that_is_none_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    answer = Exercises(lambda line: None).do("check", "03-pending/moved-out")
    assert "moved-in" in answer["problem"]
    assert not answer["up"]


def test_a_look_counts_as_no_check_until_it_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, exercise = Session(tmp_path), course.load().exercises[0]
    said = [verdict.failed("no"), verdict.not_yet("wait"), verdict.passed("yes")]
    monkeypatch.setattr(session, "_look", lambda lab, exercise: said.pop(0))
    session.progress.start(exercise.key, exercise.version, "", {})
    assert [str(session.look(exercise).outcome), str(session.look(exercise).outcome)] == ["failed", "not yet"]
    assert session.progress.standing(exercise.key).tries == 0
    assert session.look(exercise).passed
    assert session.progress.standing(exercise.key).tries == 1


def test_a_verdict_is_in_the_words_of_a_notebook() -> None:
    found = verdict.failed("no", verdict.Seen("pod/a", "phase", "Pending"), next="ai-lab hint 03-pending/moved-in").of("moved-in")
    row = verdict_row(found, "03-pending")
    assert (row["exercise"], row["mark"], row["next"]) == ("03-pending/moved-in", "failed", 'lab.hint("moved-in")')
    assert row["seen"] == [{"object": "pod/a", "field": "phase", "value": "Pending"}]
