"""Lab 13-interview: its exercises answered rightly and wrongly, on a machine without any cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_checks.authoring import attempts
from lab_checks.engine import course, paths
from lab_checks.engine.course import Exercise
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Outcome
from lab_checks.face.notebook import LabNotebook
from lab_checks.face.practice import Practice
from lab_checks.interview import questions, report
from lab_checks.labs.interview.checks import GROUPS
from tests.conftest import ROOT

LAB = course.load().lab("13-interview")
WAYS = attempts.load(ROOT / "tests" / "labs" / "attempts", LAB)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabNotebook:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    return LabNotebook(LAB.id)


def _answer(exercise: str, name: str = "the solution") -> dict[str, object]:
    way = next(each for each in WAYS if each.exercise == exercise and each.name == name)
    found: dict[str, object] = way.steps[0]["answer"]
    return found


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda each: each.id)
def test_every_exercise_has_another_right_way_and_four_wrong_ones(exercise: Exercise) -> None:
    kinds = [way.kind for way in WAYS if way.exercise == exercise.id]
    assert kinds.count("right") >= 2
    assert kinds.count("wrong") >= 4


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda each: each.id)
def test_right_ways_pass_and_wrong_ones_fail_in_their_words(session: Session, exercise: Exercise) -> None:
    mine = [way for way in WAYS if way.exercise == exercise.id]
    proofs = attempts.prove(session, exercise, mine, lambda proof: None)
    assert [f"{proof.name}: {proof.problem}" for proof in proofs if proof.problem] == []


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda each: each.id)
def test_a_check_before_the_start_says_what_to_do(session: Session, exercise: Exercise) -> None:
    found = session.check(exercise)
    assert (found.outcome, found.headline) == (Outcome.NOT_YET, "not started yet")
    assert found.next == f"ai-lab start {exercise.key}"


def test_no_answer_of_one_exercise_passes_another(session: Session) -> None:
    for exercise in LAB.exercises:
        for way in WAYS:
            if way.exercise != exercise.id and way.kind == "solution":
                session.start(exercise)
                session.answer(exercise, **way.steps[0]["answer"])
                assert not session.check(exercise, patience=0).passed, (exercise.id, way.exercise)


def test_every_question_stands_in_one_exercise() -> None:
    asked = [name for ids in GROUPS.values() for name in ids] + ["the-question"]
    assert sorted(asked) == sorted(each.id for each in questions.load())
    for name, ids in GROUPS.items():
        assert LAB.exercise(name).answers == tuple(each.replace("-", "_") for each in ids)


def test_a_verdict_is_the_same_at_every_look(session: Session) -> None:
    exercise = LAB.exercise("the-question")
    session.start(exercise)
    session.answer(exercise, answer="I read the events. Then I restart it first.")
    assert session.check(exercise) == session.check(exercise)


def test_the_first_hint_is_the_follow_up_to_what_was_said(session: Session) -> None:
    exercise = LAB.exercise("the-question")
    session.start(exercise)
    assert session.hint(exercise)[0] == exercise.hints[0]
    session.start(exercise)
    session.answer(exercise, answer="I would ask whether it needs a GPU or whether a CPU is enough for it.")
    assert session.hint(exercise)[0] in [point.ask for point in questions.find("the-question").points if point.core]


def test_the_model_answer_comes_after_an_own_try(lab: LabNotebook, capsys: pytest.CaptureFixture[str]) -> None:
    practice = Practice(lab)
    practice.model("the-question")
    lab.start("the-question")
    lab.answer("the-question", answer="no idea")
    practice.model("the-question")
    assert "[model answer]" not in capsys.readouterr().out
    lab.answer("the-question", **_answer("the-question"))
    practice.model("the-question")
    assert "[model answer] the-question" in capsys.readouterr().out


def test_the_report_is_written_beside_the_notebook(
    lab: LabNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    practice = Practice(lab)
    practice.report()
    assert "[not yet]" in capsys.readouterr().out
    lab.start("mock-interview")
    lab.answer("mock-interview", **_answer("mock-interview"))
    practice.report()
    assert "5 of 5 answers would do" in capsys.readouterr().out
    assert (tmp_path / report.NAME).read_text().startswith("# Mock interview\n")


def test_no_report_is_written_into_the_course_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    monkeypatch.chdir(paths.root() / "solutions")
    assert report.folder() == tmp_path / "my-labs"


def test_the_lab_opens_without_a_cluster(lab: LabNotebook, capsys: pytest.CaptureFixture[str]) -> None:
    from lab_checks.face.notebook import open_lab

    open_lab(LAB.id)
    assert "ready" in capsys.readouterr().out
    lab.start("scheduling")
    lab.check("scheduling")
    lab.reset("scheduling")
    lab.reset()
    assert "[not yet] scheduling: no answer yet" in capsys.readouterr().out


def test_the_solution_notebook_is_kept_with_its_outputs() -> None:
    assert (ROOT / "solutions" / "13-interview.ipynb").read_text().count("[passed]") >= len(LAB.exercises)
