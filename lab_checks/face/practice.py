"""The interviewer in a notebook: `practice = Practice(lab)`, then `practice.ask`, `practice.model`, `practice.mock`, `practice.report`.

`practice.second_opinion` asks a model, where the learner has configured one.

Answers go through `lab.answer` and `lab.check` as everywhere. The model answer is shown after an own try.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lab_checks.face import second_opinion
from lab_checks.interview import mock, questions, report, rubric
from lab_checks.interview.questions import Question

if TYPE_CHECKING:
    from lab_checks.face.notebook import LabNotebook


class Practice:
    """Asks the questions of the interview lab."""

    def __init__(self, lab: LabNotebook):
        self._lab = lab._lab
        self._progress = lab._session.progress

    def ask(self, name: str = "") -> None:
        """Asks a question; without a name, lists them all."""
        if not name:
            for each in questions.load():
                print(f"{each.id:22} {each.title} ({each.area})")
            return
        question = _find(name)
        print(f"[question] {question.id}: {question.asks}")

    def model(self, name: str) -> None:
        """Shows one good answer to a question that was tried before."""
        question = _find(name)
        if not any(rubric.score(question, each).tried for each in self._answers_to(question)):
            print(f"[not yet] {question.id}: try it in your own words first; then compare")
            return
        print(f"[model answer] {question.id}")
        _show("".join(f"<p>{escape(part)}</p>" for part in question.model.split("\n\n")))

    def second_opinion(self, name: str, send: bool = True) -> None:
        """Asks the model that you configured what it hears in your last answer besides the rubric; the next check counts it.

        With `send=False` it prints what would be sent, and sends nothing.
        """
        question = _find(name)
        answers = [each for each in self._answers_to(question) if each.strip()]
        if not answers:
            print(f"[not yet] {question.id}: answer it first, with lab.answer")
        elif send:
            second_opinion.asked(question, answers[-1], print)
        else:
            print(second_opinion.sent(question, answers[-1]))

    def _answers_to(self, question: Question) -> list[str]:
        found = []
        for exercise in self._lab.exercises:
            attempt = self._progress.attempt(exercise.key)
            given = attempt.answers if attempt else {}
            if exercise.id == "the-question" and question.id == "the-question":
                found.append(given.get("answer"))
            elif "seed" in given:
                found += [given.get(name) for name, each in zip(mock.NUMBERS, mock.draw(given["seed"]), strict=True) if each == question]
            else:
                found.append(given.get(question.key))
        return [each for each in found if isinstance(each, str)]

    def mock(self, seed: int | str) -> None:
        """Asks the five questions of that seed."""
        for name, question in zip(mock.NUMBERS, mock.draw(seed), strict=True):
            print(f"[{name}] {question.asks}")

    def report(self) -> None:
        """Writes the report on the mock interview that was handed in last, and shows it."""
        exercise = self._lab.exercise("mock-interview")
        attempt = self._progress.attempt(exercise.key)
        given = attempt.answers if attempt else {}
        answers = [str(given.get(name, "")).strip() for name in mock.NUMBERS]
        if "seed" not in given or not any(answers):
            print("[not yet] mock-interview: there is nothing to report on; hand in your answers first")
            return
        interview = mock.judge(given["seed"], answers)
        path = report.write(interview, answers)
        print(f"[report] {path.name}: {sum(each.passed for each in interview.results)} of {len(interview.results)} answers would do")
        from IPython.display import Markdown, display

        display(Markdown(report.markdown(interview, answers)))  # type: ignore[no-untyped-call]


def _find(name: str) -> Question:
    from lab_checks.face.notebook import CannotGoOn

    try:
        return questions.find(name)
    except questions.UnknownQuestion as problem:
        raise CannotGoOn(str(problem)) from None


def _show(html: str) -> None:
    from IPython.display import HTML, display

    display(HTML(f"<div style='border-left:6px solid #888;padding:2px 12px;line-height:1.45'>{html}</div>"))  # type: ignore[no-untyped-call]
