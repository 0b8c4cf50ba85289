"""`ai-lab interview`: practise for an interview in a terminal, with no cluster and no network.

ai-lab interview                         the questions
ai-lab interview three-probes            one question, answered in your editor
ai-lab interview three-probes < mine.txt  … or from a file; exit status 0 only when the answer would do
ai-lab interview --mock --seed 7         five questions, and a written report
"""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab_checks.interview import mock, questions, report, rubric
from lab_checks.interview.questions import Question
from lab_checks.interview.rubric import Result

FAILED, USAGE, NOT_YET = 1, 2, 3
_MARK = "# ---- your answer goes above this line ----"


def interview(
    question: Annotated[str, typer.Argument(help="a question's name; without one the questions are listed")] = "",
    as_mock: Annotated[bool, typer.Option("--mock", help="five questions, drawn by --seed, and a written report")] = False,
    seed: Annotated[str, typer.Option(help="of the mock interview: the same seed asks the same questions")] = "",
    model: Annotated[bool, typer.Option("--model", help="show one good answer after your own try")] = False,
    save: Annotated[Path | None, typer.Option("--report", help="where the report of a mock interview is written")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Practise for an interview: answer a question in your words, hear what is missing. Needs no cluster."""
    if as_mock:
        _mock(seed or str(random.randrange(1, 1000)), save, as_json)
    elif question:
        _one(_find(question), model, as_json)
    else:
        _list(as_json)


def _find(name: str) -> Question:
    try:
        return questions.find(name)
    except questions.UnknownQuestion as problem:
        typer.secho(f"✘ {problem}", fg="red", err=True)
        typer.echo("  next: ai-lab interview lists the questions", err=True)
        raise typer.Exit(USAGE) from None


def _list(as_json: bool) -> None:
    if as_json:
        rows = [{"question": each.id, "title": each.title, "area": each.area, "asks": each.asks} for each in questions.load()]
        typer.echo(json.dumps({"questions": rows}, indent=1))
        return
    for area in questions.AREAS:
        typer.secho(area, bold=True)
        for each in questions.load():
            if each.area == area:
                typer.echo(f"  {each.id:22} {each.title}")
    typer.echo("ai-lab interview QUESTION asks one; ai-lab interview --mock asks five.")


def _answer(question: Question) -> str:
    """From standard input, or from the learner's editor where that is a terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.read()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        typer.echo("Write, and end with Ctrl-D on a line of its own (EDITOR names an editor to write in).", err=True)
        return sys.stdin.read()
    with tempfile.TemporaryDirectory(prefix="ai-lab-interview-") as folder:
        page = Path(folder) / "answer.md"
        page.write_text(f"\n\n{_MARK}\n# {question.asks}\n")
        subprocess.run([*shlex.split(editor), str(page)], check=False)
        return page.read_text().partition(_MARK)[0].strip()


def _one(question: Question, model: bool, as_json: bool) -> None:
    live = sys.stdin.isatty()
    if not as_json:
        typer.secho(question.asks, bold=True)
    answer = _answer(question)
    result = rubric.score(question, answer)
    if live and not as_json:
        result = _follow_up(question, answer, result)
    if as_json:
        shown = result.to_json() | ({"model": question.model} if model and result.tried else {})
        typer.echo(json.dumps(shown, indent=1))
    else:
        _tell(result)
        if model and result.tried:
            typer.echo(f"\nOne good answer:\n\n{question.model}")
        elif model:
            typer.echo("  The model answer comes after a try of your own.")
        elif result.tried:
            typer.echo("  --model shows one good answer.")
    raise typer.Exit(NOT_YET if result.empty else 0 if result.passed else FAILED)


def _follow_up(question: Question, answer: str, result: Result) -> Result:
    """The interviewer asks on, one question at a time; an empty line ends it."""
    while not result.empty and not result.copied and result.follow_up:
        typer.echo(f"  {result.headline}.")
        more = typer.prompt(result.follow_up + "\n(empty line: enough)", default="", show_default=False)
        if not more.strip():
            break
        answer = f"{answer}\n\n{more}"
        result = rubric.score(question, answer)
    return result


def _tell(result: Result) -> None:
    word, colour = ("not yet", "yellow") if result.empty else ("passed", "green") if result.passed else ("failed", "red")
    typer.secho(f"[{word}] {result.question.id}: {'no answer' if result.empty else result.headline}", fg=colour)
    if not result.copied and not result.heap:
        for point in result.found:
            typer.echo(f"  named: {point.says}")
    for each in result.flags:
        typer.echo(f'  red flag: "{each.quote}"\n    {each.why}')
    if result.follow_up and not result.empty:
        typer.echo(f"  next: {result.follow_up}")


def _mock(seed: str, save: Path | None, as_json: bool) -> None:
    asked = mock.draw(seed)
    answers: list[str] = []
    if sys.stdin.isatty():
        for number, question in enumerate(asked, 1):
            typer.secho(f"{number} of {len(asked)}: {question.asks}", bold=True, err=True)
            typer.prompt("Enter opens your editor", default="", show_default=False, err=True)
            answers.append(_answer(question))
    else:
        # One answer after the other, parted by lines of three dashes.
        answers = [each.strip() for each in f"\n{sys.stdin.read()}\n".split("\n---\n")]
        if not any(answers):
            for number, question in enumerate(asked, 1):
                typer.echo(f"{number}. {question.asks}", err=True)
    found = mock.judge(seed, answers)
    path = None
    if any(answers):
        path = report.write(found, answers, save)
    if as_json:
        typer.echo(json.dumps(found.to_json() | {"questions": [each.id for each in asked], "report": str(path or "")}, indent=1))
    else:
        for result in found.results:
            _tell(result)
        for area, (named, of) in found.by_area().items():
            typer.echo(f"  {area}: {named} of {of} points")
        if path is not None:
            typer.echo(f"  report: {path}")
    raise typer.Exit(NOT_YET if not any(answers) else 0 if found.passed else FAILED)
