"""Open questions on a terminal: asked, answered here or in the learner's editor, and kept while somebody types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import typer

from lab_checks.face import tables
from lab_checks.interview import desk
from lab_checks.interview.drafts import Draft
from lab_checks.interview.questions import Question


def say(text: str, indent: str = "", hanging: str | None = None, *, err: bool = False, **style: bool | str) -> None:
    """Text broken at words to the terminal's width; as it is where the output is none."""
    for line in tables.wrapped(" ".join(text.split()), tables.width(err), indent, hanging):
        typer.secho(line, err=err, **style)  # type: ignore[arg-type]


def read_all() -> str:
    """All of standard input, whatever bytes it holds."""
    return sys.stdin.buffer.read().decode(errors="replace").replace("\r\n", "\n")


def read_answers() -> list[str]:
    """The answers on standard input, one after the other, with lines of three dashes between them."""
    return [each.strip("\n") for each in f"\n{read_all()}\n".split("\n---\n")]


@contextmanager
def kept(drafts: Callable[[], list[Draft]], again: str) -> Iterator[None]:
    """Around typing: whatever stops it, what was typed is somewhere, and that is said. Ctrl-C ends with 130."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as problem:
        # A terminal that is gone takes no words.
        with suppress(OSError):
            _tell_kept([draft for draft in drafts() if draft.text], again)
        raise typer.Exit(problem.code if isinstance(problem, SystemExit) and isinstance(problem.code, int) else 130) from None


def _tell_kept(typed: list[Draft], again: str) -> None:
    lost = [draft for draft in typed if draft.problem]
    typer.echo(err=True)
    if lost:
        say(f"Stopped. What you typed could not be kept ({lost[-1].problem}); here it is:", err=True)
        typer.echo("\n\n".join(draft.text for draft in lost), err=True)
    elif typed:
        # A path is never broken: it is to be copied.
        typer.echo(f"Stopped. What you typed is kept in {typed[-1].path}", err=True)
        typer.echo(f"  next: {again} goes on from there", err=True)
    else:
        typer.echo("Stopped. Nothing was typed.", err=True)


def ask(question: Question, draft: Draft) -> str:
    """An answer from the terminal: typed here, or in the learner's editor. What was typed before is where it begins."""
    if draft.text:
        typer.echo(f"Going on with what you typed before, kept in {draft.path}", err=True)
    if desk.editor():
        say(f"Enter opens your editor ({desk.editor()}); save and close it to end the answer.", err=True)
        with suppress(EOFError):
            input()
        try:
            return desk.edit(draft, question.asks)
        except (desk.NoEditor, OSError) as problem:
            say(f"{problem}. Type here instead.", err=True)
    say(desk.HOW, err=True)
    return desk.write(keeping(draft), draft.text)


def keeping(draft: Draft, before: str = "") -> Callable[[str], None]:
    """What keeps each text that is typed, behind `before`."""
    told: list[bool] = []

    def keep(text: str) -> None:
        draft.keep(before + text if text.strip() else before.rstrip("\n") or text)
        if draft.problem and not told:
            told.append(True)
            typer.echo(f"\nWhat you type cannot be kept while you type: {draft.problem}", err=True)

    return keep


def ask_all(asked: Sequence[Question], drafts: list[Draft], again: str) -> list[str]:
    """The answers to several questions from the terminal, those that were given before an earlier stop first. `again` is the command that goes on."""
    answers: list[str] = []
    for number, (question, draft) in enumerate(zip(asked, drafts, strict=True), 1):
        typer.echo(err=True)
        say(f"{number} of {len(asked)}: {question.asks}", err=True, bold=True)
        before = draft.earlier()
        if before is not None and not draft.text:
            say("You have answered this one.", err=True)
            answers.append(before)
            continue
        with kept(lambda: drafts, again):
            answers.append(ask(question, draft))
        draft.hand_in(answers[-1])
    return answers
