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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from lab_checks.face import second_opinion, tables, wording
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
    _say(
        "You are on call, and something is wrong with one of two model services. Find it, restore the service, and tell its users.",
        bold=True,
    )
    _say("Say aloud what you look at, and why, as you would to an interviewer. Half an hour is what an interview gives you.", "  ")
    typer.echo(f"  begin: {drill.command}")
    if mine:
        _say(f"so far: {mine['score']['total']:g} of {mine['score']['of']} points, {'passed' if passed else 'not passed'}", "  ")
    typer.echo("  the score: ai-lab drill check; what to talk about afterwards: ai-lab drill post-mortem")
    raise typer.Exit(0 if passed else NOT_YET)


def _say(text: str, indent: str = "", hanging: str | None = None, *, err: bool = False, **style: bool | str) -> None:
    """Text broken at words to the terminal's width; as it is where the output is none."""
    for line in tables.wrapped(" ".join(text.split()), tables.width(err), indent, hanging):
        typer.secho(line, err=err, **style)  # type: ignore[arg-type]


def _read_all() -> str:
    """All of standard input, whatever bytes it holds."""
    return sys.stdin.buffer.read().decode(errors="replace").replace("\r\n", "\n")


@contextmanager
def _kept(kept: Callable[[], list[Draft]], again: str) -> Iterator[None]:
    """Around typing: whatever stops it, what was typed is somewhere, and that is said. Ctrl-C ends with 130."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as problem:
        # A terminal that is gone takes no words.
        with suppress(OSError):
            _tell_kept([draft for draft in kept() if draft.text], again)
        raise typer.Exit(problem.code if isinstance(problem, SystemExit) and isinstance(problem.code, int) else 130) from None


def _tell_kept(typed: list[Draft], again: str) -> None:
    lost = [draft for draft in typed if draft.problem]
    typer.echo(err=True)
    if lost:
        _say(f"Stopped. What you typed could not be kept ({lost[-1].problem}); here it is:", err=True)
        typer.echo("\n\n".join(draft.text for draft in lost), err=True)
    elif typed:
        # A path is never broken: it is to be copied.
        typer.echo(f"Stopped. What you typed is kept in {typed[-1].path}", err=True)
        typer.echo(f"  next: {again} goes on from there", err=True)
    else:
        typer.echo("Stopped. Nothing was typed.", err=True)


def _ask(question: Question, draft: Draft) -> str:
    """An answer from the terminal: typed here, or in the learner's editor. What was typed before is where it begins."""
    if draft.text:
        typer.echo(f"Going on with what you typed before, kept in {draft.path}", err=True)
    if desk.editor():
        _say(f"Enter opens your editor ({desk.editor()}); save and close it to end the answer.", err=True)
        with suppress(EOFError):
            input()
        try:
            return desk.edit(draft, question.asks)
        except (desk.NoEditor, OSError) as problem:
            _say(f"{problem}. Type here instead.", err=True)
    _say(desk.HOW, err=True)
    return desk.write(_keeping(draft), draft.text)


def _keeping(draft: Draft, before: str = "") -> Callable[[str], None]:
    told: list[bool] = []

    def keep(text: str) -> None:
        draft.keep(before + text if text.strip() else before.rstrip("\n") or text)
        if draft.problem and not told:
            told.append(True)
            typer.echo(f"\nWhat you type cannot be kept while you type: {draft.problem}", err=True)

    return keep


def _one(question: Question, model: bool, as_json: bool, second: bool, show_sent: bool) -> None:
    live = sys.stdin.isatty()
    if not as_json:
        _say(question.asks, bold=True)
    if live:
        if as_json:
            _say(question.asks, err=True, bold=True)
        draft = drafts.of_question(question.id)
        with _kept(lambda: [draft], f"ai-lab interview {question.id}"):
            answer = _ask(question, draft)
            result = rubric.score(question, answer)
            if not as_json:
                answer, result = _follow_up(question, answer, result, draft)
        if answer.strip():
            draft.hand_in(answer)
    else:
        answer = _read_all()
        result = rubric.score(question, answer)
    if show_sent:
        typer.echo(second_opinion.sent(question, answer))
        return
    if second and (heard := second_opinion.asked(question, answer, lambda line: _say(line, "", "    ", err=as_json))):
        result = opinion.counted(result, heard)
    if as_json:
        shown = result.to_json() | ({"model": question.model} if model and result.tried else {})
        typer.echo(json.dumps(shown, indent=1))
    else:
        _tell(result)
        if model and result.tried:
            _say("One good answer:")
            for part in question.model.split("\n\n"):
                typer.echo()
                _say(part)
        elif model:
            _say("The model answer comes after a try of your own.", "  ")
        elif result.tried:
            _say("--model shows one good answer.", "  ")
        if live and answer.strip():
            typer.echo(f"  your answer: {draft.path if draft.problem else draft.handed_in}")
    raise typer.Exit(NOT_YET if result.empty else 0 if result.passed else FAILED)


def _follow_up(question: Question, answer: str, result: Result, draft: Draft) -> tuple[str, Result]:
    """The interviewer asks on, one question at a time; an empty answer ends it."""
    while not result.empty and not result.copied and result.follow_up:
        _say(f"{result.headline}.", "  ", err=True)
        _say(result.follow_up, err=True, bold=True)
        _say("Add to your answer; Ctrl-D ends it. Ctrl-D alone: that is all.", err=True)
        before = f"{answer}\n\n"
        more = desk.write(_keeping(draft, before))
        if not more.strip():
            break
        answer = before + more
        result = rubric.score(question, answer)
    return answer, result


def _tell(result: Result) -> None:
    word = "not yet" if result.empty else "passed" if result.passed else "failed"
    _say(f"[{word}] {result.question.id}: {'no answer' if result.empty else result.headline}", "", "  ", fg=wording.LOOKS[word].in_terminal)
    if not result.copied and not result.heap:
        for point in result.found:
            _say(f"named{', by the second opinion' if point in result.lifted else ''}: {point.says}", "  ", "    ")
    for each in result.flags:
        _say(f'red flag: "{each.quote}"', "  ", "    ")
        _say(each.why, "    ")
    if result.follow_up and not result.empty:
        _say(f"next: {result.follow_up}", "  ", "    ")


def _mock_typed(asked: tuple[Question, ...], seed: str, kept: list[Draft]) -> list[str]:
    """The five answers from the terminal, those that were given before an earlier stop first."""
    answers: list[str] = []
    again = f"ai-lab interview --mock --seed {shlex.quote(seed)}"
    others = [each for each in drafts.unfinished_mocks() if each != seed]
    if others and not any(draft.text or draft.earlier() is not None for draft in kept):
        _say(f"An earlier interview is not finished: ai-lab interview --mock --seed {shlex.quote(others[-1])} goes on with it.", err=True)
    _say(f"A mock interview of {len(asked)} questions, seed {seed}. Stopped with Ctrl-C, it goes on with: {again}", err=True)
    for number, (question, draft) in enumerate(zip(asked, kept, strict=True), 1):
        typer.echo(err=True)
        _say(f"{number} of {len(asked)}: {question.asks}", err=True, bold=True)
        before = draft.earlier()
        if before is not None and not draft.text:
            _say("You have answered this one.", err=True)
            answers.append(before)
            continue
        with _kept(lambda: kept, again):
            answers.append(_ask(question, draft))
        draft.hand_in(answers[-1])
    return answers


def _mock(seed: str, save: Path | None, as_json: bool) -> None:
    asked = mock.draw(seed)
    live = sys.stdin.isatty()
    kept = drafts.of_mock(seed, [each.id for each in asked]) if live else []
    if live:
        answers = _mock_typed(asked, seed, kept)
    else:
        # One answer after the other, parted by lines of three dashes.
        answers = [each.strip("\n") for each in f"\n{_read_all()}\n".split("\n---\n")]
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
