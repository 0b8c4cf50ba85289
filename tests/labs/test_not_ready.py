"""Lab 04-not-ready: its exercises worked rightly and wrongly on a live cluster."""

from __future__ import annotations

import pytest

from lab_checks import course
from lab_checks.authoring import attempts
from lab_checks.course import Exercise
from lab_checks.session import Session
from tests.conftest import ROOT

LAB = course.load().lab("04-not-ready")
WAYS = attempts.load(ROOT / "tests" / "labs" / "attempts", LAB)


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda each: each.id)
def test_every_exercise_has_another_right_way_and_three_wrong_ones(exercise: Exercise) -> None:
    kinds = [way.kind for way in WAYS if way.exercise == exercise.id]
    assert kinds.count("right") >= 1
    assert kinds.count("wrong") >= 3


@pytest.mark.cluster
@pytest.mark.timeout(240)
@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda each: each.id)
def test_the_solution_passes_and_tempting_ways_do_not(lab_session: Session, exercise: Exercise) -> None:
    mine = [way for way in WAYS if way.exercise == exercise.id]
    wrong = [way for way in mine if way.kind == "wrong"]
    told: list[str] = []
    proofs = attempts.prove(
        lab_session, exercise, [*wrong[:3], *(way for way in mine if way.kind == "solution")], lambda proof: told.append(proof.name)
    )
    assert [f"{proof.name}: {proof.problem}" for proof in proofs if proof.problem] == []
    assert len(told) == 5


def test_the_solution_notebook_is_kept_with_its_outputs() -> None:
    assert (ROOT / "solutions" / "04-not-ready.ipynb").read_text().count("[passed]") >= len(LAB.exercises)
