"""Start, check, hint and reset for a button: the same session as the notebook's and the command's, and its answers as JSON.

One `Exercises` is used from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters import ClusterError
from lab_checks.classroom import membership
from lab_checks.engine import course, debrief
from lab_checks.engine.api import ApiUnreachable, CommandFailed
from lab_checks.engine.course import Exercise, UnknownName
from lab_checks.engine.session import Session
from lab_checks.engine.setup import LessonError
from lab_checks.engine.store import StoreError
from lab_checks.engine.verdict import Verdict
from lab_checks.face import next_exercise, wording

Answer = dict[str, Any]


def refuse(question: str) -> bool:
    """Says no: a button asks nobody, and what would have been deleted is told instead."""
    return False


def problem_in_words(problem: Exception, session: Session) -> Answer | None:
    """What to tell a person of an exception; `up` where starting the cluster changes it. None for a fault of the course."""
    if isinstance(problem, ApiUnreachable):
        problem = session.away(problem)
    if isinstance(problem, ClusterError):
        return {"problem": problem.what, "next": problem.next, "up": problem.next.startswith("ai-lab up")}
    if isinstance(problem, StoreError):
        return {"problem": problem.what, "next": problem.next, "up": False}
    if isinstance(problem, LessonError | CommandFailed | UnknownName):
        return {"problem": str(problem), "next": "", "up": False}
    return None


def verdict_row(found: Verdict, lab: str) -> Answer:
    """A verdict for the page, in a notebook's words; its colour and sign are those of the word in `mark`."""
    shown = wording.verdict_in(wording.in_notebook, found, lab)
    return {
        "exercise": f"{lab}/{found.exercise}",
        "mark": found.mark,
        "passed": found.passed,
        "idle": found.idle,
        "headline": shown.headline,
        "seen": [{"object": each.object, "field": each.field, "value": each.value} for each in shown.seen],
        "expected": shown.expected,
        "next": shown.next,
        "notice": shown.notice,
        "credit": shown.credit,
    }


class Exercises:
    """`say` hears one line for everything that takes a moment."""

    def __init__(self, say: Callable[[str], None]):
        self.session = Session(say=say, ask=refuse, wrote=membership.nudge)

    def do(self, verb: str, key: str) -> Answer:
        """What a button asks for: start, check, hint, reset or debrief of `lab/exercise`. A problem is an answer too."""
        try:
            lab, exercise = course.load().find(key)
            if exercise is None:
                raise UnknownName(f"{key} is a lab; name an exercise of it")
            return {"exercise": exercise.key, **self._done(verb, lab, exercise)}
        except Exception as problem:
            told = problem_in_words(problem, self.session)
            if told is None:
                raise
            return {"exercise": key, **told}

    def _done(self, verb: str, lab: course.Lab, exercise: Exercise) -> Answer:
        if verb == "start":
            self.session.start(exercise)
            return {"text": wording.in_notebook(" ".join(exercise.goal.split()), lab.id)}
        if verb == "reset":
            self.session.reset(lab, exercise)
            return {"text": "The start is created again."}
        if verb == "hint":
            text, number, of = self.session.hint(exercise)
            return {"text": wording.in_notebook(text, lab.id), "number": number, "of": of}
        if verb == "check":
            return self._judged(lab, exercise, self.session.check(exercise, patience=0.0))
        if verb == "debrief":
            return {"debrief": debrief.opened(self.session.progress, exercise).text}
        raise UnknownName(f"there is no button {verb}")

    def _judged(self, lab: course.Lab, exercise: Exercise, found: Verdict) -> Answer:
        opened = debrief.of(exercise).passed if found.passed else ""
        return {"exercise": exercise.key, "verdict": verdict_row(found, lab.id), "debrief": opened}

    def look(self, key: str = "") -> Answer | None:
        """A look at the exercise under way, or at the one named, that is recorded only where it passes; None where there is none to look at."""
        try:
            exercise = course.load().find(key)[1] if key else next_exercise.under_way(self.session)
            if exercise is None:
                return None
            return self._judged(course.load().lab(exercise.lab), exercise, self.session.look(exercise))
        except Exception as problem:
            told = problem_in_words(problem, self.session)
            if told is None:
                raise
            return {"exercise": key, **told}
