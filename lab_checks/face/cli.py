"""The `ai-lab` command: the cluster, the labs and the learner's progress from a terminal.

Exit status: 0 done, and for checks passed; 1 failed; 2 the command was misspelt; 3 not yet; 4 the checker's fault; 5 no cluster, or it cannot
start; 6 a file of the course's state cannot be read or written; 130 stopped with Ctrl-C.
Here are the commands with which an exercise is taken; those about the cluster and about progress are in modules of their own.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clusters import ClusterError
from lab_checks.face import classroom_commands, cluster_commands, debriefs
from lab_checks.face.terminal import (
    FAILED,
    NO_CLUSTER,
    NOT_YET,
    USAGE,
    JsonOption,
    YesOption,
    colours,
    confirm,
    die,
    echo,
    exit_status,
    open_session,
    passing,
    show,
    throw_away,
)

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


_EXERCISE = "LAB/EXERCISE"
Target = Annotated[str, typer.Argument(metavar=_EXERCISE, help="for example 03-pending/moved-in; nothing: the exercise under way")]

app.command()(cluster_commands.up)
app.command()(cluster_commands.down)
app.command()(cluster_commands.status)
app.command()(cluster_commands.env)
app.command("open")(cluster_commands.open_course)
app.command()(cluster_commands.notebooks)


def _find(target: str) -> tuple[Lab, Exercise | None]:
    from lab_checks.engine import course

    try:
        return course.load().find(target)
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs and their exercises") from None


def _find_exercise(session: Session, target: str, command: str) -> Exercise:
    """The exercise of that name; without a name the one under way, and with a lab's name the one under way there."""
    from lab_checks.face import next_exercise

    lab, exercise = _find(target) if target else (None, None)
    found = exercise or (session.under_way(lab) if lab else next_exercise.under_way(session))
    if found is not None:
        return found
    where = f" in {lab.id}" if lab else ""
    example = f"{lab.exercises[0].key}" if lab else "03-pending/moved-in"
    raise die(f"no exercise is under way{where}; name one", USAGE, f"{command} {example}; ai-lab progress lists them")


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
def start(
    target: Annotated[
        str, typer.Argument(metavar=_EXERCISE, help="a lab alone: its next exercise; `next`: the course's; nothing: say which that is")
    ] = "",
    yes: YesOption = False,
) -> None:
    """Start an exercise, or say which one is next.

    Its broken start is created on the cluster, and what an earlier exercise left behind goes away.
    """
    from lab_checks.face import next_exercise, tables, wording

    session = open_session(yes=yes)
    if not target:
        _tell_next(session)
        return
    lab, named = (None, None) if target == "next" else _find(target)
    exercise = named or next_exercise.next_open(session, lab) or (lab.exercises[0] if lab else None)
    if exercise is None:
        echo(_ALL_PASSED)
        return
    with _exercise_begins():
        session.start(exercise)
    _say(f"[started] {exercise.key}: {exercise.title}", exercise.lab)
    goal = wording.in_terminal(" ".join(exercise.goal.split()), exercise.lab)
    echo("\n".join(tables.wrapped(goal, tables.width())))
    for line in next_exercise.asks_for(exercise):
        echo(f"  {line}")


_ALL_PASSED = "Every exercise is passed. ai-lab start LAB/EXERCISE starts one again."


def _tell_next(session: Session) -> None:
    from lab_checks.face import next_exercise

    now = next_exercise.under_way(session)
    if now is not None:
        echo(f"[started] {now.key}: {now.title}")
        for line in (*next_exercise.asks_for(now), f"begin it again: ai-lab start {now.key}"):
            echo(f"  {line}")
    following = next_exercise.next_open(session)
    if following is not None and following != now:
        echo("\n".join(next_exercise.described(following)))
    elif now is None:
        echo(_ALL_PASSED)


@app.command()
def check(
    target: Annotated[str, typer.Argument(metavar=f"LAB|{_EXERCISE}", help="nothing: the exercise under way")] = "",
    all_labs: Annotated[bool, typer.Option("--all", help="every exercise of the course, as it stood when it was last checked")] = False,
    again: Annotated[bool, typer.Option("--again", help="look at the cluster anew, also for what was passed")] = False,
    as_json: JsonOption = False,
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="how long to wait for a cluster that is still moving")
    ] = None,
) -> None:
    """Say what the checks see on the cluster.

    Exit status 0 only when all passed. LAB/EXERCISE looks at that exercise. LAB looks at the exercise under way (the one that was started last
    and is not passed), then shows how all exercises of the lab stand; the exit status is 0 when all of them are passed, and 3 when the rest is
    still to do.

    What was passed stays passed and is shown with when it was passed, until it is started again; --again looks at the cluster anew.
    """
    from lab_checks.engine import course

    session = open_session()
    if all_labs and target:
        raise die(f"--all is about every lab, and {target} about one", USAGE, f"ai-lab check {target}, or: ai-lab check --all")
    if all_labs:
        classroom_commands.check_all(session, as_json)
        return
    if target:
        lab, named = _find(target)
    else:
        named = _find_exercise(session, "", "ai-lab check")
        lab = course.load().lab(named.lab)
    if named is None:
        raise _check_lab(session, lab, again, as_json, wait)
    found = _look(session, named, again, wait)
    if as_json:
        typer.echo(_json([found]))
    else:
        _shown(found, lab.id)
        if found.passed:
            debriefs.mention(named)
    raise typer.Exit(exit_status([found]))


def _look(session: Session, exercise: Exercise, again: bool, wait: float | None) -> Verdict:
    from dataclasses import replace

    before = None if again else session.passed_before(exercise)
    if before is not None:
        return replace(before, notice=f"{before.notice}; --again looks at the cluster anew")
    with passing() as waiting:
        return session.check(exercise, wait, strict=again, waiting=waiting)


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
        if under_way is not None and any(each.passed for each in found):
            debriefs.mention(under_way)
        classroom_commands.show_progress(rows)
        if left and all(each.passed for each in found):
            echo(f"  next: ai-lab start {left[0]}")
    return typer.Exit(exit_status(found) or (NOT_YET if left else 0))


@app.command()
def watch(target: Target = "") -> None:
    """Check at every change, until the exercise passes.

    A change of the cluster, an answer or a diagnosis. Only a verdict that is another one than before is shown, and none but the pass counts as a
    check. Ctrl-C ends it.
    """
    import asyncio

    from lab_checks.face.live import by_itself

    session = open_session()
    exercise = _find_exercise(session, target, "ai-lab watch")
    echo(f"Watching {exercise.key}: every change of the cluster is checked. Ctrl-C stops.", err=True)
    asyncio.run(by_itself.until_passed(session, exercise, lambda found: _shown(found, exercise.lab)))
    debriefs.mention(exercise)


@app.command()
def hint(target: Target = "") -> None:
    """Show the next hint: a question first, the command last."""
    session = open_session()
    exercise = _find_exercise(session, target, "ai-lab hint")
    text, number, of = session.hint(exercise)
    _say(f"[hint {number} of {of}] {text}", exercise.lab)
    _tell_missing_cluster(session, exercise)


@app.command()
def diagnose(
    target: Target = "",
    cause: Annotated[str, typer.Option(metavar="CAUSE", help="one of the exercise's causes; leave it out to see them")] = "",
    evidence: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="a line from the cluster that shows it; may be given several times")
    ] = None,
) -> None:
    """Hand in a diagnosis: a cause, and its evidence."""
    session = open_session()
    exercise = _find_exercise(session, target, "ai-lab diagnose")
    if not exercise.causes:
        raise die(f"{exercise.key} asks for no diagnosis", USAGE, f"ai-lab check {exercise.key}")
    if not cause:
        if evidence:
            raise die("name the cause that your evidence shows", USAGE, f"--cause with one of: {', '.join(exercise.causes)}")
        echo(f"The causes to choose from for {exercise.key}:")
        echo("".join(f"  {each}\n" for each in exercise.causes).rstrip())
        echo("Hand in one, with the line of kubectl's output that shows it; --evidence may stand there more than once:")
        echo(f'  ai-lab diagnose {exercise.key} --cause CAUSE --evidence "LINE"')
        return
    found = session.diagnose(exercise, cause, evidence or [])
    _shown(found, exercise.lab)
    if found.passed:
        debriefs.mention(exercise, diagnosed=True)
    raise typer.Exit(exit_status([found]))


@app.command()
def answer(
    words: Annotated[list[str], typer.Argument(metavar=f"{_EXERCISE} NAME=VALUE", help="without an exercise: the one under way")],
) -> None:
    """Hand in answers to an exercise's questions."""
    session = open_session()
    target, values = ("", words) if "=" in words[0] else (words[0], words[1:])
    exercise = _find_exercise(session, target, "ai-lab answer")
    if not exercise.answers:
        raise die(f"{exercise.key} asks for no answers", USAGE, f"ai-lab check {exercise.key}")
    if not values:
        raise die(
            f"{exercise.key}: give an answer", USAGE, f"ai-lab answer {exercise.key} {' '.join(f'{name}=…' for name in exercise.answers)}"
        )
    given = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or name not in exercise.answers:
            raise die(f'"{each}" is no answer to {exercise.key}', USAGE, f"NAME=VALUE with one of: {', '.join(exercise.answers)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    if not session.answer(exercise, **given):
        raise die(f"{exercise.key} has not been started", NOT_YET, f"ai-lab start {exercise.key}")
    typer.echo(f"[noted] {exercise.key}: {', '.join(given)}")
    for blank, why in session.unreadable(exercise, given).items():
        typer.echo(f"  {blank} cannot be read as it is: {why}")
    _tell_missing_cluster(session, exercise)


@app.command()
def reset(
    target: Annotated[str, typer.Argument(metavar=f"LAB|{_EXERCISE}", help="the exercise to begin again, or the lab to take back")] = "",
    everything: Annotated[bool, typer.Option("--all", help="take back all changes and forget all progress of this learner")] = False,
    yes: YesOption = False,
) -> None:
    """Begin an exercise again, or take back what a lab changed."""
    from lab_checks.engine import course
    from lab_checks.engine.setup import LessonError

    if bool(target) == everything:
        raise die("say what to reset: a lab, LAB/EXERCISE, or --all", USAGE, "ai-lab progress lists the labs and their exercises")
    session = open_session(yes=yes)
    if everything:
        _agree_to_forget(yes)
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


def _agree_to_forget(yes: bool) -> None:
    """Says what will be gone. Raises the exit where the answer is no, or where nobody can answer."""
    echo(
        "This takes back what exercises changed on the cluster, and forgets all starts, answers, hints and passes. Notebooks are kept.",
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise die("nobody can be asked here, so nothing was forgotten", USAGE, "ai-lab reset --all --yes")
    if not confirm("Forget all progress?", False):
        raise die("nothing was forgotten", FAILED)


_HELP = "--help"

app.command("debrief")(debriefs.command)
for _command in (classroom_commands.progress, classroom_commands.report, cluster_commands.doctor):
    app.command()(_command)


def _load(asked: str) -> None:
    """Adds the commands whose imports take long, as far as they are `asked` for; the help lists all of them but the authors' own."""
    if asked == "dev":
        from lab_checks.authoring import commands

        app.add_typer(commands.app, name="dev")
    if asked in ("interview", _HELP):
        from lab_checks.face import interview_command

        app.command()(interview_command.interview)
    if asked in ("endpoint", _HELP):
        from lab_checks.face import endpoint_command

        app.command("endpoint")(endpoint_command.command)
    if asked in ("images", _HELP):
        from lab_checks.face import image_commands

        app.add_typer(image_commands.app, name="images")
    if asked in ("drill", _HELP):
        from lab_checks.face import drill_command

        app.add_typer(drill_command.app, name="drill")
    if asked in ("certificate", _HELP):
        from lab_checks.face import certificate_command

        app.add_typer(certificate_command.app, name="certificate")
    if asked in ("teach", _HELP):
        from lab_checks.face import teach_command

        app.add_typer(teach_command.app, name="teach")
    if asked in ("grade", _HELP):
        from lab_checks.face import grade_command

        app.command()(grade_command.grade)
    if asked in ("class", _HELP):
        from lab_checks.face import class_command

        app.add_typer(class_command.app, name="class")


def main(hear_interrupts: bool = False) -> None:
    """Runs the command; what goes wrong for a known reason is told in its own words.

    With `hear_interrupts`, Ctrl-C ended the process until now; here it becomes KeyboardInterrupt again.
    """
    _load(sys.argv[1] if len(sys.argv) > 1 else _HELP)
    try:
        if hear_interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # `ai-lab progress | head`: the reader has seen enough.
        throw_away(sys.stdout)
        raise SystemExit(0) from None


def _run() -> None:
    from lab_checks.engine.store import StoreError

    try:
        try:
            app(color=colours())
        finally:
            # What a full disk refuses is said here, and not at the interpreter's end.
            sys.stdout.flush()
    except (ClusterError, StoreError) as problem:
        die(problem.what, NO_CLUSTER if isinstance(problem, ClusterError) else STATE, problem.next)
        raise SystemExit(NO_CLUSTER if isinstance(problem, ClusterError) else STATE) from None
    except BrokenPipeError:
        raise
    except OSError as problem:
        throw_away(sys.stdout)
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


if __name__ == "__main__":
    main()
