"""The course as the start page shows it: every lab and exercise, how it stands, where the learner goes on. Nothing here asks a cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lab_checks.engine import course, learner
from lab_checks.engine.session import still_passed
from lab_checks.face import next_exercise, pictures, wording

if TYPE_CHECKING:
    from lab_checks.engine.course import Exercise, Lab
    from lab_checks.engine.progress import Standing
    from lab_checks.engine.session import Session

_ROUND_TO = 5  # minutes
# How exercises are marked that no verdict was given on.
_UNJUDGED = {
    "started": wording.Look("▶", "blue", pictures.BLUE),
    "not started": wording.Look("○", "white", pictures.GREY),
    "passed an earlier version": wording.Look("✔", "cyan", pictures.BLUE),
}


def looks() -> dict[str, dict[str, str]]:
    """Sign and colour of every word with which an exercise or a verdict is marked: the notebook's own."""
    every = {**wording.LOOKS, **_UNJUDGED}
    return {word: {"sign": look.sign, "colour": look.in_notebook} for word, look in every.items()}


def minutes_left(minutes: int, passed: int, of: int) -> int:
    """What a lab of so many minutes still takes after `passed` of its exercises, rounded up to five minutes; 0 where all are passed."""
    if not of or passed >= of:
        return 0
    return math.ceil(minutes * (of - passed) / of / _ROUND_TO) * _ROUND_TO


def _exercise(exercise: Exercise, standing: Standing) -> dict[str, Any]:
    word = wording.state(exercise, standing)
    return {
        "key": exercise.key,
        "id": exercise.id,
        "title": exercise.title,
        "goal": wording.in_notebook(" ".join(exercise.goal.split()), exercise.lab),
        "state": word,
        "passed": word == "passed",
        "cluster": exercise.cluster,
        "diagnosis": exercise.diagnosis,
        "answers": list(exercise.answers),
        "hints": len(exercise.hints),
    }


def lab_row(lab: Lab, standings: list[tuple[Exercise, Standing]]) -> dict[str, Any]:
    """One lab: its notebook's name, its minutes, those that are left, and its exercises."""
    rows = [_exercise(each, standing) for each, standing in standings]
    passed = sum(each["passed"] for each in rows)
    return {
        "id": lab.id,
        "title": lab.title,
        "about": " ".join(lab.about.split()),
        "notebook": f"{lab.id}.ipynb",
        "minutes": lab.minutes,
        "left": minutes_left(lab.minutes, passed, len(rows)),
        "passed": passed,
        "of": len(rows),
        "exercises": rows,
    }


def of(session: Session) -> dict[str, Any]:
    """The whole map. `now` is the exercise under way, `next` the one that comes next; empty where there is none. Raises StoreError."""
    found = course.load()
    standings = {exercise.key: standing for exercise, standing in session.standings()}
    labs = [lab_row(lab, [(each, standings[each.key]) for each in lab.exercises]) for lab in found.labs]
    # Worked out of what was read already: each question to the progress file opens it anew, and a map is told after every change.
    passed = {each.key for each in found.exercises if still_passed(each, standings[each.key])}
    started = [each for each in found.exercises if standings[each.key].last_start]
    newest = max(started, key=lambda each: standings[each.key].last_start, default=None)
    now = newest if newest is not None and newest.key not in passed else None
    after = next_exercise.following(found.exercises, newest, lambda each: each.key in passed)
    return {
        "title": found.title,
        "learner": learner.name(session.state),
        "labs": labs,
        "passed": sum(each["passed"] for each in labs),
        "of": sum(each["of"] for each in labs),
        "left": sum(each["left"] for each in labs),
        "now": now.key if now else "",
        "next": after.key if after else "",
    }
