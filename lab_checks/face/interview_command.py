"""`ai-lab interview`: practise for an interview in a terminal, with no cluster and no network.

ai-lab interview                         the questions
ai-lab interview three-probes            one question, answered here or in your editor
ai-lab interview three-probes < mine.txt  … or from a file; exit status 0 only when the answer would do
ai-lab interview --mock --seed 7         five questions, and a written report
ai-lab interview --practical --seed 7    an incident drill as a question, on the lab cluster
ai-lab interview three-probes --second-opinion   … and a model of yours (ai-lab endpoint) is asked what it hears besides
"""

from __future__ import annotations

import json
import random
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab_checks.face import asking, second_opinion, wording
from lab_checks.face.asking import say
from lab_checks.face.terminal import FAILED, NOT_YET, USAGE, die
from lab_checks.interview import desk, drafts, mock, opinion, questions, report, rubric
from lab_checks.interview.drafts import Draft
from lab_checks.interview.questions import Question
from lab_checks.interview.rubric import Result

# The same as the other commands' for a file that cannot be written.
STATE = 6


def interview(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="a question's name; without one the questions are listed")] = "",
    as_mock: Annotated[bool, typer.Option("--mock", help="five questions, drawn by --seed, and a written report")] = False,
    seed: Annotated[str, typer.Option(help="of the mock interview: the same seed asks the same questions")] = "",
    model: Annotated[bool, typer.Option("--model", help="show one good answer after your own try")] = False,
    save: Annotated[Path | None, typer.Option("--report", help="where the report of a mock interview is written")] = None,
    second: Annotated[
        bool,
        typer.Option("--second-opinion", help="ask the model of ai-lab endpoint what it hears besides the rubric; sends your answer there"),
    ] = False,
    show_sent: Annotated[bool, typer.Option("--show-sent", help="print what --second-opinion would send, and send nothing")] = False,
    practical: Annotated[bool, typer.Option("--practical", help="a practical question: an incident drill, on the lab cluster")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Practise for an interview; no cluster is needed.

    Answer a question in your own words, and hear what is missing.

    On a terminal you type, or write in the editor that EDITOR names; Ctrl-D ends an answer. Ctrl-C stops (exit status 130) and keeps what you
    typed: the same command goes on from there. From a file or a pipe, all of it is the answer; with --mock, lines of three dashes part the
    five answers.
    """
    if practical and (question or as_mock):
        raise die("--practical is a question of its own", USAGE, "ai-lab interview --practical")
    if (second or show_sent) and not question:
        raise die("a second opinion is on one answer: name its question", USAGE, "ai-lab interview QUESTION --second-opinion")
    if practical:
        _practical(seed, as_json)
    elif as_mock:
        _mock(seed or str(random.randrange(1, 1000)), save, as_json)
    elif question:
        _one(_find(question), model, as_json, second, show_sent)
    else:
        _list(as_json)


def _find(name: str) -> Question:
    try:
        return questions.find(name)
    except questions.UnknownQuestion as problem:
        raise die(str(problem), USAGE, "ai-lab interview lists the questions") from None


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
    typer.echo("ai-lab interview QUESTION asks one; ai-lab interview --mock asks five; ai-lab interview --practical is an incident.")


def _practical(seed: str, as_json: bool) -> None:
    """An incident drill as a question: what to start, and what the newest report says of it. Exit status 0 only where that drill was passed."""
    import clusters
    from lab_checks.drill.desk import newest
    from lab_checks.drill.generator import generate

    if seed and not (seed.isdecimal() and int(seed)):
        raise die(f'"{seed}" is no seed of a drill', USAGE, "ai-lab interview --practical --seed 7")
    last = newest(clusters.state_folder())
    number = int(seed) if seed else last["seed"] if last and not last["score"]["passed"] else random.randrange(1, 1000)
    drill = generate(number)
    mine = last if last and (last["seed"], last["faults"]) == (drill.seed, drill.faults) else None
    passed = bool(mine and mine["score"]["passed"])
    if as_json:
        typer.echo(json.dumps({"practical": drill.command, "seed": drill.seed, "score": mine["score"] if mine else None}, indent=1))
        raise typer.Exit(0 if passed else NOT_YET)
    say(
        "You are on call, and something is wrong with one of two model services. Find it, restore the service, and tell its users.",
        bold=True,
    )
    say("Say aloud what you look at, and why, as you would to an interviewer. Half an hour is what an interview gives you.", "  ")
    typer.echo(f"  begin: {drill.command}")
    if mine:
        say(f"so far: {mine['score']['total']:g} of {mine['score']['of']} points, {'passed' if passed else 'not passed'}", "  ")
    typer.echo("  the score: ai-lab drill check; what to talk about afterwards: ai-lab drill post-mortem")
    raise typer.Exit(0 if passed else NOT_YET)


def _one(question: Question, model: bool, as_json: bool, second: bool, show_sent: bool) -> None:
    live = sys.stdin.isatty()
    if not as_json:
        say(question.asks, bold=True)
    if live:
        if as_json:
            say(question.asks, err=True, bold=True)
        draft = drafts.of_question(question.id)
        with asking.kept(lambda: [draft], f"ai-lab interview {question.id}"):
            answer = asking.ask(question, draft)
            result = rubric.score(question, answer)
            if not as_json:
                answer, result = _follow_up(question, answer, result, draft)
        if answer.strip():
            draft.hand_in(answer)
    else:
        answer = asking.read_all()
        result = rubric.score(question, answer)
    if show_sent:
        typer.echo(second_opinion.sent(question, answer))
        return
    if second and (heard := second_opinion.asked(question, answer, lambda line: say(line, "", "    ", err=as_json))):
        result = opinion.counted(result, heard)
    if as_json:
        shown = result.to_json() | ({"model": question.model} if model and result.tried else {})
        typer.echo(json.dumps(shown, indent=1))
    else:
        _tell(result)
        if model and result.tried:
            say("One good answer:")
            for part in question.model.split("\n\n"):
                typer.echo()
                say(part)
        elif model:
            say("The model answer comes after a try of your own.", "  ")
        elif result.tried:
            say("--model shows one good answer.", "  ")
        if live and answer.strip():
            typer.echo(f"  your answer: {draft.path if draft.problem else draft.handed_in}")
    raise typer.Exit(NOT_YET if result.empty else 0 if result.passed else FAILED)


def _follow_up(question: Question, answer: str, result: Result, draft: Draft) -> tuple[str, Result]:
    """The interviewer asks on, one question at a time; an empty answer ends it."""
    while not result.empty and not result.copied and result.follow_up:
        say(f"{result.headline}.", "  ", err=True)
        say(result.follow_up, err=True, bold=True)
        say("Add to your answer; Ctrl-D ends it. Ctrl-D alone: that is all.", err=True)
        before = f"{answer}\n\n"
        more = desk.write(asking.keeping(draft, before))
        if not more.strip():
            break
        answer = before + more
        result = rubric.score(question, answer)
    return answer, result


def _tell(result: Result) -> None:
    word = "not yet" if result.empty else "passed" if result.passed else "failed"
    say(f"[{word}] {result.question.id}: {'no answer' if result.empty else result.headline}", "", "  ", fg=wording.LOOKS[word].in_terminal)
    if not result.copied and not result.heap:
        for point in result.found:
            say(f"named{', by the second opinion' if point in result.lifted else ''}: {point.says}", "  ", "    ")
    for each in result.flags:
        say(f'red flag: "{each.quote}"', "  ", "    ")
        say(each.why, "    ")
    if result.follow_up and not result.empty:
        say(f"next: {result.follow_up}", "  ", "    ")


def _mock_typed(asked: tuple[Question, ...], seed: str, kept: list[Draft]) -> list[str]:
    """The five answers from the terminal, those that were given before an earlier stop first."""
    again = f"ai-lab interview --mock --seed {shlex.quote(seed)}"
    others = [each for each in drafts.unfinished_mocks() if each != seed]
    if others and not any(draft.text or draft.earlier() is not None for draft in kept):
        say(f"An earlier interview is not finished: ai-lab interview --mock --seed {shlex.quote(others[-1])} goes on with it.", err=True)
    say(f"A mock interview of {len(asked)} questions, seed {seed}. Stopped with Ctrl-C, it goes on with: {again}", err=True)
    return asking.ask_all(asked, kept, again)


def _mock(seed: str, save: Path | None, as_json: bool) -> None:
    asked = mock.draw(seed)
    live = sys.stdin.isatty()
    kept = drafts.of_mock(seed, [each.id for each in asked]) if live else []
    if live:
        answers = _mock_typed(asked, seed, kept)
    else:
        answers = asking.read_answers()
        if not any(each.strip() for each in answers):
            for number, question in enumerate(asked, 1):
                typer.echo(f"{number}. {question.asks}", err=True)
    answered = any(each.strip() for each in answers)
    found = mock.judge(seed, answers)
    path = None
    if answered:
        try:
            path = report.write(found, answers, save)
        except OSError as problem:
            where = save or report.folder() / report.NAME
            typer.secho(f"✘ the report cannot be written to {where}: {problem.strerror}", fg="red", err=True)
            if live:
                typer.echo(f"  next: make room, then ai-lab interview --mock --seed {shlex.quote(seed)}: your answers are kept", err=True)
    if path is not None or not answered:
        # The report holds the answers, word for word.
        for draft in kept:
            draft.forget()
    if as_json:
        typer.echo(json.dumps(found.to_json() | {"questions": [each.id for each in asked], "report": str(path or "")}, indent=1))
    else:
        for result in found.results:
            _tell(result)
        for area, (named, of) in found.by_area().items():
            typer.echo(f"  {area}: {named} of {of} points")
        if path is not None:
            typer.echo(f"  report: {path}")
    if answered and path is None:
        raise typer.Exit(STATE)
    raise typer.Exit(NOT_YET if not answered else 0 if found.passed else FAILED)
