"""`ai-lab dev build` and `ai-lab dev check`: for writers of labs, in a checkout with the development requirements."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

import clusters
from clusters import files as course_files
from lab_checks.authoring import course_check, notebooks, proofs
from lab_checks.engine import course, paths, reach
from lab_checks.engine.api import environment

app = typer.Typer(no_args_is_help=True, help="For writers of labs.", rich_markup_mode=None)


@app.callback()
def _in_a_checkout() -> None:
    if not course_files.is_checkout():
        typer.secho("✘ ai-lab dev needs a checkout of the course, with its tests; this is an installed package", fg="red", err=True)
        typer.secho("  next: make lab in a checkout, then .venv/bin/ai-lab dev", err=True)
        raise typer.Exit(2)


Labs = Annotated[list[str] | None, typer.Argument(help="labs; all of them where none is named")]


def _labs(names: list[str] | None) -> list[course.Lab]:
    try:
        return [course.load().lab(name) for name in names] if names else list(course.load().labs)
    except course.UnknownName as problem:
        typer.secho(f"✘ {problem}", fg="red", err=True)
        raise typer.Exit(2) from None


@app.command()
def build(
    labs: Labs = None, run: Annotated[bool, typer.Option(help="run the solved notebooks on the lab cluster and keep their outputs")] = False
) -> None:
    """Make solutions/*.ipynb and labs/*.ipynb from solutions/*.md."""
    root = paths.root()
    wanted = {lab.id for lab in _labs(labs)}
    if run:
        _set_environment()
    for source in notebooks.sources(root):
        if source.stem not in wanted:
            continue
        made = notebooks.read(source)
        (root / "labs").mkdir(exist_ok=True)
        (root / "labs" / f"{source.stem}.ipynb").write_text(notebooks.text_of(notebooks.learners(made)))
        solved = root / "solutions" / f"{source.stem}.ipynb"
        began = time.monotonic()
        if run:
            try:
                with tempfile.TemporaryDirectory(prefix="ai-lab-build-") as folder:
                    made = notebooks.execute(made, Path(folder))
            except notebooks.CellFailed as problem:
                typer.secho(f"✘ {source.stem}: {problem}", fg="red", err=True)
                raise typer.Exit(1) from None
        else:
            made = notebooks.with_outputs(made, solved)
        solved.write_text(notebooks.text_of(made))
        typer.echo(f"✔ {source.stem}" + (f" ({time.monotonic() - began:.0f} s)" if run else ""))


def _set_environment() -> None:
    os.environ.update(environment(reach.connect(clusters.in_use()).kubeconfig))


@app.command()
def check(
    labs: Labs = None,
    only: Annotated[str, typer.Option("--exercise", help="only this exercise")] = "",
    files: Annotated[bool, typer.Option(help="check the files only, without a cluster")] = False,
    beside: Annotated[
        int, typer.Option("--clusters", min=0, max=16, help="prove on so many embedded clusters side by side; 0: on the cluster in use")
    ] = 0,
) -> None:
    """Prove the course: files agree, every start fails, every solution passes, every wrong attempt fails in its own words, no neighbour's solution passes."""
    if not files and not beside:
        # Said at once: looking through the files takes a while.
        reach.connect(clusters.in_use())
    broken = course_check.problems()
    for problem in broken:
        typer.secho(f"✘ {problem}", fg="red")
    if files:
        typer.echo(f"{len(broken)} problems in the files")
        raise typer.Exit(1 if broken else 0)
    chosen = _labs(labs)
    names = [name for lab in chosen for name in (lab.id, *(each.key for each in lab.exercises if only in ("", each.id)))]
    began, proved = time.monotonic(), 0

    def tell(line: proofs.Line) -> None:
        nonlocal proved
        proved += 1
        sign, colour = ("✘", "red") if line.problem else ("✔", "green")
        typer.secho(f"{sign} ", fg=colour, nl=False)
        typer.echo(": ".join(filter(None, (line.about, line.what, line.problem or line.headline))))
        if line.problem:
            broken.append(line.problem)

    if beside:
        try:
            proofs.side_by_side(names, beside, tell)
        except clusters.ClusterError as problem:
            typer.secho(f"✘ {problem}", fg="red", err=True)
            raise typer.Exit(1) from None
    else:
        with proofs.session() as session:
            for name in names:
                proofs.prove(session, name, tell)
            for lab in chosen:
                session.reset(lab)
    if not only and "13-interview" in {lab.id for lab in chosen}:
        typer.echo("\n".join(interview_figures()))
    typer.echo(f"{proved} proofs in {(time.monotonic() - began) / 60:.0f} min: {len(broken)} problems")
    raise typer.Exit(1 if broken else 0)


@app.command()
def drill(
    seeds: Annotated[str, typer.Option(metavar="1-200", help="seeds, as 7 or 1-200 or 1,7,12-15")],
    faults: Annotated[int | None, typer.Option(min=1, max=2, help="without it: two in every third seed")] = None,
    ways: Annotated[
        str, typer.Option(help="of solution, restart, both (one after the other, from one start) and tempting")
    ] = "solution,restart",
    log: Annotated[Path | None, typer.Option(help="a file that the lines are added to")] = None,
) -> None:
    """Prove incident drills: each seed breaks in the promised way, its solution passes, a restart of everything (or the tempting fix) does not."""
    from lab_checks.drill import proof

    def tell(line: str) -> None:
        typer.echo(line)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    try:
        wanted, chosen = proof.seeds_of(seeds), ways.split(",")
        if strange := sorted(set(chosen) - {"solution", "restart", "both", "tempting"}):
            raise ValueError(strange[0])
    except ValueError as problem:
        typer.secho(f"✘ that cannot be meant: {problem}", fg="red", err=True)
        raise typer.Exit(2) from None
    with proofs.session() as session:
        failed = proof.run(session, wanted, chosen, faults, tell)
    raise typer.Exit(1 if failed else 0)


def interview_figures() -> list[str]:
    """How fairly the interview is scored, as lines of text. The answers with which it is measured are in a checkout only."""
    if not (paths.root() / "benchmarks" / "interview.py").is_file():
        return ["the interview's figures: only in a checkout, which has the answers for them (tests/interview/evaluation)"]
    command = [sys.executable, "-m", "benchmarks", "interview"]
    told = subprocess.run(command, cwd=paths.root(), capture_output=True, text=True, check=False)
    return ["the interview, scored:", *(told.stdout if told.returncode == 0 else told.stderr).splitlines()]
