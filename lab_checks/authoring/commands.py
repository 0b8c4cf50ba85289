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
from lab_checks.authoring import attempts, course_check, notebooks
from lab_checks.engine import course, identity, manifests, paths, reach
from lab_checks.engine.api import environment, shell
from lab_checks.engine.session import Session
from lab_checks.engine.setup import LessonError

app = typer.Typer(no_args_is_help=True, help="For writers of labs.", rich_markup_mode=None)

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
) -> None:
    """Prove the course: files agree, every start fails, every solution passes, every wrong attempt fails in its own words, no neighbour's solution passes."""
    broken = course_check.problems()
    for problem in broken:
        typer.secho(f"✘ {problem}", fg="red")
    if files:
        typer.echo(f"{len(broken)} problems in the files")
        raise typer.Exit(1 if broken else 0)
    with tempfile.TemporaryDirectory(prefix="ai-lab-proof-") as folder:
        session = _session(Path(folder))
        for lab in _labs(labs):
            ways = attempts.load(paths.root() / attempts.FOLDER, lab)
            broken += _dry_run(session, lab)
            for each in lab.exercises:
                if only in ("", each.id):
                    mine = [way for way in ways if way.exercise == each.id]
                    try:
                        proofs = attempts.prove(session, each, mine, _tell) + attempts.prove_apart(session, each, ways, _tell)
                    except LessonError as problem:
                        broken.append(str(problem))
                        typer.secho(f"✘ {each.key}: {problem}", fg="red")
                        continue
                    broken += [f"{proof.exercise}: {proof.name}: {proof.problem}" for proof in proofs if proof.problem]
            session.reset(lab)
    if not only and "13-interview" in {lab.id for lab in _labs(labs)}:
        typer.echo("\n".join(interview_figures()))
    typer.echo(f"{len(broken)} problems")
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
    with tempfile.TemporaryDirectory(prefix="ai-lab-drill-") as folder:
        failed = proof.run(_session(Path(folder)), wanted, chosen, faults, tell)
    raise typer.Exit(1 if failed else 0)


def interview_figures() -> list[str]:
    """How fairly the interview is scored, as lines of text. The answers with which it is measured are in a checkout only."""
    if not (paths.root() / "benchmarks" / "interview.py").is_file():
        return ["the interview's figures: only in a checkout, which has the answers for them (tests/interview/evaluation)"]
    command = [sys.executable, "-m", "benchmarks", "interview"]
    told = subprocess.run(command, cwd=paths.root(), capture_output=True, text=True, check=False)
    return ["the interview, scored:", *(told.stdout if told.returncode == 0 else told.stderr).splitlines()]


def _session(folder: Path) -> Session:
    """A session on the cluster in use, with a progress of its own: proving the course is no learner's progress."""
    cluster = clusters.in_use()
    api = reach.connect(cluster)
    if cluster and cluster.made_by_lab:
        # Commands of an attempt that act for the course (lab 01's technician) take the account from the state folder. It is made now:
        # within an exercise, making it would be a change of the learner's.
        identity.kubeconfig(api.kubeconfig, clusters.state_folder(), api.cluster_id())

    class Proving(Session):
        @property
        def cluster(self) -> clusters.Cluster:
            assert cluster is not None
            return cluster

    return Proving(folder)


def _dry_run(session: Session, lab: course.Lab) -> list[str]:
    from lab_checks.engine.api import CommandFailed

    found = []
    for folder in sorted({path.parent for path in (paths.root() / "manifests" / lab.id).rglob("*.yaml")}):
        try:
            shell("kubectl create --dry-run=client --validate=strict -o name -f -", session.api.kubeconfig, stdin=manifests.text(folder))
        except CommandFailed as problem:
            found.append(f"{folder.relative_to(paths.root())} is not valid: {problem}")
            typer.secho(f"✘ {found[-1]}", fg="red")
    return found


def _tell(proof: attempts.Proof) -> None:
    sign, colour = ("✘", "red") if proof.problem else ("✔", "green")
    typer.secho(f"{sign} ", fg=colour, nl=False)
    typer.echo(f"{proof.exercise}: {proof.name}: {proof.problem or proof.verdict.headline}")
