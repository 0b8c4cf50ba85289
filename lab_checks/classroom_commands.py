"""The commands of `ai-lab` that tell who passed what: progress for the learner, report for instructors."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab_checks.terminal import FAILED, USAGE, JsonOption, die, open_session

if TYPE_CHECKING:
    from lab_checks.session import Session


def check_all(session: Session, as_json: bool) -> None:
    from lab_checks import classroom

    found = classroom.machine(session)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show_progress(found["exercises"])
    raise typer.Exit(0 if found["passed"] == found["of"] else FAILED)


def show_progress(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("exercise", "state", "checks", "hints", "title")
    for row in rows:
        state = "✔ passed" if row["passed"] else "passed an earlier version" if row["passed_version"] else row["last"] or "open"
        table.add_row(row["exercise"], state, str(row["checks"]), str(row["hints"]), row["title"])
    Console().print(table)
    typer.echo(f"{sum(row['passed'] for row in rows)} of {len(rows)} exercises passed")


def progress(as_json: JsonOption = False) -> None:
    """Show which exercises are passed."""
    from lab_checks import classroom

    found = classroom.machine(open_session())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show_progress(found["exercises"])


def report(
    files: Annotated[
        list[Path] | None, typer.Argument(help="what `ai-lab check --all --json` printed on each machine: files, or a folder of them")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """For instructors: who is stuck where and since when, and which wrong way is the common one. Without files: this machine."""
    from lab_checks import classroom

    try:
        reports = [each for path in files or () for each in classroom.read(path)] or [classroom.machine(open_session())]
    except classroom.NotAReport as problem:
        raise die(str(problem), USAGE) from None
    if as_json:
        typer.echo(json.dumps(classroom.to_json(reports), indent=1))
        return
    from rich.console import Console
    from rich.table import Column, Table

    console = Console()
    table = Table(Column("exercise", no_wrap=True), "passed", "checks", "stuck since", "what goes wrong most")
    for one in classroom.by_exercise(reports):
        if one.begun:
            stuck = "\n".join(f"{each.learner} {_ago(each.since)}" for each in one.stuck)
            common = f"{one.common} ({one.common_learners})" if one.common else ""
            table.add_row(one.exercise, f"{one.passed}/{len(reports)}", str(one.checks), stuck, common)
    console.print(table)
    people = Table("learner", "passed", "works on")
    for each in classroom.by_learner(reports):
        people.add_row(each.learner, f"{each.passed}/{each.of}", each.at)
    console.print(people)


def _ago(moment: float) -> str:
    minutes = max(0, int((time.time() - moment) / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
