"""The `ai-lab` command: the cluster, the labs and the learner's progress from a terminal.

Exit status: 0 done, and for checks passed; 1 failed; 2 the command was misspelt; 3 not yet; 4 the checker's fault; 5 no cluster, or it cannot start.
Rich and the Kubernetes client are imported where they are used: `ai-lab up` must not wait for them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import clusters
from clusters import ClusterError

if TYPE_CHECKING:
    from lab_checks.course import Exercise, Lab
    from lab_checks.session import Session
    from lab_checks.verdict import Verdict

FAILED, USAGE, NOT_YET, CHECKER, NO_CLUSTER = 1, 2, 3, 4, 5

app = typer.Typer(
    name="ai-lab", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Kubernetes for AI workloads: the lab cluster, the labs and your progress.",
)  # fmt: skip

ClusterOption = Annotated[str, typer.Option("--cluster", help="auto, embedded, kind or current")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
Target = Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE, for example 03-pending/taint")]


def _die(what: str, code: int, next: str = "") -> typer.Exit:
    """Prints an error for people and gives the exit to raise."""
    typer.secho(f"✘ {what}", fg="red", err=True)
    if next:
        typer.echo(f"  next: {next}", err=True)
    return typer.Exit(code)


class TerminalProgress(clusters.Progress):
    """A tick or a cross a step; on a terminal, a spinner while it lasts. Everything goes to stderr."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        shown = self._spinner(title)
        try:
            yield
        except BaseException:
            self._stop(shown)
            typer.secho(f"✘ {title}", fg="red", err=True)
            raise
        self._stop(shown)
        typer.secho("✔ ", fg="green", nl=False, err=True)
        typer.echo(f"{title} ({time.monotonic() - began:.1f} s)", err=True)

    def say(self, line: str) -> None:
        typer.echo(f"  {line}", err=True)

    def _spinner(self, title: str) -> Any:
        if not sys.stderr.isatty():
            return None
        import threading

        stop = threading.Event()

        def spin() -> None:
            # Most steps are over before this; Rich is only worth its start-up for those that are not.
            if stop.wait(0.8):
                return
            from rich.console import Console

            with Console(stderr=True).status(f"{title} …"):
                stop.wait()

        thread = threading.Thread(target=spin, daemon=True)
        thread.start()
        return stop, thread

    def _stop(self, shown: Any) -> None:
        if shown is not None:
            stop, thread = shown
            stop.set()
            thread.join()


def _cluster(name: str) -> clusters.Cluster:
    try:
        if name != "auto":
            return clusters.get(name)
        chosen, why = clusters.choose()
    except ClusterError as problem:
        raise _die(problem.what, NO_CLUSTER, problem.next) from None
    if why:
        typer.echo(why, err=True)
    return chosen


def _up(name: str) -> clusters.Cluster:
    cluster = _cluster(name)
    try:
        cluster.up(TerminalProgress())
        clusters.remember(cluster)
    except ClusterError as problem:
        offer = "" if cluster.name == "embedded" or "embedded" in problem.next else "; or: ai-lab up --cluster embedded"
        raise _die(problem.what, NO_CLUSTER, problem.next + offer) from None
    return cluster


@app.command()
def up(cluster: ClusterOption = "auto") -> None:
    """Start the lab cluster, or find it running."""
    found = _up(cluster)
    typer.echo(f'The {found.name} cluster is up. In this shell: eval "$(ai-lab env)"')


@app.command()
def down(
    cluster: ClusterOption = "auto", wipe: Annotated[bool, typer.Option(help="forget all objects of the embedded cluster too")] = False
) -> None:
    """Stop the lab cluster. The embedded one keeps its objects; kind's is deleted."""
    found = clusters.in_use() if cluster == "auto" else _cluster(cluster)
    if found is None:
        typer.echo("No lab cluster is up.")
        return
    try:
        found.down(TerminalProgress())
        if wipe:
            found.wipe()
    except ClusterError as problem:
        raise _die(problem.what, NO_CLUSTER, problem.next) from None


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Say how the lab cluster is. Exit status 0 only when it is ready."""
    found = clusters.in_use()
    if found is None:
        if as_json:
            typer.echo(json.dumps({"cluster": "", "state": "absent", "nodes": []}))
            raise typer.Exit(NO_CLUSTER)
        raise _die("no lab cluster has been started yet", NO_CLUSTER, "ai-lab up")
    seen = found.status()
    if as_json:
        typer.echo(json.dumps(seen.to_json(), indent=1))
    else:
        typer.echo(f"{seen.cluster}: {seen.state}{f' ({seen.detail})' if seen.detail else ''}")
        if seen.server:
            typer.echo(f"  API server  {seen.server}\n  kubeconfig  {seen.kubeconfig}")
        if seen.memory:
            typer.echo(f"  memory      {seen.memory / 1024**2:.0f} MiB in {len(seen.pids)} processes")
        for node in seen.to_json()["nodes"]:
            gpus = f", {node['gpus']} GPU" if node["gpus"] else ""
            typer.echo(f"  {'✔' if node['ready'] else '✘'} {node['name']}{gpus}")
    raise typer.Exit(0 if seen.state == "ready" else NO_CLUSTER)


@app.command()
def env() -> None:
    """Print what a shell needs: eval "$(ai-lab env)"."""
    import shlex

    from lab_checks.api import environment

    found = clusters.in_use()
    if found is None:
        raise _die("no lab cluster has been started yet", NO_CLUSTER, "ai-lab up")
    for name, value in environment(found.kubeconfig).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command("open")
def open_course(
    cluster: ClusterOption = "auto",
    browser: Annotated[bool, typer.Option(help="open a browser window")] = True,
    port: Annotated[int, typer.Option(help="JupyterLab's port on 127.0.0.1 (the next free one is taken where it is in use)")] = 8888,
    folder: Annotated[Path | None, typer.Option(help="where your copies of the notebooks are kept")] = None,
) -> None:
    """Start the cluster, copy the notebooks that you have not begun, and open JupyterLab."""
    from lab_checks import jupyter

    found = _up(cluster)
    where = folder or jupyter.default_folder()
    try:
        fresh = jupyter.copy_notebooks(where)
    except OSError as problem:
        raise _die(f"the notebooks cannot be copied to {where}: {problem.strerror}", USAGE, "ai-lab open --folder SOME/FOLDER") from None
    if fresh:
        typer.echo(f"Notebooks in {where}: {', '.join(fresh)}", err=True)
    running = jupyter.running(where)
    if running:
        typer.echo(f"JupyterLab is already open on these notebooks: {running}")
        if browser:
            typer.launch(running)
        return
    raise typer.Exit(jupyter.run(where, found.kubeconfig, port, browser))


def _session() -> Session:
    from lab_checks.session import Session

    return Session(say=lambda line: typer.echo(f"… {line}", err=True))


def _find(target: str) -> tuple[Lab, Exercise | None]:
    from lab_checks import course

    try:
        return course.load().find(target)
    except course.UnknownName as problem:
        raise _die(str(problem), USAGE, "ai-lab progress lists the labs and their exercises") from None


def _find_exercise(target: str) -> Exercise:
    lab, exercise = _find(target)
    if exercise is None:
        if len(lab.exercises) == 1:
            return lab.exercises[0]
        names = ", ".join(each.key for each in lab.exercises)
        raise _die(f"{lab.id} has {len(lab.exercises)} exercises; name one", USAGE, names)
    return exercise


@app.command()
def start(target: Target) -> None:
    """Lay the broken start of an exercise; what an earlier one left behind goes away."""
    from lab_checks.lesson import LessonError
    from lab_checks.session import NoCluster

    lab, named = _find(target)
    exercise = named or lab.exercises[0]
    try:
        _session().start(exercise)
    except (LessonError, NoCluster) as problem:
        raise _die(str(problem), NO_CLUSTER) from None
    typer.echo(f"[started] {exercise.key}: {exercise.title}\n{exercise.goal}")


def _exit_status(verdicts: list[Verdict]) -> int:
    from lab_checks.verdict import Outcome

    found = {verdict.outcome for verdict in verdicts}
    for outcome, code in ((Outcome.ERROR, CHECKER), (Outcome.FAILED, FAILED), (Outcome.NOT_YET, NOT_YET)):
        if outcome in found:
            return code
    return 0


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE; nothing with --all")] = "",
    all_labs: Annotated[bool, typer.Option("--all", help="every exercise of the course, as it stood when it was last checked")] = False,
    as_json: JsonOption = False,
    wait: Annotated[float | None, typer.Option(help="seconds to wait for a cluster that is still moving")] = None,
) -> None:
    """Say what the checks see on the cluster. Exit status 0 only when all passed."""
    from lab_checks import course

    session = _session()
    if all_labs:
        _report_all(session, as_json)
        return
    if not target:
        raise _die("say which lab or exercise to check, or --all", USAGE, "ai-lab check 03-pending")
    lab, named = _find(target)
    if named is not None:
        exercises = [named]
    else:
        # Only one exercise's start is on the cluster at a time: a lab's check looks at that one.
        current = session.progress.newest([each.key for each in lab.exercises])
        exercises = [each for each in lab.exercises if each.key == current] or [lab.exercises[0]]
    found = [session.check(each, wait) for each in exercises]
    if as_json:
        typer.echo(json.dumps({"course": course.load().title, "verdicts": [each.to_json() for each in found]}, indent=1))
    else:
        for each in found:
            _print(each)
    raise typer.Exit(_exit_status(found))


def _print(verdict: Verdict) -> None:
    colours = {"passed": "green", "failed": "red", "not yet": "yellow", "checker error": "magenta"}
    first, *rest = verdict.lines()
    typer.secho(first, fg=colours[str(verdict.outcome)])
    for line in rest:
        typer.echo(line)


def _report_all(session: Session, as_json: bool) -> None:
    from lab_checks import classroom

    found = classroom.machine(session)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _show_progress(found["exercises"])
    raise typer.Exit(0 if found["passed"] == found["of"] else FAILED)


def _show_progress(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("exercise", "state", "checks", "hints", "title")
    for row in rows:
        state = "✔ passed" if row["passed"] else "passed an earlier version" if row["passed_version"] else row["last"] or "open"
        table.add_row(row["exercise"], state, str(row["checks"]), str(row["hints"]), row["title"])
    Console().print(table)
    typer.echo(f"{sum(row['passed'] for row in rows)} of {len(rows)} exercises passed")


@app.command()
def progress(as_json: JsonOption = False) -> None:
    """Show which exercises are passed."""
    from lab_checks import classroom

    found = classroom.machine(_session())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _show_progress(found["exercises"])


@app.command()
def report(
    files: Annotated[
        list[Path] | None, typer.Argument(help="what `ai-lab check --all --json` printed on each machine: files, or a folder of them")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """For instructors: who is stuck where and since when, and which wrong way is the common one. Without files: this machine."""
    from lab_checks import classroom

    try:
        reports = [each for path in files or () for each in classroom.read(path)] or [classroom.machine(_session())]
    except classroom.NotAReport as problem:
        raise _die(str(problem), USAGE) from None
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


@app.command()
def hint(target: Target) -> None:
    """Show the next hint of an exercise: a question first, the command last."""
    text, number, of = _session().hint(_find_exercise(target))
    typer.echo(f"[hint {number} of {of}] {text}")


@app.command()
def diagnose(
    target: Target,
    cause: Annotated[str, typer.Option(help="one of the exercise's causes; leave it out to see them")] = "",
    evidence: Annotated[list[str] | None, typer.Option(help="a line from the cluster that shows it; may be given several times")] = None,
) -> None:
    """Hand in a diagnosis: a cause, and the evidence quoted from the cluster."""
    exercise = _find_exercise(target)
    if not cause:
        typer.echo("\n".join(exercise.causes))
        return
    found = _session().diagnose(exercise, cause, evidence or [])
    _print(found)
    raise typer.Exit(_exit_status([found]))


@app.command()
def answer(target: Target, values: Annotated[list[str], typer.Argument(help="NAME=VALUE …")]) -> None:
    """Hand in answers to an exercise's questions."""
    exercise = _find_exercise(target)
    given = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or (exercise.answers and name not in exercise.answers):
            raise _die(f'"{each}" is no answer to {exercise.key}', USAGE, f"NAME=VALUE with one of: {', '.join(exercise.answers)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    if not _session().answer(exercise, **given):
        raise _die(f"{exercise.key} has not been started", NOT_YET, f"ai-lab start {exercise.key}")
    typer.echo(f"[noted] {exercise.key}: {', '.join(given)}")


@app.command()
def reset(
    target: Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE")] = "",
    everything: Annotated[bool, typer.Option("--all", help="take back all changes and forget all progress of this learner")] = False,
) -> None:
    """Lay an exercise's start again, or take back all that a lab changed on the cluster."""
    from lab_checks import course
    from lab_checks.lesson import LessonError
    from lab_checks.session import NoCluster

    if bool(target) == everything:
        raise _die("say what to reset: a lab, LAB/EXERCISE, or --all", USAGE, "ai-lab progress lists the labs and their exercises")
    session = _session()
    lab, exercise = (course.load().labs[0], None) if everything else _find(target)
    try:
        session.reset(lab, exercise)
    except (LessonError, NoCluster) as problem:
        if not everything:
            raise _die(str(problem), NO_CLUSTER) from None
        typer.echo(f"The cluster was left as it is: {problem}", err=True)
    if everything:
        session.progress.forget()
    typer.echo(f"[reset] {'everything, progress too' if everything else exercise.key if exercise else lab.id}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say for each kind of cluster what is there and what is missing, with the command that mends it."""
    from clusters import doctor as checks

    findings = checks.examine(clusters.state_folder())
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=1))
    else:
        for area in dict.fromkeys(finding.area for finding in findings):
            typer.secho(area, bold=True)
            for finding in findings:
                if finding.area == area:
                    sign, colour = {"ok": ("✔", "green"), "warn": ("!", "yellow"), "missing": ("✘", "red")}[finding.state]
                    typer.secho(f"  {sign} ", fg=colour, nl=False)
                    typer.echo(f"{finding.name}: {finding.seen}")
                    if finding.mend:
                        typer.echo(f"      mend: {finding.mend}")
    broken = any(finding.state == "missing" and finding.area in ("course", "embedded") for finding in findings)
    raise typer.Exit(FAILED if broken else 0)


def main() -> None:
    """Runs the command; what goes wrong for a known reason is told in its own words."""
    if len(sys.argv) > 1 and sys.argv[1] == "dev":
        from lab_checks.authoring import commands

        app.add_typer(commands.app, name="dev")
    elif len(sys.argv) > 1 and sys.argv[1] == "images":
        from lab_checks import image_commands

        app.add_typer(image_commands.app, name="images")
    elif len(sys.argv) < 2 or sys.argv[1] in ("interview", "--help"):
        from lab_checks import interview_command

        app.command()(interview_command.interview)
    try:
        app()
    except ClusterError as problem:
        typer.secho(f"✘ {problem.what}", fg="red", err=True)
        if problem.next:
            typer.echo(f"  next: {problem.next}", err=True)
        raise SystemExit(NO_CLUSTER) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # `ai-lab progress | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
