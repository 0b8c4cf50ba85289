"""The debrief under a passed verdict, and again on request: Markdown in a notebook, the same text on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lab_checks.face.terminal import NOT_YET, USAGE, die, echo, open_session

if TYPE_CHECKING:
    from lab_checks.engine.course import Exercise, Lab
    from lab_checks.engine.progress import Progress


def told(progress: Progress, lab: Lab, exercise: Exercise | None) -> tuple[str, str]:
    """(what is open of an exercise's debrief, as Markdown; a line on what is not); without an exercise, of the lab's summary.

    Either may be empty. Raises StoreError where the learner's progress cannot be read.
    """
    from lab_checks.engine import debrief

    if exercise is None:
        text, closed = debrief.summary(lab, debrief.passed(progress, lab))
        return (
            text,
            f"[not yet] summary: {closed} more line{'s open, each' if closed > 1 else ' opens'} when its exercise is passed"
            if closed
            else "",
        )
    whole, now = debrief.of(exercise), debrief.opened(progress, exercise)
    text = now.text
    if now == whole:
        return text, "" if text else f"[note] {exercise.id}: there is no debrief"
    opener = f'lab.check("{exercise.id}") passes' if now.diagnosed == whole.diagnosed else "your diagnosis is accepted"
    return text, f"[not yet] {exercise.id}: the {'rest of the ' if text else ''}debrief opens when {opener}"


def render(markdown: str) -> None:
    """Shows Markdown below the cell; its plain form, for screen readers and for notebooks that a program runs, is the Markdown itself."""
    from IPython.display import display

    if markdown:
        display({"text/markdown": markdown, "text/plain": markdown}, raw=True)  # type: ignore[no-untyped-call]


def after_diagnosis(exercise: Exercise) -> None:
    """Shows, in a notebook, what an accepted diagnosis opens."""
    from lab_checks.engine import debrief

    render(debrief.of(exercise).diagnosed)


def after_pass(exercise: Exercise) -> None:
    """Shows, in a notebook, what a passed check opens."""
    from lab_checks.engine import debrief

    render(debrief.of(exercise).passed)


def is_open(progress: Progress, exercise: Exercise, *, diagnosed: bool = False) -> bool:
    """Whether the exercise was passed at any time or, with `diagnosed`, its diagnosis accepted; says what opens it where not. Raises StoreError."""
    from lab_checks.engine import debrief

    if debrief.is_passed(progress, exercise) or (diagnosed and debrief.is_diagnosed(progress, exercise)):
        return True
    opener = "your diagnosis is accepted" if diagnosed else f'lab.check("{exercise.id}") passes'
    print(f"[not yet] {exercise.id}: this opens when {opener}")
    return False


def in_notebook(progress: Progress, lab: Lab, exercise: Exercise | None) -> None:
    """Shows what is open, and says what is not. Raises StoreError."""
    text, closed = told(progress, lab, exercise)
    render(text)
    if closed:
        print(closed)


def command(target: Annotated[str, typer.Argument(metavar="LAB|LAB/EXERCISE", help="LAB/EXERCISE; a lab alone for its summary")]) -> None:
    """Show again what a pass opened of the story.

    Without an exercise: the lab's summary, as far as its exercises are passed. Exit status 3 where it is not open yet.
    """
    from lab_checks.engine import course
    from lab_checks.face import wording

    try:
        lab, exercise = course.load().find(target)
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs and their exercises") from None
    text, closed = told(open_session().progress, lab, exercise)
    if text and sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(wording.in_terminal(text, lab.id)))
    elif text:
        echo(wording.in_terminal(text, lab.id))
    if closed:
        echo(wording.in_terminal(closed, lab.id), err=bool(text))
    raise typer.Exit(0 if text else NOT_YET)


def mention(exercise: Exercise, *, diagnosed: bool = False) -> None:
    """After a verdict on a terminal that opens something: the command that shows it."""
    from lab_checks.engine import debrief

    whole = debrief.of(exercise)
    if whole.diagnosed if diagnosed else whole.passed:
        echo(f"  debrief: ai-lab debrief {exercise.key}")
