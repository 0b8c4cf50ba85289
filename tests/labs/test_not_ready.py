"""Lab 04-not-ready: the rules behind its probe guards, and its exercises worked rightly and wrongly on a live cluster."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks import course
from lab_checks.authoring import attempts
from lab_checks.course import Exercise
from lab_checks.labs import not_ready
from lab_checks.session import Session
from tests.conftest import ROOT

LAB = course.load().lab("04-not-ready")
WAYS = attempts.load(ROOT / "tests" / "labs" / "attempts", LAB)


def test_a_probes_budget_counts_its_delay_and_its_defaults() -> None:
    assert not_ready.budget({}) == 30
    assert not_ready.budget({"initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 4}) == 13


@pytest.mark.parametrize(
    ("get", "asked"),
    [
        ({"path": "/ready", "port": "http"}, ("/ready", 8080)),
        ({"path": "/ready", "port": 8000}, ("/ready", 8000)),
        ({"port": "nowhere"}, ("/", 0)),
    ],
)
def test_a_probes_question_is_its_path_and_its_port_by_number(get: dict[str, Any], asked: tuple[str, int]) -> None:
    container = {"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"httpGet": get}}
    assert not_ready.question(container, "readinessProbe") == asked


def test_a_probe_that_only_opens_a_port_asks_nothing() -> None:
    assert not_ready.question({"readinessProbe": {"tcpSocket": {"port": 8080}}}, "readinessProbe") is None


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
