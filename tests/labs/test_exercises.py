"""Every exercise of every lab, by the same rules: its start fails, its solution passes, tempting ways fail in their own words.

What is written down in `attempts/` is replayed on a live cluster. All of it is `ai-lab dev check`; here each exercise shows its solution and its
first wrong way, and each lab that it survives what learners do: again, reset, another kernel, another day.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from lab_checks.authoring import attempts
from lab_checks.authoring.attempts import Attempt
from lab_checks.engine import course
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.reach import NoCluster
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Outcome, Verdict
from lab_checks.judging import guards
from tests.conftest import BIN, ROOT

LABS = course.load().labs
WAYS: dict[str, list[Attempt]] = {lab.id: attempts.load(ROOT / "tests" / "labs" / "attempts", lab) for lab in LABS}

every_exercise = pytest.mark.parametrize("exercise", course.load().exercises, ids=lambda each: each.key)
every_lab = pytest.mark.parametrize("lab", LABS, ids=lambda each: each.id)


def ways(exercise: Exercise, *kinds: str) -> list[Attempt]:
    return [way for way in WAYS[exercise.lab] if way.exercise == exercise.id and way.kind in kinds]


@every_exercise
def test_an_exercise_has_a_solution_another_right_way_and_three_wrong_ones_with_words(exercise: Exercise) -> None:
    assert len(ways(exercise, "solution")) == 1
    assert ways(exercise, "right")
    wrong = ways(exercise, "wrong")
    assert len(wrong) >= 3
    assert all(way.says for way in wrong)
    assert len({way.name for way in wrong}) == len(wrong)


def test_what_is_not_written_down_of_an_exercise_is_told() -> None:
    lab = LABS[0]
    exercise = lab.exercises[0]
    left = [way for way in WAYS[lab.id] if way.exercise != exercise.id or way.kind == "right"]
    assert attempts.missing(lab, left) == [
        f"{exercise.key}: 0 wrong attempts are written down, 3 are the least",
        f"{exercise.key}: no solution is written down",
    ]


@every_lab
def test_the_solved_notebook_is_kept_with_every_check_passed(lab: Lab) -> None:
    text = (ROOT / "solutions" / f"{lab.id}.ipynb").read_text()
    assert [each.id for each in lab.exercises if f"[passed] {each.id}" not in text] == []


@pytest.mark.cluster
@pytest.mark.timeout(900)
@every_exercise
def test_the_start_fails_the_solution_passes_and_a_tempting_way_fails_in_its_own_words(exercise: Exercise, lab_session: Session) -> None:
    # `ai-lab dev check` replays all ways; fifteen labs of them would take hours here.
    chosen = [*ways(exercise, "wrong")[:1], *ways(exercise, "solution")]
    told: list[str] = []
    proofs = attempts.prove(lab_session, exercise, chosen, lambda proof: told.append(proof.name))
    assert [f"{proof.name}: {proof.problem}" for proof in proofs if proof.problem] == []
    assert len(told) == 3


def solve(session: Session, exercise: Exercise) -> Verdict:
    attempts.replay(session, exercise, ways(exercise, "solution")[0])
    return session.check(exercise)


@pytest.mark.cluster
@pytest.mark.timeout(900)
@every_lab
def test_a_learner_who_starts_again_or_resets_begins_from_the_start(lab: Lab, lab_session: Session) -> None:
    first, last = lab.exercises[0], lab.exercises[-1]
    lab_session.start(first)
    lab_session.start(first)
    assert lab_session.check(first, patience=0).outcome in (Outcome.FAILED, Outcome.NOT_YET)
    assert solve(lab_session, first).passed
    if lab.cluster:
        # A look at another exercise, out of order, says something sane and changes nothing for the first.
        assert lab_session.check(last, patience=0, strict=True).outcome is Outcome.NOT_YET
    lab_session.start(last)
    assert not lab_session.check(last, patience=0).passed
    gone = lab_session.check(first, patience=0, strict=True)
    if lab.cluster:
        assert gone.outcome is Outcome.NOT_YET
        assert gone.next == f"ai-lab start {first.key}"
    else:
        # Only a cluster holds one exercise at a time: an answer stands beside others.
        assert gone.passed
    lab_session.reset(lab, first)
    assert not lab_session.check(first, patience=0).passed
    assert solve(lab_session, first).passed
    lab_session.reset(lab)
    assert lab_session.check(first, patience=0).outcome is not Outcome.ERROR
    # What was passed stays passed, whatever the cluster shows now.
    assert lab_session.progress.standing(first.key).passed_version == first.version


@pytest.mark.cluster
@pytest.mark.timeout(900)
@every_lab
def test_a_learner_whose_kernel_and_cluster_stop_in_the_middle_goes_on(lab: Lab, lab_session: Session) -> None:
    exercise = lab.exercises[0]
    lab_session.start(exercise)
    environment = dict(os.environ)
    subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=True, timeout=120)
    another_kernel = Session(lab_session.state)
    if lab.cluster:
        with pytest.raises(NoCluster, match="stopped") as away:
            another_kernel.check(exercise, patience=0)
        assert away.value.next == "ai-lab up"
    else:
        # An interview goes on without a cluster.
        assert another_kernel.check(exercise, patience=0).outcome is Outcome.NOT_YET
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", "embedded"], env=environment, check=True, timeout=120)
    assert not another_kernel.check(exercise, patience=0).passed
    assert solve(another_kernel, exercise).passed
    # What was right stays right after another stop: nobody is blamed for how the cluster's end ended their containers.
    subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=True, timeout=120)
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", "embedded"], env=environment, check=True, timeout=120)
    again = another_kernel.check(exercise, patience=60)
    # A pass stays a pass in the learner's progress; what was timed is gone with the stop, and has to be measured anew to be judged again.
    assert again.passed or (again.outcome is Outcome.NOT_YET and again.headline.startswith(guards.STOPPED)), again.lines()
