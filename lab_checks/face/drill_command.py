"""`ai-lab drill`: incident drills. A platform under load is broken by a seed, the clock runs, and you are on call.

ai-lab drill --seed 7                 starts one (the same as ai-lab drill start --seed 7); --faults 2 breaks two things at once
ai-lab drill status                   the clock, the services, and what is handed in
ai-lab drill answer --service NAME --cause CAUSE --evidence LINE
ai-lab drill answer --update "what the users are told"
ai-lab drill check                    the score
ai-lab drill report, post-mortem      what is kept of it
ai-lab drill end                      takes everything back
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_checks.face.terminal import (
    FAILED,
    NO_CLUSTER,
    NOT_YET,
    USAGE,
    JsonOption,
    YesOption,
    die,
    echo,
    exit_status,
    open_session,
    passing,
    show,
)

if TYPE_CHECKING:
    from lab_checks.drill.desk import Desk

app = typer.Typer(
    help="Take an incident drill: you are on call.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Seed = Annotated[int | None, typer.Option(min=1, help="the same seed gives the same drill; without one it is drawn")]
Faults = Annotated[int, typer.Option(min=1, max=2, help="how many things are wrong at once")]


@app.callback(invoke_without_command=True)
def _drill(context: typer.Context, seed: Seed = None, faults: Faults = 1, yes: YesOption = False) -> None:
    if context.invoked_subcommand is None:
        if seed is None:
            typer.echo(context.get_help())
            raise typer.Exit()
        start(seed, faults, yes)


@contextmanager
def _desk(*, yes: bool = False) -> Iterator[Desk]:
    from lab_checks.drill.desk import Desk, NoDrill
    from lab_checks.engine.setup import LessonError

    try:
        yield Desk(open_session(yes=yes))
    except NoDrill as problem:
        raise die(str(problem), NOT_YET, "ai-lab drill start --seed NUMBER") from None
    except LessonError as problem:
        raise die(str(problem), NO_CLUSTER) from None


@app.command()
def start(seed: Seed = None, faults: Faults = 1, yes: YesOption = False) -> None:
    """Start a drill.

    The platform is created, gets its load, and is broken. The clock runs from then on.
    """
    from lab_checks.drill.generator import generate

    drill = generate(random.randrange(1, 1000) if seed is None else seed, faults)
    with _desk(yes=yes) as desk:
        desk.start(drill)
    echo(f"[started] drill {drill.seed}: the clock runs")
    echo(f"You are on call. {'Something is' if faults == 1 else 'Two things are'} wrong on this platform:")
    for each in drill.services:
        echo(f"  {each.name} in namespace {each.namespace}, on {each.product}; its clients: deployment/{each.clients}")
    echo("Read first. Restore what is broken and change nothing else. Then say what it was, and tell the users.")
    echo("  the causes to choose from: ai-lab drill causes")
    echo("  hand in: ai-lab drill answer --service NAME --cause CAUSE --evidence LINE; ai-lab drill answer --update TEXT")
    echo("  the score: ai-lab drill check")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show the clock and how things stand.

    What the services' clients get now, and what is handed in.
    """
    from lab_checks.drill import clients
    from lab_checks.drill.judging import began

    with _desk() as desk:
        drill = desk.current()
        ctx = desk.context(drill)
        since = began(ctx)
        heard = {each.name: clients.heard(ctx, each, since) for each in drill.services}
        answers = desk.attempt(drill).answers
    minutes = (time.time() - since) / 60
    if as_json:
        rows = {name: {"answered": each.answered, "failed": each.failed, "steady": each.steady} for name, each in heard.items()}
        typer.echo(
            json.dumps(
                {"seed": drill.seed, "faults": drill.faults, "minutes": round(minutes, 1), "clients": rows, "answers": answers}, indent=1
            )
        )
        return
    echo(f"drill {drill.seed}, {drill.faults} fault{'s' if drill.faults > 1 else ''}: {minutes:.0f} min on the clock")
    for each in drill.services:
        got = heard[each.name]
        state = "get answers" if got.steady else "get errors, or nothing"
        echo(f"  {each.name} in {each.namespace}: its clients {state} now; {got.answered} answered, {got.failed} failed since it began")
    for name, row in (answers.get("diagnoses") or {}).items():
        echo(f"  handed in: {row['cause']} on {name}{'' if row['accepted'] else ' (not accepted)'}")
    echo(f"  message to the users: {'handed in' if answers.get('update') else 'none yet'}")


@app.command("causes")
def list_causes() -> None:
    """List the causes to choose from."""
    from lab_checks.drill import catalogue

    for each in catalogue.load().values():
        echo(f"  {each.id:<26} {each.title}")


@app.command()
def answer(
    service: Annotated[str, typer.Option(metavar="NAME", help="the service that the cause is of")] = "",
    cause: Annotated[str, typer.Option(metavar="CAUSE", help="one of ai-lab drill causes")] = "",
    evidence: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="a line that kubectl printed; may be given several times")
    ] = None,
    update: Annotated[str, typer.Option(metavar="TEXT", help="the message to the users")] = "",
    update_file: Annotated[Path | None, typer.Option(help="… or a file with it")] = None,
) -> None:
    """Hand in a diagnosis, or the message to users."""
    if bool(service) != bool(cause) or (evidence and not cause):
        raise die(
            "a diagnosis has a service, a cause and its evidence", USAGE, "ai-lab drill answer --service NAME --cause CAUSE --evidence LINE"
        )
    if update_file is not None:
        try:
            update = update_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise die(f"{update_file} cannot be read ({problem})", USAGE) from None
    if not service and not update.strip():
        raise die("nothing to hand in", USAGE, 'ai-lab drill answer --service NAME --cause CAUSE --evidence LINE, or --update "TEXT"')
    with _desk() as desk:
        drill = desk.current()
        if update.strip():
            desk.update(drill, update)
            echo(f"[noted] {drill.key}: the message to the users, {len(update.split())} words")
        if service:
            found = desk.answer(drill, service, cause, "\n".join(evidence or []))
            show(found)
            raise typer.Exit(exit_status([found]))


@app.command()
def check(
    as_json: JsonOption = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="how long to wait for a platform that is still moving")] = 45.0,
) -> None:
    """Score the drill as it stands.

    Cause, evidence, order, collateral damage, time, and the message to the users.
    """
    with _desk() as desk:
        drill = desk.current()
        with passing() as waiting:
            score = desk.check(drill, wait, waiting)
    found = score.verdict().of(drill.key)
    if as_json:
        typer.echo(json.dumps({"seed": drill.seed, "faults": drill.faults, "score": score.to_json(), "verdict": found.to_json()}, indent=1))
    else:
        show(found)
        if not score.idle:
            echo(f"  score: {score.total:g} of 100" + ("" if score.restored else ", and the service is not restored"))
        if score.passed:
            for laid in drill.laid:
                echo(f"  {laid.service.name}: {laid.fill(laid.fault.title)}. Tempting and wrong: {laid.fill(laid.fault.temptation)}.")
            echo("  next: ai-lab drill post-mortem")
    raise typer.Exit(exit_status([found]))


@app.command()
def report(as_json: JsonOption = False) -> None:
    """Show the report: score and timeline.

    The seed in it replays the drill. After the end of a drill it is the newest one.
    """
    from lab_checks.drill.record import report_text

    found = _report()
    typer.echo(json.dumps(found, indent=1) if as_json else report_text(found))


@app.command("post-mortem")
def post_mortem(
    save: Annotated[Path | None, typer.Option("--file", help="write it there instead of printing it")] = None,
) -> None:
    """Begin a post-mortem from the audit log.

    What the log and the clients know is filled in; the rest is yours to write.
    """
    from lab_checks.drill import record

    text = record.post_mortem(_report())
    if save is None:
        typer.echo(text)
    elif save.exists():
        raise die(f"{save} is there already, and may hold what you wrote", USAGE, "name another file")
    else:
        save.write_text(text, encoding="utf-8")
        echo(f"[written] {save}")


def _report() -> dict[str, object]:
    from lab_checks.drill.desk import NoDrill
    from lab_checks.engine.reach import NoCluster

    with _desk() as desk:
        try:
            drill = desk.current()
        except (NoDrill, NoCluster):
            return desk.last()
        return desk.report(drill)


@app.command()
def reset(yes: YesOption = False) -> None:
    """Begin the same drill again."""
    with _desk() as desk:
        drill = desk.current()
    start(drill.seed, drill.faults, yes)


@app.command()
def end(yes: YesOption = False) -> None:
    """End the drill, and take everything back.

    The newest report is kept.
    """
    with _desk(yes=yes) as desk:
        drill = desk.current()
        desk.report(drill)
        desk.end()
    echo(f"[ended] drill {drill.seed}; ai-lab drill report still shows it")


@app.command()
def evaluate(
    url: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="an OpenAI-compatible base URL; without it, that of ai-lab endpoint")
    ] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="the model's name there")] = "",
    recorded: Annotated[Path | None, typer.Option(metavar="FILE", help="judge a recorded session: no cluster, no endpoint")] = None,
    save: Annotated[Path | None, typer.Option("--record", metavar="FILE", help="keep the session there")] = None,
    seeds: Annotated[str, typer.Option(metavar="1-24", help="which drills; without it one for each fault")] = "",
    count: Annotated[int, typer.Option(min=1, help="so many drills at most")] = 24,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Compare an assistant, for instructors.

    It is asked at the same drills, by seed, and judged by cause, evidence, and what its commands would have harmed.
    It sees what a read-only account prints, with secrets masked. Nothing that it says is run.
    """
    from lab_checks.drill import assistant

    try:
        text = _asked(url, model, seeds, count, yes) if recorded is None else recorded.read_text(encoding="utf-8")
        if recorded is None and save is not None:
            save.write_text(text, encoding="utf-8")
        name, found = assistant.replayed(text)
    except (OSError, UnicodeDecodeError, assistant.BadSession) as problem:
        raise die(f"{recorded or save}: {problem}", USAGE) from None
    if as_json:
        typer.echo(json.dumps({"model": name, "drills": [asdict(each) for each in found]}, indent=1))
    else:
        echo("\n".join(assistant.table(name or "the assistant", found)))
    raise typer.Exit(0 if all(each.good for each in found) else FAILED)


def _asked(url: str, model: str, seeds: str, count: int, yes: bool) -> str:
    """The session with the endpoint, as JSON."""
    from lab_checks import endpoint
    from lab_checks.drill import assistant, evaluation, proof

    try:
        where = (
            endpoint.Endpoint(endpoint.checked(url), model or "default", os.environ.get("AI_LAB_ASSISTANT_KEY", ""))
            if url
            else endpoint.configured()
        )
        if where is None:
            raise die("no assistant is configured", USAGE, "ai-lab drill evaluate --endpoint URL --model NAME, or --recorded FILE")
        wanted = proof.seeds_of(seeds) if seeds else list(assistant.seeds().values())
        with _desk(yes=yes):
            session = evaluation.ask(open_session(yes=yes), where, wanted[:count], lambda line: echo(f"… {line}", err=True))
    except ValueError:
        raise die(f'"{seeds}" are no seeds', USAGE, "--seeds 1-24, or --seeds 1,7,12") from None
    except endpoint.EndpointError as problem:
        raise die(str(problem), FAILED) from None
    return json.dumps(session, indent=1)
