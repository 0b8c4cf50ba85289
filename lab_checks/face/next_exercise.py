"""Where a learner goes on: the exercise under way, the next one that is not passed, and what an exercise asks for, in the words of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_checks.engine import course

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab_checks.engine.course import Exercise, Lab
    from lab_checks.engine.session import Session


def under_way(session: Session) -> Exercise | None:
    """The exercise of the course that was started last; None where none was, or where it is passed."""
    newest = _newest(session)
    return newest if newest is not None and session.passed_before(newest) is None else None


def next_open(session: Session, lab: Lab | None = None) -> Exercise | None:
    """The first exercise that is not passed, looked for from the one that was started last on and then from the beginning; None where all are.

    With a lab, one of its own. The one that was started last comes last.
    """
    exercises = list(lab.exercises) if lab is not None else course.load().exercises
    return following(exercises, _newest(session), lambda each: session.passed_before(each) is not None)


def following(exercises: list[Exercise], newest: Exercise | None, passed: Callable[[Exercise], bool]) -> Exercise | None:
    """The first of `exercises` that is not passed, from the one after `newest` on and then from the beginning; None where all are."""
    here = exercises.index(newest) + 1 if newest is not None and newest in exercises else 0
    return next((each for each in exercises[here:] + exercises[:here] if not passed(each)), None)


def _newest(session: Session) -> Exercise | None:
    exercises = course.load().exercises
    key = session.progress.newest([each.key for each in exercises])
    return next((each for each in exercises if each.key == key), None)


def asks_for(exercise: Exercise) -> list[str]:
    """What is to be handed in, and how, one line each."""
    told = []
    if exercise.diagnosis:
        told.append(f"first the cause and its evidence: ai-lab diagnose {exercise.key}")
    if exercise.answers:
        shown = (f"{name}='{exercise.forms[name]}'" if name in exercise.forms else f"{name}=…" for name in exercise.answers)
        told.append(f"your answers: ai-lab answer {exercise.key} {' '.join(shown)}")
    return [*told, f"when it is done: ai-lab check {exercise.key}; where you are stuck: ai-lab hint {exercise.key}"]


def described(exercise: Exercise) -> list[str]:
    """An exercise before its start: its name, what it takes, and the command that starts it."""
    lab = course.load().lab(exercise.lab)
    needs = "a cluster (ai-lab up)" if exercise.cluster else "no cluster"
    asked = [each for each, wanted in (("a diagnosis", exercise.diagnosis), ("answers", exercise.answers)) if wanted]
    return [
        f"[next] {exercise.key}: {exercise.title}",
        f"  in the lab {lab.title} ({len(lab.exercises)} exercises, about {lab.minutes} minutes)",
        f"  takes: {', '.join([needs, *asked])}",
        f"  next: ai-lab start {exercise.key}",
    ]
