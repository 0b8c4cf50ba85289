"""The notebook's face: `lab = open_lab("03-pending")`, then `lab.start`, `lab.check`, `lab.hint`, `lab.diagnose`, `lab.answer`, `lab.reset`.

Every widget has a plain line of text beside it, for screen readers and for machines that compare outputs. A cell's output is whole when the
cell ends: nothing is updated, cleared or written from a thread afterwards.
"""

from __future__ import annotations

import os
import subprocess
from html import escape
from typing import Any

from lab_checks import course, pictures
from lab_checks.api import Api, environment
from lab_checks.assistant import Assistant
from lab_checks.course import Exercise, UnknownName
from lab_checks.lesson import LessonError
from lab_checks.session import NoCluster, Session
from lab_checks.verdict import Outcome, Verdict

_LOOKS = {
    Outcome.PASSED: ("✔", pictures.GREEN, "Passed"),
    Outcome.FAILED: ("✘", pictures.RED, "Failed"),
    Outcome.NOT_YET: ("…", pictures.ORANGE, "Not yet"),
    Outcome.ERROR: ("!", pictures.GREY, "Checker error"),
}


class CannotGoOn(Exception):
    """What a learner has to do first. IPython shows its message and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def _show(html: str) -> None:
    from IPython.display import display
    from ipywidgets import HTML

    display(HTML(html))  # type: ignore[no-untyped-call]


def verdict_card(verdict: Verdict) -> str:
    """The verdict as HTML: outcome in word, sign and colour; what was seen; what was expected; where to look next."""
    sign, colour, word = _LOOKS[verdict.outcome]
    parts = [
        f"<div role='status' style='border-left:6px solid {colour};padding:6px 12px;margin:4px 0;line-height:1.45'>",
        f"<div><span style='color:{colour};font-weight:bold'>{sign} {word}</span> · <b>{escape(verdict.exercise)}</b>: {escape(verdict.headline)}</div>",
    ]
    if verdict.seen:
        rows = "".join(
            f"<li><code>{escape(each.object)}</code> {escape(each.field)}: <code style='white-space:pre-wrap'>{escape(each.value)}</code></li>"
            for each in verdict.seen
        )
        parts.append(f"<div>Seen:</div><ul style='margin:0 0 4px 0'>{rows}</ul>")
    if verdict.expected:
        parts.append(f"<div>Expected: {escape(verdict.expected)}</div>")
    if 0 < verdict.credit < 1:
        parts.append(f"<div>So far: {verdict.credit:.0%} of this exercise</div>")
    if verdict.next:
        parts.append(f"<div>Look next: <code style='white-space:pre-wrap'>{escape(verdict.next)}</code></div>")
    return "".join(parts) + "</div>"


class LabNotebook:
    """One lab in one notebook. Every method finds its own state on the cluster, so cells may be run in any order, twice, or next week."""

    def __init__(self, name: str):
        try:
            self._lab = course.load().lab(name)
        except UnknownName as problem:
            raise CannotGoOn(str(problem)) from None
        self._session = Session(say=lambda line: print(f"… {line}", flush=True))
        self.assistant = Assistant(self._session, self._lab)

    @property
    def api(self) -> Api:
        """The learner's cluster, for tables and pictures that are drawn from it."""
        self._ready()
        return self._session.api

    def _exercise(self, name: str) -> Exercise:
        try:
            return self._lab.exercise(name)
        except UnknownName as problem:
            raise CannotGoOn(str(problem)) from None

    def _ready(self, exercise: Exercise | None = None) -> None:
        if not (exercise or self._lab).cluster:
            return
        try:
            os.environ.update(environment(self._session.cluster.kubeconfig))
            _ = self._session.api
        except NoCluster as problem:
            raise CannotGoOn(f"{problem}\nRun this in a terminal, then run the cell again.") from None

    def start(self, name: str) -> None:
        """Lays the broken start of an exercise; what an earlier exercise left behind goes away."""
        exercise = self._exercise(name)
        self._ready(exercise)
        try:
            self._session.start(exercise)
        except (LessonError, NoCluster) as problem:
            raise CannotGoOn(str(problem)) from None
        print(f"[started] {exercise.id}: {exercise.title}")
        _show(
            f"<div style='border-left:6px solid {pictures.BLUE};padding:6px 12px'><b>{escape(exercise.title)}</b><br>{escape(exercise.goal)}</div>"
        )

    def check(self, name: str, patience: float | None = None) -> None:
        """Says what the check sees on the cluster now; waits up to `patience` seconds for one that is still moving."""
        exercise = self._exercise(name)
        self._ready(exercise)
        self._tell(self._session.check(exercise, patience))

    def diagnose(self, name: str, *, cause: str, evidence: str | list[str]) -> None:
        """Hands in a diagnosis: a cause out of `lab.causes(name)`, and the line or lines from the cluster that show it."""
        exercise = self._exercise(name)
        self._ready(exercise)
        self._tell(self._session.diagnose(exercise, cause, evidence))

    def _tell(self, found: Verdict) -> None:
        # The first line is the same at every look at an unchanged cluster; names and numbers are in the card.
        print(found.lines()[0])
        _show(verdict_card(found))

    def causes(self, name: str) -> None:
        """Prints the causes that a diagnosis chooses from."""
        for each in self._exercise(name).causes:
            print(each)

    def answer(self, name: str, **values: Any) -> None:
        """Hands in answers to an exercise's questions; the check holds them against the cluster."""
        exercise = self._exercise(name)
        self._ready(exercise)
        if self._session.answer(exercise, **values):
            print(f"[noted] {exercise.id}: {', '.join(values)}")
        else:
            raise CannotGoOn(f'{exercise.id} has not been started: run lab.start("{exercise.id}") first')

    def hint(self, name: str) -> None:
        """Shows the next hint: a question first, the command last."""
        exercise = self._exercise(name)
        self._ready(exercise)
        text, number, of = self._session.hint(exercise)
        print(f"[hint {number} of {of}] {text}")

    def reset(self, name: str = "") -> None:
        """Lays an exercise's start again, or, without a name, takes back all that exercises changed."""
        self._ready()
        try:
            self._session.reset(self._lab, self._exercise(name) if name else None)
        except (LessonError, NoCluster) as problem:
            raise CannotGoOn(str(problem)) from None
        print(f"[reset] {name or self._lab.id}")

    def progress(self) -> None:
        """Shows which exercises of this lab are passed."""
        rows = []
        for exercise, standing in self._session.standings(self._lab):
            word = (
                "passed"
                if standing.passed_version == exercise.version
                else "passed an earlier version"
                if standing.passed_version
                else "open"
            )
            print(f"[{word}] {exercise.id}")
            rows.append((exercise.title, word, standing.tries, standing.hints))
        _show(pictures.table(f"Progress in {self._lab.title}", ("exercise", "state", "checks", "hints"), rows))


def _exit_status(shell: Any, kind: type, problem: subprocess.CalledProcessError, trace: Any, tb_offset: Any = None) -> list[str]:
    """What IPython shows of a `%%bash` cell that failed: one line. What the command said stands above it."""
    return [f"[exit status {problem.returncode}] the last command of this cell failed; its own words stand above"]


def _spare_the_traceback() -> None:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()  # type: ignore[no-untyped-call]
    if shell is not None:
        shell.set_custom_exc((subprocess.CalledProcessError,), _exit_status)


def open_lab(name: str) -> LabNotebook:
    """The lab called `name`, with kubectl in this notebook's cells set to the lab's cluster where one is up."""
    _spare_the_traceback()
    lab = LabNotebook(name)
    try:
        lab._ready()
        print(f"{lab._lab.title}: ready")
    except CannotGoOn as problem:
        print(f"{lab._lab.title}: {problem}")
    return lab
