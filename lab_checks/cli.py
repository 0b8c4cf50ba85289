"""The `ai-lab` command: the cluster, the labs and the learner's progress from a terminal.

Exit status: 0 done, and for checks passed; 1 failed; 2 the command was misspelt; 3 not yet; 4 the checker's fault; 5 no cluster, or it cannot start.
Here are the commands with which an exercise is taken; those about the cluster and about progress are in modules of their own.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from clusters import ClusterError
from lab_checks import classroom_commands, cluster_commands
from lab_checks.terminal import NO_CLUSTER, NOT_YET, USAGE, JsonOption, die, exit_status, open_session, show

if TYPE_CHECKING:
    from lab_checks.course import Exercise, Lab

app = typer.Typer(
    name="ai-lab", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Kubernetes for AI workloads: the lab cluster, the labs and your progress.",
)  # fmt: skip

Target = Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE, for example 03-pending/moved-in")]

for _command in (cluster_commands.up, cluster_commands.down, cluster_commands.status, cluster_commands.env):
    app.command()(_command)
app.command("open")(cluster_commands.open_course)


def _find(target: str) -> tuple[Lab, Exercise | None]:
    from lab_checks import course

    try:
        return course.load().find(target)
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs and their exercises") from None


def _find_exercise(target: str) -> Exercise:
    lab, exercise = _find(target)
    if exercise is None:
        if len(lab.exercises) == 1:
            return lab.exercises[0]
        names = ", ".join(each.key for each in lab.exercises)
        raise die(f"{lab.id} has {len(lab.exercises)} exercises; name one", USAGE, names)
    return exercise


@app.command()
def start(target: Target) -> None:
    """Lay the broken start of an exercise; what an earlier one left behind goes away."""
    from lab_checks.lesson import LessonError
    from lab_checks.session import NoCluster

    lab, named = _find(target)
    exercise = named or lab.exercises[0]
    try:
        open_session().start(exercise)
    except (LessonError, NoCluster) as problem:
        raise die(str(problem), NO_CLUSTER) from None
    typer.echo(f"[started] {exercise.key}: {exercise.title}\n{exercise.goal}")


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE; nothing with --all")] = "",
    all_labs: Annotated[bool, typer.Option("--all", help="every exercise of the course, as it stood when it was last checked")] = False,
    as_json: JsonOption = False,
    wait: Annotated[float | None, typer.Option(help="seconds to wait for a cluster that is still moving")] = None,
) -> None:
    """Say what the checks see on the cluster. Exit status 0 only when all passed."""
    from lab_checks import course

    session = open_session()
    if all_labs:
        classroom_commands.check_all(session, as_json)
        return
    if not target:
        raise die("say which lab or exercise to check, or --all", USAGE, "ai-lab check 03-pending")
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
            show(each)
    raise typer.Exit(exit_status(found))


@app.command()
def hint(target: Target) -> None:
    """Show the next hint of an exercise: a question first, the command last."""
    text, number, of = open_session().hint(_find_exercise(target))
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
    found = open_session().diagnose(exercise, cause, evidence or [])
    show(found)
    raise typer.Exit(exit_status([found]))


@app.command()
def answer(target: Target, values: Annotated[list[str], typer.Argument(help="NAME=VALUE …")]) -> None:
    """Hand in answers to an exercise's questions."""
    exercise = _find_exercise(target)
    given = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or (exercise.answers and name not in exercise.answers):
            raise die(f'"{each}" is no answer to {exercise.key}', USAGE, f"NAME=VALUE with one of: {', '.join(exercise.answers)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    if not open_session().answer(exercise, **given):
        raise die(f"{exercise.key} has not been started", NOT_YET, f"ai-lab start {exercise.key}")
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
        raise die("say what to reset: a lab, LAB/EXERCISE, or --all", USAGE, "ai-lab progress lists the labs and their exercises")
    session = open_session()
    lab, exercise = (course.load().labs[0], None) if everything else _find(target)
    try:
        session.reset(lab, exercise)
    except (LessonError, NoCluster) as problem:
        if not everything:
            raise die(str(problem), NO_CLUSTER) from None
        typer.echo(f"The cluster was left as it is: {problem}", err=True)
    if everything:
        session.progress.forget()
    typer.echo(f"[reset] {'everything, progress too' if everything else exercise.key if exercise else lab.id}")


for _command in (classroom_commands.progress, classroom_commands.report, cluster_commands.doctor):
    app.command()(_command)


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
