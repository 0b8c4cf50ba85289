"""The commands of `ai-lab` that tell who passed what: progress for the learner, report for instructors."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab_checks.face.terminal import FAILED, USAGE, JsonOption, open_session

if TYPE_CHECKING:
    from lab_checks.engine.session import Session


def check_all(session: Session, as_json: bool) -> None:
    from lab_checks.face import classroom

    found = classroom.machine(session)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show_progress(found["exercises"])
    raise typer.Exit(0 if found["passed"] == found["of"] else FAILED)


def show_progress(rows: list[dict[str, Any]]) -> None:
    """One line an exercise. Its name is to be typed, so it is whole at every width."""
    from lab_checks.engine.session import when
    from lab_checks.face import tables, wording

    shown = []
    for row in rows:
        since = f" {when(row['passed_at']).partition(' ')[0]}" if row["passed"] else ""
        shown.append(
            (row["exercise"], f"{wording.sign(row['state'])} {row['state']}{since}", str(row["checks"]), str(row["hints"]), row["title"])
        )
    for line in tables.table(("exercise", "state", "checks", "hints", "title"), shown, tables.width(), keep=2):
        typer.echo(line)
    typer.echo(f"{sum(row['passed'] for row in rows)} of {len(rows)} exercises passed")


def progress(as_json: JsonOption = False) -> None:
    """Show which exercises are passed."""
    from lab_checks.face import classroom

    found = classroom.machine(open_session())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        show_progress(found["exercises"])


def report(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="what `ai-lab check --all --json` printed on each machine: files, or a folder of them"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """For instructors: who is stuck where, and on what.

    Since when each learner is stuck, and which wrong way is the common one. Without files: this machine.

    A file that is no report is named with the reason, and the rest is reported: exit status 1. Where nothing could be read it is 2.
    """
    from lab_checks.face import classroom

    reports, problems = classroom.read_all(files) if files else ([classroom.machine(open_session())], [])
    for problem in problems:
        typer.secho(f"✘ {problem}", fg="red", err=True)
    if not reports:
        raise typer.Exit(USAGE)
    if as_json:
        typer.echo(json.dumps(classroom.to_json(reports) | {"problems": [str(each) for each in problems]}, indent=1))
    else:
        _show_report(reports)
        if problems:
            typer.echo(f"{len(problems)} could not be read; {len(reports)} are reported.", err=True)
    raise typer.Exit(FAILED if problems else 0)


def _show_report(reports: list[dict[str, Any]]) -> None:
    from lab_checks.face import classroom, tables

    terminal_width = tables.width()
    for one in classroom.by_exercise(reports):
        if not one.begun:
            continue
        typer.secho(f"{one.exercise}  passed {one.passed}/{len(reports)}, {one.checks} checks", bold=True)
        if one.stuck:
            stuck = ", ".join(f"{each.learner} {_ago(each.since)}" for each in one.stuck)
            typer.echo("\n".join(tables.wrapped(f"stuck since: {stuck}", terminal_width, "  ", "    ")))
        if one.common:
            typer.echo("\n".join(tables.wrapped(f"goes wrong most: {one.common} ({one.common_learners})", terminal_width, "  ", "    ")))
    people = [(each.learner, f"{each.passed}/{each.of}", each.at) for each in classroom.by_learner(reports)]
    for line in tables.table(("learner", "passed", "works on"), people, terminal_width, keep=3):
        typer.echo(line)


def _ago(moment: float) -> str:
    minutes = max(0, int((time.time() - moment) / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
