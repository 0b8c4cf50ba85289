"""`ai-lab teach`: what an instructor needs beside the labs. No cluster is needed, and no network.

ai-lab teach slides 03-pending               pages of the lab's text, and notes for the instructor
ai-lab teach timetable --days 2              a timetable for half a day, one day or two days
ai-lab teach test pre                        ten questions before the class …
ai-lab teach test post                       … and ten others on the same themes after it
ai-lab teach test compare --json             both side by side, for the instructor
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import clusters
from lab_checks import whole_file
from lab_checks.engine import course, learner
from lab_checks.face import asking, tables, wording
from lab_checks.face.asking import say
from lab_checks.face.terminal import FAILED, NOT_YET, USAGE, JsonOption, die, echo, tilde
from lab_checks.interview import drafts, report
from lab_checks.teaching import knowledge_test, slides, timetable

app = typer.Typer(no_args_is_help=True, help="For instructors: slides, timetables, a test before and after.", rich_markup_mode=None)


@app.command("slides")
def make_slides(
    labs: Annotated[list[str] | None, typer.Argument(metavar="[LAB]...", help="labs; all of them where none is named")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="where they are written; left out: the folder `teach` here")] = None,
) -> None:
    """Make slides of labs, and notes for the instructor.

    DIR/slides is for the class: the notebooks' text without solutions and debriefs. DIR/instructor is for you: the debriefs give answers away.
    """
    told = course.load()
    try:
        wanted = [told.lab(each) for each in labs] if labs else list(told.labs)
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs") from None
    folder = out or report.folder() / "teach"
    pages: dict[Path, str] = {}
    for lab in wanted:
        made = slides.of(lab)
        pages[folder / "slides" / f"{lab.id}.html"] = slides.page(lab, made, told.title)
        pages[folder / "instructor" / f"{lab.id}.html"] = slides.notes(lab, made, told.title)
        echo(f"{lab.id}: {len(made)} slides")
    for name, what in (("slides", "For the class."), ("instructor", "For the instructor only: the notes give answers away.")):
        # Pages of an earlier call are listed as well.
        there = {path.name for path in (folder / name).glob("*.html")} | {path.name for path in pages if path.parent.name == name}
        rows = [(f"{lab.id}.html", f"{lab.id}: {lab.title}") for lab in told.labs if f"{lab.id}.html" in there]
        pages[folder / name / "index.html"] = slides.index(f"{told.title}: {name}", what, rows)
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, text, 0o600 if path.parent.name == "instructor" else 0o644)
    echo(f"  for the class: {tilde(folder / 'slides' / 'index.html')}")
    echo(f"  for you, with answers: {tilde(folder / 'instructor' / 'index.html')}")


@app.command("timetable")
def show_timetable(
    days: Annotated[str, typer.Option(metavar="half|1|2", help="how long the class is")],
    begins: Annotated[str, typer.Option("--from", metavar="HH:MM", help="when each day begins; left out: 09:00")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show a timetable for half a day, one day or two days."""
    if days not in timetable.PLANS:
        raise die(f'there is no timetable for "{days}" days', USAGE, f"--days with one of: {', '.join(timetable.PLANS)}")
    try:
        found = timetable.load(course.load(), days, begins)
    except timetable.Unworkable as problem:
        raise die(str(problem), USAGE, f"ai-lab teach timetable --days {days} --from 08:30") from None
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
        return
    typer.secho(found.title, bold=True)
    for number, day in enumerate(found.days, 1):
        if len(found.days) > 1:
            typer.secho(f"Day {number}", bold=True)
        rows = [(f"{timetable.clock(row.begins)}-{timetable.clock(row.ends)}", str(row.minutes), row.what) for row in day]
        for line in tables.table(("when", "min", "what"), rows, tables.width(), keep=2):
            typer.echo(line)
    sums = ", ".join(f"{minutes} min {_KINDS[kind]}" for kind, minutes in found.minutes.items())
    typer.echo(f"{sum(found.minutes.values())} minutes: {sums}")


_KINDS = {timetable.LAB: "labs", timetable.TEST: "tests", timetable.BREAK: "breaks", timetable.TALK: "talk"}
_COMPARE = "compare"


@app.command("test")
def take_test(
    which: Annotated[str, typer.Argument(metavar="pre|post|compare", help="the test before, the test after, or both side by side")],
    seed: Annotated[
        str, typer.Option(metavar="SEED", help="the same seed asks the same questions; left out: 1, and after the test before its own")
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="take a test again that was taken; its earlier result is replaced")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a test of ten open questions before or after the class.

    Both are on the same themes, and no question is in both. The interview's rubric scores them, without a network. On a terminal you type, and
    Ctrl-C keeps what you typed. From a file or a pipe, lines of three dashes part the ten answers.

    compare shows both; --json prints what an instructor gets, without the answers.
    """
    state = clusters.state_folder()
    if which not in (*knowledge_test.WHICH, _COMPARE):
        raise die(f'there is no test "{which}"', USAGE, "ai-lab teach test with one of: pre, post, compare")
    pre, post = (
        knowledge_test.kept(state, each) if which == _COMPARE or each != which or not again else None for each in knowledge_test.WHICH
    )
    if which == _COMPARE:
        _compare(state, pre, post, as_json)
        return
    taken = pre if which == knowledge_test.PRE else post
    if taken is not None:
        if seed and seed != taken["seed"]:
            raise die(
                f"the test was taken with seed {taken['seed']}", USAGE, f"ai-lab teach test {which} --seed {shlex.quote(seed)} --again"
            )
        _tell_taken(state, taken, pre, post, as_json)
        return
    first = pre["seed"] if which == knowledge_test.POST and pre is not None else ""
    if first and seed and seed != first:
        raise die(
            f"the test before had seed {first}: another seed may ask its questions again",
            USAGE,
            f"ai-lab teach test post --seed {shlex.quote(first)}",
        )
    _take(state, which, seed or first or knowledge_test.SEED, as_json)


def _take(state: Path, which: str, seed: str, as_json: bool) -> None:
    asked = knowledge_test.draw(which, seed)
    live = sys.stdin.isatty()
    kept = drafts.of_series(f"test-{which}", seed, [each.id for each in asked]) if live else []
    again = f"ai-lab teach test {which} --seed {shlex.quote(seed)} --again"
    if live:
        say(f"{len(asked)} open questions, seed {seed}: three minutes each are enough. An empty answer is fine before the class.", err=True)
        say(f"Stopped with Ctrl-C, it goes on with: {again}", err=True)
        answers = asking.ask_all(asked, kept, again)
    else:
        answers = asking.read_answers()
        if not any(each.strip() for each in answers):
            for number, question in enumerate(asked, 1):
                typer.echo(f"{number}. {question.asks}", err=True)
            raise die(
                "no answer was given", NOT_YET, f"ai-lab teach test {which} < answers.txt, with a line of three dashes between two answers"
            )
        if len(answers) > len(asked):
            raise die(
                f"there are {len(answers)} answers to {len(asked)} questions",
                USAGE,
                "a line of three dashes ends an answer: use another line in it",
            )
    results = knowledge_test.judge(asked, answers)
    taken = knowledge_test.record(which, seed, time.time(), results, answers)
    # Only when it is kept is what was typed forgotten.
    knowledge_test.keep(state, taken)
    for draft in kept:
        draft.forget()
    if not as_json:
        for number, result in enumerate(results, 1):
            word = "not yet" if result.empty else "passed" if result.passed else "failed"
            headline = "no answer" if result.empty else result.headline
            say(f"[{word}] {number} {result.question.id}: {headline}", "", "  ", fg=wording.LOOKS[word].in_terminal)
    pre, post = (taken if each == which else knowledge_test.kept(state, each) for each in knowledge_test.WHICH)
    _tell_taken(state, taken, pre, post, as_json)


def _tell_taken(state: Path, taken: dict[str, Any], pre: dict[str, Any] | None, post: dict[str, Any] | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(knowledge_test.exported(learner.name(state), pre, post), indent=1))
        return
    sums = knowledge_test.total(taken)
    name = "before" if taken["test"] == knowledge_test.PRE else "after"
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(taken["at"]))
    echo(f"The test {name} the class, {day}, seed {taken['seed']}: {_said(sums)}")
    if pre is not None and post is not None:
        _side_by_side(pre, post)
        echo("  for your instructor: ai-lab teach test compare --json > NAME.json")
    else:
        for line in tables.table(
            ("theme", "would do", "points"),
            [(theme, *_cells(row)) for theme, row in knowledge_test.by_theme(taken).items()],
            tables.width(),
        ):
            typer.echo(f"  {line}")
        echo(f"  next: {'after the class: ai-lab teach test post' if post is None else 'ai-lab teach test pre'}")


def _said(sums: dict[str, int]) -> str:
    return f"{sums['passed']} of {sums['questions']} answers would do, {knowledge_test.share(sums):.0%} of the points named"


def _cells(sums: dict[str, int] | None) -> tuple[str, str]:
    return (f"{sums['passed']} of {sums['questions']}", f"{sums['points']} of {sums['of']}") if sums else ("", "")


def _compare(state: Path, pre: dict[str, Any] | None, post: dict[str, Any] | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(knowledge_test.exported(learner.name(state), pre, post), indent=1))
        raise typer.Exit(0 if knowledge_test.comparable(pre, post) else NOT_YET)
    if pre is None or post is None:
        missing = knowledge_test.PRE if pre is None else knowledge_test.POST
        raise die(f"the test {'before' if pre is None else 'after'} the class was not taken", NOT_YET, f"ai-lab teach test {missing}")
    _side_by_side(pre, post)
    if not knowledge_test.comparable(pre, post):
        raise typer.Exit(FAILED)


def _side_by_side(pre: dict[str, Any], post: dict[str, Any]) -> None:
    """Both tests by theme and in all. Of two seeds they are shown, and that they cannot be compared is said."""
    before, after = knowledge_test.by_theme(pre), knowledge_test.by_theme(post)
    rows = [(theme, *_cells(before.get(theme)), *_cells(after.get(theme))) for theme in dict.fromkeys((*before, *after))]
    totals = knowledge_test.total(pre), knowledge_test.total(post)
    rows.append(("all", *_cells(totals[0]), *_cells(totals[1])))
    for line in tables.table(("theme", "before", "points", "after", "points"), rows, tables.width()):
        typer.echo(f"  {line}")
    shares = [knowledge_test.share(each) for each in totals]
    if knowledge_test.comparable(pre, post):
        echo(f"  points named: {shares[0]:.0%} before, {shares[1]:.0%} after")
    else:
        echo(f"  These two cannot be compared: the seeds were {pre['seed']} and {post['seed']}, and a question may have been asked twice.")
        echo(f"  next: ai-lab teach test post --seed {shlex.quote(pre['seed'])} --again")
