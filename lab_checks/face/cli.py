"""The `ai-lab` command: the cluster, the labs and the learner's progress from a terminal.

Exit status: 0 done, and for checks passed; 1 failed; 2 the command was misspelt; 3 not yet; 4 the checker's fault; 5 no cluster, or it cannot
start; 6 a file of the course's state cannot be read or written; 130 stopped with Ctrl-C.
Here are the commands with which an exercise is taken; those about the cluster and about progress are in modules of their own.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clusters import ClusterError
from lab_checks.face import classroom_commands, cluster_commands
from lab_checks.face.terminal import NO_CLUSTER, NOT_YET, USAGE, JsonOption, YesOption, die, echo, exit_status, open_session, show

if TYPE_CHECKING:
    from lab_checks.engine.course import Exercise, Lab
    from lab_checks.engine.session import Session
    from lab_checks.engine.verdict import Verdict

# A file of the course's state cannot be read or written.
STATE = 6

app = typer.Typer(
    name="ai-lab", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Kubernetes for AI workloads: the lab cluster, the labs and your progress.",
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ai-lab {version('ai-lab')}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    pass


Target = Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE, for example 03-pending/moved-in")]

app.command()(cluster_commands.up)
app.command()(cluster_commands.down)
app.command()(cluster_commands.status)
app.command()(cluster_commands.env)
app.command("open")(cluster_commands.open_course)


def _find(target: str) -> tuple[Lab, Exercise | None]:
    from lab_checks.engine import course

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


def _shown(verdict: Verdict, lab: str) -> None:
    from lab_checks.face import wording

    show(wording.verdict_in(wording.in_terminal, verdict, lab))


def _say(text: str, lab: str) -> None:
    from lab_checks.face import wording

    echo(wording.in_terminal(text, lab))


@contextmanager
def _exercise_begins() -> Iterator[None]:
    from lab_checks.engine.setup import LessonError

    try:
        yield
    except LessonError as problem:
        raise die(str(problem), NO_CLUSTER) from None


def _tell_missing_cluster(session: Session, exercise: Exercise) -> None:
    """What needs no cluster is done without one, and says so."""
    missing = session.cluster_missing(exercise)
    if missing is not None:
        echo(f"  note: {missing.what} Before the next check: {missing.next}", err=True)


@app.command()
def start(target: Target, yes: YesOption = False) -> None:
    """Create the broken start of an exercise; what an earlier one left behind goes away."""
    lab, named = _find(target)
    exercise = named or lab.exercises[0]
    with _exercise_begins():
        open_session(yes=yes).start(exercise)
    _say(f"[started] {exercise.key}: {exercise.title}\n{exercise.goal}", lab.id)


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE; nothing with --all")] = "",
    all_labs: Annotated[bool, typer.Option("--all", help="every exercise of the course, as it stood when it was last checked")] = False,
    again: Annotated[bool, typer.Option("--again", help="look at the cluster anew, also for what was passed")] = False,
    as_json: JsonOption = False,
    wait: Annotated[float | None, typer.Option(help="seconds to wait for a cluster that is still moving")] = None,
) -> None:
    """Say what the checks see on the cluster. Exit status 0 only when all passed.

    LAB/EXERCISE looks at that exercise. LAB looks at the exercise under way (the one that was started last and is not passed), then shows how
    all exercises of the lab stand; the exit status is 0 when all of them are passed, and 3 when the rest is still to do.

    What was passed stays passed and is shown with when it was passed, until it is started again; --again looks at the cluster anew.
    """
    session = open_session()
    if all_labs:
        classroom_commands.check_all(session, as_json)
        return
    if not target:
        raise die("say which lab or exercise to check, or --all", USAGE, "ai-lab check 03-pending")
    lab, named = _find(target)
    if named is None:
        raise _check_lab(session, lab, again, as_json, wait)
    found = _look(session, named, again, wait)
    if as_json:
        typer.echo(_json([found]))
    else:
        _shown(found, lab.id)
    raise typer.Exit(exit_status([found]))


def _look(session: Session, exercise: Exercise, again: bool, wait: float | None) -> Verdict:
    from dataclasses import replace

    before = None if again else session.passed_before(exercise)
    if before is not None:
        return replace(before, notice=f"{before.notice}; --again looks at the cluster anew")
    return session.check(exercise, wait, strict=again)


def _json(found: list[Verdict], **more: object) -> str:
    from lab_checks.engine import course

    return json.dumps({"course": course.load().title, "verdicts": [each.to_json() for each in found], **more}, indent=1)


def _check_lab(session: Session, lab: Lab, again: bool, as_json: bool, wait: float | None) -> typer.Exit:
    """The exercise under way, then the standing of all; gives the exit to raise."""
    from lab_checks.face import classroom

    under_way = session.under_way(lab)
    if under_way is None and again:
        newest = session.progress.newest([each.key for each in lab.exercises])
        under_way = next((each for each in lab.exercises if each.key == newest), None)
    found = [_look(session, under_way, again, wait)] if under_way is not None else []
    rows = classroom.rows(session, lab)
    left = [row["exercise"] for row in rows if not row["passed"]]
    if left and not found and lab.cluster:
        # Nothing to look at, and nothing can be started either: that is said first.
        _ = session.api
    if as_json:
        typer.echo(_json(found, lab=lab.id, exercises=rows, passed=len(rows) - len(left), of=len(rows)))
    else:
        for each in found:
            _shown(each, lab.id)
        classroom_commands.show_progress(rows)
        if left and all(each.passed for each in found):
            echo(f"  next: ai-lab start {left[0]}")
    return typer.Exit(exit_status(found) or (NOT_YET if left else 0))


@app.command()
def hint(target: Target) -> None:
    """Show the next hint of an exercise: a question first, the command last."""
    exercise, session = _find_exercise(target), open_session()
    text, number, of = session.hint(exercise)
    _say(f"[hint {number} of {of}] {text}", exercise.lab)
    _tell_missing_cluster(session, exercise)


@app.command()
def diagnose(
    target: Target,
    cause: Annotated[str, typer.Option(help="one of the exercise's causes; leave it out to see them")] = "",
    evidence: Annotated[list[str] | None, typer.Option(help="a line from the cluster that shows it; may be given several times")] = None,
) -> None:
    """Hand in a diagnosis: a cause, and the evidence quoted from the cluster."""
    exercise = _find_exercise(target)
    if not exercise.causes:
        raise die(f"{exercise.key} asks for no diagnosis", USAGE, f"ai-lab check {exercise.key}")
    if not cause:
        typer.echo("\n".join(exercise.causes))
        return
    found = open_session().diagnose(exercise, cause, evidence or [])
    _shown(found, exercise.lab)
    raise typer.Exit(exit_status([found]))


@app.command()
def answer(target: Target, values: Annotated[list[str], typer.Argument(help="NAME=VALUE …")]) -> None:
    """Hand in answers to an exercise's questions."""
    exercise = _find_exercise(target)
    if not exercise.answers:
        raise die(f"{exercise.key} asks for no answers", USAGE, f"ai-lab check {exercise.key}")
    given = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or name not in exercise.answers:
            raise die(f'"{each}" is no answer to {exercise.key}', USAGE, f"NAME=VALUE with one of: {', '.join(exercise.answers)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    session = open_session()
    if not session.answer(exercise, **given):
        raise die(f"{exercise.key} has not been started", NOT_YET, f"ai-lab start {exercise.key}")
    typer.echo(f"[noted] {exercise.key}: {', '.join(given)}")
    _tell_missing_cluster(session, exercise)


@app.command()
def reset(
    target: Annotated[str, typer.Argument(help="a lab, or LAB/EXERCISE")] = "",
    everything: Annotated[bool, typer.Option("--all", help="take back all changes and forget all progress of this learner")] = False,
    yes: YesOption = False,
) -> None:
    """Create an exercise's start again, or take back all that a lab changed on the cluster."""
    from lab_checks.engine import course
    from lab_checks.engine.setup import LessonError

    if bool(target) == everything:
        raise die("say what to reset: a lab, LAB/EXERCISE, or --all", USAGE, "ai-lab progress lists the labs and their exercises")
    session = open_session(yes=yes)
    if everything:
        try:
            session.reset(next(each for each in course.load().labs if each.cluster))
        except (LessonError, ClusterError) as problem:
            # Progress can be forgotten without a cluster.
            echo(f"The cluster was left as it is: {problem}", err=True)
        session.progress.forget()
        typer.echo("[reset] everything, progress too")
        return
    lab, exercise = _find(target)
    with _exercise_begins():
        session.reset(lab, exercise)
    typer.echo(f"[reset] {exercise.key if exercise else lab.id}")


for _command in (classroom_commands.progress, classroom_commands.report, cluster_commands.doctor):
    app.command()(_command)


def main() -> None:
    """Runs the command; what goes wrong for a known reason is told in its own words."""
    if len(sys.argv) > 1 and sys.argv[1] == "dev":
        from lab_checks.authoring import commands

        app.add_typer(commands.app, name="dev")
    elif len(sys.argv) > 1 and sys.argv[1] == "images":
        from lab_checks.face import image_commands

        app.add_typer(image_commands.app, name="images")
    elif len(sys.argv) < 2 or sys.argv[1] in ("interview", "--help"):
        from lab_checks.face import interview_command

        app.command()(interview_command.interview)
    try:
        _run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # `ai-lab progress | head`: the reader has seen enough.
        _close_output()
        raise SystemExit(0) from None


def _run() -> None:
    from lab_checks.engine.store import StoreError

    try:
        try:
            app()
        finally:
            # What a full disk refuses is said here, and not at the interpreter's end.
            sys.stdout.flush()
    except (ClusterError, StoreError) as problem:
        die(problem.what, NO_CLUSTER if isinstance(problem, ClusterError) else STATE, problem.next)
        raise SystemExit(NO_CLUSTER if isinstance(problem, ClusterError) else STATE) from None
    except BrokenPipeError:
        raise
    except OSError as problem:
        _close_output()
        where = f"{problem.filename}: " if problem.filename else "what the command writes: "
        die(f"{where}{problem.strerror or problem}", STATE, _REMEDIES.get(problem.errno or 0, ""))
        raise SystemExit(STATE) from None


_REMEDIES = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space: your quota on that disk is used up",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "set AI_LAB_HOME to a folder that can be written",
    errno.EACCES: "make it readable and writable for you, or set AI_LAB_HOME to a folder of your own",
    errno.EPERM: "make it readable and writable for you, or set AI_LAB_HOME to a folder of your own",
}


def _close_output() -> None:
    """Throws away what is still to be written: nobody takes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
