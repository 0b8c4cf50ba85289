"""What the story tells of an exercise only after it was solved: why it happened, why the fix is the right one, what it is like elsewhere.

It stands where it belongs in the story, in the lab's source `solutions/<lab>.md`, between marks that `ai-lab dev build` cuts out of both notebooks:

    <!-- #region debrief="moved-in" after="diagnosis" -->       opened by a diagnosis that is accepted
    <!-- #region debrief="moved-in" -->                         opened by the check that passes
    <!-- #region debrief="summary" -->                          opened line by line: see `summary`
    …
    <!-- #endregion -->
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from lab_checks.engine import paths
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.progress import Progress

SUMMARY = "summary"
_REGION = re.compile(
    r'^<!-- #region debrief="(?P<name>[\w-]+)"(?P<early> after="diagnosis")? -->\n(?P<text>.*?)^<!-- #endregion -->', re.M | re.S
)
_OF = re.compile(r"[ \t]*<!-- ([\w -]+) -->[ \t]*$")


@dataclass(frozen=True)
class Debrief:
    """The two parts of an exercise's debrief, as Markdown; empty where there is none."""

    diagnosed: str = ""
    passed: str = ""

    @property
    def text(self) -> str:
        return "\n\n".join(filter(None, (self.diagnosed, self.passed)))


def source(lab: str) -> Path:
    return paths.root() / "solutions" / f"{lab}.md"


def regions(text: str) -> list[tuple[str, bool, str]]:
    """The marked parts of a lab's source in order: (exercise or `summary`, opened by the diagnosis already?, Markdown)."""
    return [(found["name"], bool(found["early"]), found["text"].strip()) for found in _REGION.finditer(text)]


def _regions(lab: str) -> list[tuple[str, bool, str]]:
    path = source(lab)
    # A course that is handed out without solutions/ is told without debriefs.
    return regions(path.read_text()) if path.exists() else []


def of(exercise: Exercise) -> Debrief:
    """The debrief of an exercise. Raises OSError where the lab's source cannot be read."""
    mine = [(early, text) for name, early, text in _regions(exercise.lab) if name == exercise.id]
    return Debrief(*("\n\n".join(text for early, text in mine if early is part) for part in (True, False)))


def opened(progress: Progress, exercise: Exercise) -> Debrief:
    """What of the debrief is open to this learner. A pass opens all of it, for good; an accepted diagnosis its first part. Raises StoreError."""
    whole = of(exercise)
    if is_passed(progress, exercise):
        return whole
    return Debrief(whole.diagnosed if is_diagnosed(progress, exercise) else "")


def is_passed(progress: Progress, exercise: Exercise) -> bool:
    """Whether this learner passed the exercise at any time, in any version. Raises StoreError."""
    return bool(progress.standing(exercise.key).passed_version)


def is_diagnosed(progress: Progress, exercise: Exercise) -> bool:
    """Whether a diagnosis was accepted since the exercise was started last. Raises StoreError."""
    attempt = progress.attempt(exercise.key)
    return attempt is not None and bool((attempt.answers.get("diagnosis") or {}).get("accepted"))


def passed(progress: Progress, lab: Lab) -> set[str]:
    """The exercises of a lab that this learner passed at any time. Raises StoreError."""
    return {each.id for each in lab.exercises if is_passed(progress, each)}


def summary(lab: Lab, done: Container[str]) -> tuple[str, int]:
    """The lab's summary as Markdown, and how many of its lines are still closed: a line that ends in `<!-- one other -->` opens when both
    exercises are passed. A block (between blank lines) of which no such line is open is left out.
    """
    kept: list[str] = []
    closed = 0
    for block in "\n\n".join(text for name, _, text in _regions(lab.id) if name == SUMMARY).split("\n\n"):
        lines = block.splitlines()
        marked = [line for line in lines if _OF.search(line)]
        shut = [line for line in marked if not all(name in done for name in _OF.findall(line)[0].split())]
        closed += len(shut)
        if len(shut) < len(marked) or not marked:
            kept.append("\n".join(_OF.sub("", line) for line in lines if line not in shut))
    return "\n\n".join(filter(None, kept)), closed
