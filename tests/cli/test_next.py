"""Where a learner goes on: `ai-lab start` without a name, a lab's next exercise, and how a diagnosis is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_checks.engine import course
from lab_checks.engine.progress import Progress
from lab_checks.engine.session import Session
from lab_checks.face import next_exercise
from tests.cli.test_command import run

INTERVIEW = course.load().lab("13-interview")


def begin(home: Path, *keys: str) -> None:
    for key in keys:
        Progress(home).start(key, 1, "", {})


def finish(home: Path, *keys: str) -> None:
    for exercise in course.load().exercises:
        if exercise.key in keys:
            begin(home, exercise.key)
            Progress(home).record(exercise.key, exercise.version, "passed", "", 1.0)


def following(home: Path, lab: str = "") -> str:
    found = next_exercise.next_open(Session(home), course.load().lab(lab) if lab else None)
    return found.key if found else ""


def test_a_newcomer_is_told_the_first_exercise_and_nothing_is_started(tmp_path: Path) -> None:
    done = run(tmp_path, "start")
    first = course.load().exercises[0]
    assert done.returncode == 0
    assert f"[next] {first.key}: {first.title}" in done.stdout
    assert "takes: a cluster (ai-lab up)" in done.stdout
    assert f"next: ai-lab start {first.key}" in done.stdout
    assert Progress(tmp_path).attempt(first.key) is None


def test_the_exercise_under_way_is_told_first(tmp_path: Path) -> None:
    begin(tmp_path, "03-pending/moved-in")
    said = run(tmp_path, "start").stdout
    assert said.index("[started] 03-pending/moved-in") < said.index("[next] 03-pending/new-card")
    assert "ai-lab diagnose 03-pending/moved-in" in said


def test_next_goes_on_from_the_newest_start_and_then_from_the_beginning(tmp_path: Path) -> None:
    finish(tmp_path, "03-pending/moved-in", "03-pending/new-card")
    assert following(tmp_path) == "03-pending/rounded-up"
    assert following(tmp_path, "13-interview") == INTERVIEW.exercises[0].key
    finish(tmp_path, *(each.key for each in course.load().exercises if each.lab != "00-welcome"))
    assert following(tmp_path) == "00-welcome/cluster-map"
    finish(tmp_path, *(each.key for each in course.load().exercises))
    assert following(tmp_path) == ""


def test_a_labs_start_takes_its_next_open_exercise(tmp_path: Path) -> None:
    finish(tmp_path, INTERVIEW.exercises[0].key)
    done = run(tmp_path, "start", "13-interview")
    assert done.returncode == 0, done.stderr
    assert f"[started] {INTERVIEW.exercises[1].key}" in done.stdout
    assert f"ai-lab answer {INTERVIEW.exercises[1].key} " in done.stdout
    assert f"[started] {INTERVIEW.exercises[2].key}" in run(tmp_path, "start", "next").stdout


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("moved-in", "03-pending/moved-in"),
        ("03-pendng", "03-pending"),
        ("03/moved-im", "moved-in"),
        ("pendin/moved-in", "03-pending/moved-in"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_one_that_is_near(name: str, meant: str, tmp_path: Path) -> None:
    done = run(tmp_path, "start", name)
    assert done.returncode == 2
    assert f"did you mean {meant}?" in done.stderr


def test_a_diagnosis_without_a_cause_says_the_causes_and_how_to_call_it(tmp_path: Path) -> None:
    done = run(tmp_path, "diagnose", "03-pending/moved-in")
    assert done.returncode == 0
    first, *causes, help_line, call = done.stdout.splitlines()
    assert first == "The causes to choose from for 03-pending/moved-in:"
    assert [each.strip() for each in causes] == list(course.load().lab("03-pending").exercise("moved-in").causes)
    assert "--evidence" in help_line
    assert call.strip() == 'ai-lab diagnose 03-pending/moved-in --cause CAUSE --evidence "LINE"'


def test_evidence_without_a_cause_is_not_thrown_away_silently(tmp_path: Path) -> None:
    done = run(tmp_path, "diagnose", "03-pending/moved-in", "--evidence", "a line")
    assert done.returncode == 2
    assert "name the cause" in done.stderr


def test_without_a_name_it_is_about_the_exercise_under_way(tmp_path: Path) -> None:
    key = INTERVIEW.exercises[0].key
    begin(tmp_path, key)
    assert INTERVIEW.exercises[0].hints[1] in [run(tmp_path, "hint").stdout, run(tmp_path, "hint").stdout][1]
    assert "[noted] 13-interview/the-question: answer" in run(tmp_path, "answer", "answer=a word").stdout
    assert "the-question" in run(tmp_path, "check").stdout
    assert "the-question" in run(tmp_path, "check", "13-interview").stdout
    assert "asks for no diagnosis" in run(tmp_path, "diagnose").stderr
