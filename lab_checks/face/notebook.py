"""The notebook's face: `lab = open_lab("03-pending")`, then `lab.start`, `lab.check`, `lab.hint`, `lab.diagnose`, `lab.answer`, `lab.reset`,
`lab.debrief`, `lab.progress`, `lab.learner`; `lab.query` and `lab.plot` ask the cluster's monitoring; `lab.cluster` is the live picture of the cluster.

What is shown is one output in two forms: HTML for a page, and the plain text that a terminal shows, for programs that read notebooks. What a check
waits for stands where its verdict comes. A cell's output is whole when the cell ends: nothing is updated, cleared or written from a thread afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

from clusters import ClusterError
from lab_checks.classroom import membership
from lab_checks.engine import course, learner
from lab_checks.engine.api import Api, environment, search_path
from lab_checks.engine.course import Exercise, UnknownName
from lab_checks.engine.metrics import Metrics
from lab_checks.engine.session import Session, when
from lab_checks.engine.verdict import Verdict
from lab_checks.face import cells, debriefs, measured, pictures, wording
from lab_checks.face.assistant import Assistant


class CannotGoOn(Exception):
    """What a learner has to do first. IPython shows its message and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def _show(text: str, html: str) -> None:
    _Place().show(text, html)


class _Place:
    """One output of a cell: what is shown later takes the place of what was shown before."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, html: str) -> None:
        from IPython.display import display

        forms = {"text/plain": text, "text/html": html}
        if self._handle is None:
            self._handle = display(forms, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(forms, raw=True)

    def wait(self, line: str) -> None:
        self.show(f"… {line}", f"<div role='status' style='border-left:6px solid {pictures.GREY};padding:6px 12px'>… {escape(line)}</div>")


def verdict_card(verdict: Verdict) -> str:
    """The verdict as HTML: outcome in word, sign and colour; what was seen; what was expected; where to look next.

    The colour is the bar's: as letters, orange and green on white stay below the contrast of 4.5 to 1 (WCAG 2.2, 1.4.3).
    """
    look = wording.LOOKS[verdict.mark]
    parts = [
        f"<div role='status' style='border-left:6px solid {look.in_notebook};padding:6px 12px;margin:4px 0;line-height:1.45'>",
        f"<div><b>{look.sign} {verdict.mark}</b> · <b>{escape(verdict.exercise)}</b>: {escape(verdict.headline)}</div>",
    ]
    if verdict.seen:
        rows = "".join(
            f"<li><code>{escape(each.object)}</code>{escape(f' {each.field}' if each.field else '')}: "
            f"<code style='white-space:pre-wrap'>{escape(each.value)}</code></li>"
            for each in verdict.seen
        )
        parts.append(f"<div>Seen:</div><ul style='margin:0 0 4px 0'>{rows}</ul>")
    if verdict.expected:
        parts.append(f"<div>Expected: {escape(verdict.expected)}</div>")
    if 0 < verdict.credit < 1:
        parts.append(f"<div>So far: {verdict.credit:.0%} of this exercise</div>")
    if verdict.next:
        parts.append(f"<div>Next: <code style='white-space:pre-wrap'>{escape(verdict.next)}</code></div>")
    if verdict.notice:
        parts.append(f"<div>Note: {escape(verdict.notice)}</div>")
    return "".join(parts) + "</div>"


def _ask(question: str) -> bool:
    """Asks below the cell; where nobody can answer, as in a notebook that a program runs, the answer is no."""
    try:
        return input(f"{question} [yes/no] ").strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError):
        # ipykernel's StdinNotImplementedError is a RuntimeError.
        return False


class LabNotebook:
    """One lab in one notebook. Every method finds its own state on the cluster, so cells may be run in any order, twice, or next week."""

    def __init__(self, name: str):
        try:
            self._lab = course.load().lab(name)
        except UnknownName as problem:
            raise CannotGoOn(str(problem)) from None
        self._session = Session(say=lambda line: print(f"… {line}", flush=True), ask=_ask, wrote=membership.nudge)
        self.assistant = Assistant(self._session, self._lab)

    @property
    def api(self) -> Api:
        """The learner's cluster, for tables and pictures that are drawn from it."""
        with self._in_words():
            self._ready()
            return self._session.api

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Around every call: what a learner can do something about ends the cell in a sentence."""
        try:
            yield
        except Exception as problem:
            said = cells.in_words(problem, self._session)
            if said is None:
                raise
            raise CannotGoOn(self._words(said)) from None

    def _words(self, text: str) -> str:
        return wording.in_notebook(text, self._lab.id)

    def _exercise(self, name: str) -> Exercise:
        try:
            return self._lab.exercise(name)
        except UnknownName as problem:
            raise CannotGoOn(str(problem)) from None

    def _ready(self, exercise: Exercise | None = None) -> None:
        """Sets kubectl in this notebook's cells to the lab's cluster. Raises NoCluster where none was started yet."""
        if (exercise or self._lab).cluster:
            os.environ.update(environment(self._session.cluster.kubeconfig))

    def _tell_missing_cluster(self, exercise: Exercise) -> None:
        """What needs no cluster is done without one, and says so."""
        missing = self._session.cluster_missing(exercise)
        if missing is not None:
            print(f"[note] {missing.what} Before the next check, in a terminal: {missing.next}")

    def start(self, name: str) -> None:
        """Creates the broken start of an exercise; what an earlier exercise left behind goes away."""
        exercise = self._exercise(name)
        with self._in_words():
            self._ready(exercise)
            self._session.start(exercise)
        goal = self._words(exercise.goal)
        _show(
            f"[started] {exercise.id}: {exercise.title}\n{goal}",
            f"<div style='border-left:6px solid {pictures.BLUE};padding:6px 12px'><b>started</b> · "
            f"<b>{escape(exercise.id)}</b>: {escape(exercise.title)}<br>{escape(goal)}</div>",
        )

    def check(self, name: str, patience: float | None = None) -> None:
        """Says what the check sees on the cluster now; waits up to `patience` seconds for one that is still moving.

        An exercise that was passed stays passed when the next one is started.
        """
        exercise = self._exercise(name)
        with self._in_words():
            self._ready(exercise)
            place = _Place()
            found = self._session.check(exercise, patience, waiting=place.wait)
        self._tell(found, place)
        if found.passed:
            debriefs.after_pass(exercise)

    def diagnose(self, name: str, *, cause: str, evidence: str | list[str]) -> None:
        """Hands in a diagnosis: a cause out of `lab.causes(name)`, and the line or lines from the cluster that show it."""
        exercise = self._exercise(name)
        with self._in_words():
            self._ready(exercise)
            found = self._session.diagnose(exercise, cause, evidence)
        self._tell(found)
        if found.passed:
            debriefs.after_diagnosis(exercise)

    def _tell(self, found: Verdict, place: _Place | None = None) -> None:
        shown = wording.verdict_in(wording.in_notebook, found, self._lab.id)
        (place or _Place()).show("\n".join(shown.lines()), verdict_card(shown))

    def causes(self, name: str) -> None:
        """Prints the causes that a diagnosis chooses from."""
        for each in self._exercise(name).causes:
            print(each)

    def answer(self, name: str, **values: Any) -> None:
        """Hands in answers to an exercise's questions; the check holds them against the cluster."""
        exercise = self._exercise(name)
        with self._in_words():
            if not self._session.answer(exercise, **values):
                raise CannotGoOn(f'{exercise.id} has not been started: run lab.start("{exercise.id}") first')
        print(f"[noted] {exercise.id}: {', '.join(values)}")
        for blank, why in self._session.unreadable(exercise, values).items():
            print(f"  {blank} cannot be read as it is: {why}")
        self._tell_missing_cluster(exercise)

    def hint(self, name: str) -> None:
        """Shows the next hint: a question first, the command last."""
        exercise = self._exercise(name)
        with self._in_words():
            text, number, of = self._session.hint(exercise)
        print(f"[hint {number} of {of}] {self._words(text)}")
        self._tell_missing_cluster(exercise)

    def reset(self, name: str = "") -> None:
        """Creates an exercise's start again, or, without a name, takes back all that exercises changed."""
        exercise = self._exercise(name) if name else None
        with self._in_words():
            self._ready(exercise)
            self._session.reset(self._lab, exercise)
        print(f"[reset] {name or self._lab.id}")

    def debrief(self, name: str = "") -> None:
        """Shows again what a pass opened of an exercise's story; without a name, the lab's summary, as far as its exercises are passed."""
        exercise = self._exercise(name) if name else None
        with self._in_words():
            debriefs.in_notebook(self._session.progress, self._lab, exercise)

    def after(self, name: str, show: Callable[[Api], None]) -> None:
        """Calls `show` with the cluster's API once an exercise is passed: for a picture that would give it away."""
        exercise = self._exercise(name)
        with self._in_words():
            if debriefs.is_open(self._session.progress, exercise):
                show(self.api)

    def after_diagnosis(self, name: str, show: Callable[[Api], None]) -> None:
        """The same for a picture that a diagnosis opens already."""
        exercise = self._exercise(name)
        with self._in_words():
            if debriefs.is_open(self._session.progress, exercise, diagnosed=True):
                show(self.api)

    def progress(self) -> None:
        """Shows which exercises of this lab are passed, and since when."""
        lines, rows = [], []
        with self._in_words():
            standings = self._session.standings(self._lab)
        for exercise, standing in standings:
            word = wording.state(exercise, standing)
            lines.append(f"[{word}] {exercise.id}")
            since = f"{word} {when(standing.passed_at)}" if word == "passed" else word
            rows.append((exercise.id, f"{wording.sign(word)} {since}", standing.tries, standing.hints, exercise.title))
        caption = f"Progress in {self._lab.title}"
        _show("\n".join(lines), pictures.table(caption, ("exercise", "state", "checks", "hints", "title"), rows))

    def query(self, promql: str, at: float | None = None) -> measured.Answer:
        """What monitoring says to a PromQL query now, or `at` seconds since 1970: shown as a table, and the samples of a cell that goes on with them."""
        with self._in_words():
            return measured.query(Metrics(self.api), promql, at)

    def plot(
        self,
        promql: str | Mapping[str, str],
        minutes: float = 5,
        title: str = "",
        unit: str = "",
        end: float | None = None,
        step: float | None = None,
    ) -> measured.Plot:
        """Draws a query, or several by their names, over the last `minutes` (or those before `end`, seconds since 1970), a point every `step` seconds."""
        with self._in_words():
            return measured.plot(Metrics(self.api), promql, minutes, title, unit, end, step)

    def cluster(self, height: int = 560) -> Any:
        """The cluster's live picture: nodes and GPUs, Pods, Services, Events; the value of a cell, `height` pixels high."""
        from lab_checks.face.live.widget import ClusterPicture

        return ClusterPicture(self._session, height)

    def learner(self, name: str | None = None) -> None:
        """Shows the name under which your instructor finds you in reports; `lab.learner("Your Name")` sets it, "" takes the account's."""
        if name is not None:
            with self._in_words():
                try:
                    learner.remember(self._session.state, name)
                except learner.BadName as problem:
                    raise CannotGoOn(str(problem)) from None
        print(f"[learner] {learner.name(self._session.state)}")


def open_lab(name: str) -> LabNotebook:
    """The lab called `name`, with kubectl in this notebook's cells set to the lab's cluster where one is up."""
    # Without a cluster too: what a cell is told to do about it is an ai-lab command.
    os.environ["PATH"] = search_path()
    lab = LabNotebook(name)
    cells.watch(lab._session, lab._words)
    try:
        lab._ready()
        if lab._lab.cluster:
            _ = lab._session.api
        print(f"{lab._lab.title}: ready")
    except ClusterError as problem:
        print(f"{lab._lab.title}: {cells.in_words(problem, lab._session)}")
    return lab
