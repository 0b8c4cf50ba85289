"""`ai-lab class`: who is where, live, for an instructor; and what a learner's machine reports, only where it joined.

ai-lab class serve                        the instructor's page, on this machine
ai-lab class join 'LINK' --name "Mira"    a learner's machine: report from now on
ai-lab class status                       what this machine reports, to the letter
ai-lab class leave --delete               no more, and delete what was reported
ai-lab class export --csv                 the class as a file
ai-lab class end                          delete everything that was reported
"""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

import clusters
from lab_checks import whole_file
from lab_checks.face.terminal import FAILED, NOT_YET, USAGE, JsonOption, confirm, die, echo, tilde

if TYPE_CHECKING:
    from lab_checks.classroom.membership import Membership

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="A class, live: who is where, and who is stuck on what.")

_PORT = 8765
_ANY = ("0.0.0.0", "::")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="the port of the page")] = _PORT,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="0.0.0.0: learners on this network reach it; left out: this machine only")
    ] = "127.0.0.1",
    base_url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="the address behind a proxy, as people type it, or its path; the proxy leaves the path as it is",
        ),
    ] = "",
    stuck_after: Annotated[
        float, typer.Option(min=1, max=1440, metavar="MINUTES", help="on one exercise without a pass: marked as stuck")
    ] = 15,
    new_links: Annotated[bool, typer.Option("--new-links", help="make new links; the old ones are not valid any more")] = False,
) -> None:
    """For instructors: serve the class's page until Ctrl-C.

    It prints two links: one for you, and one for learners. Nobody without yours sees a name.

    What was reported is kept on this machine, and sent nowhere.
    """  # fmt: skip
    import asyncio

    from lab_checks.classroom import roll

    address, base, secure = _address(host, port, base_url)
    found = roll.Roll(clusters.state_folder(), lambda line: echo(f"… {line}", err=True))
    try:
        with found.served():
            asyncio.run(_serve(found, host, port, address, base, secure, stuck_after * 60, new_links))
    except roll.Served:
        raise die(
            "this machine serves a class already", FAILED, "stop the other ai-lab class serve with Ctrl-C; it printed the links"
        ) from None


def _address(host: str, port: int, base_url: str) -> tuple[str, str, bool]:
    """(the class's address, its path, whether browsers reach it by TLS). Raises the exit for a URL that is none."""
    import platform

    shown = platform.node() if host in _ANY else f"[{host}]" if ":" in host else host
    own = f"http://{shown}:{port}"
    try:
        found = urlsplit(base_url)
        _ = found.port
    except ValueError:
        raise _no_url(base_url) from None
    path = f"/{found.path.strip('/')}/" if found.path.strip("/") else "/"
    if found.query or found.fragment or not path.isascii() or not set("{}?#%\\ ").isdisjoint(path):
        raise _no_url(base_url)
    if not found.scheme and not found.netloc:
        return own + path, path, False
    if found.scheme not in ("http", "https") or not found.hostname:
        raise _no_url(base_url)
    return f"{found.scheme}://{found.netloc}{path}", path, found.scheme == "https"


def _no_url(base_url: str) -> typer.Exit:
    return die(f'"{base_url}" is no address for a class', USAGE, "--base-url https://hub.example.org/services/class/, or only the path")


async def _serve(found: object, host: str, port: int, address: str, base: str, secure: bool, stuck_after: float, new_links: bool) -> None:
    import asyncio
    import signal

    from aiohttp import web

    from lab_checks.classroom import server, wire
    from lab_checks.classroom.roll import Roll

    assert isinstance(found, Roll)
    room = server.Classroom(found, stuck_after, new_links)
    # A browser sends the cookies of one port of a machine to all of them.
    runner = web.AppRunner(server.application(room, base, f"ai-lab-class-{port}", secure), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as problem:
            raise _not_bound(problem, host, port) from None
        stop = asyncio.Event()
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        echo(f"[serving] the class at {address}")
        echo(f"  for you:      {wire.link(address, wire.VIEW, room.view_token)}")
        echo(f"  for learners: ai-lab class join {shlex.quote(wire.link(address, wire.JOIN, room.join_secret))}")
        for line in _reached_by(host, port, address):
            echo(f"  {line}")
        echo(f"  What is reported is kept in {tilde(found.path)}, for your account only. Ctrl-C stops.")
        await stop.wait()
    finally:
        await runner.cleanup()
    echo("[stopped] ai-lab class serve goes on with the same links")


def _reached_by(host: str, port: int, address: str) -> list[str]:
    """What the choice of address means, for people."""
    from lab_checks.classroom import wire

    if wire.is_loopback(host):
        if wire.is_loopback(urlsplit(address).hostname or ""):
            return ["Only this machine reaches it. For learners on your network: --host 0.0.0.0; behind a proxy: --base-url URL."]
        return [f"Only this machine reaches port {port}: the proxy has to run here."]
    told = [f"Every machine that reaches this one can open port {port}. Without a link it sees no name and reports nothing."]
    if urlsplit(address).scheme == "http":
        told.append("Names and reports go over the network unencrypted. Use a network that you trust, or a proxy with TLS.")
    if host in _ANY:
        told.append("Where learners' machines do not know this machine's name, give its address: --base-url http://ADDRESS:PORT/")
    return told


def _not_bound(problem: OSError, host: str, port: int) -> typer.Exit:
    import errno

    if problem.errno == errno.EADDRINUSE:
        return die(
            f"port {port} is taken by another program",
            FAILED,
            f"take another one: ai-lab class serve --port {port + 1 if port < 65535 else _PORT}",
        )
    if problem.errno == errno.EACCES:
        return die(f"port {port} is for the administrator only", FAILED, f"ai-lab class serve --port {_PORT}")
    # A name that cannot be resolved has an error number of its own kind, below 0.
    number = problem.errno or 0
    why = os.strerror(number) if number > 0 else problem.strerror
    return die(f"{host} is no address of this machine ({why})", USAGE, "ai-lab class serve --host 0.0.0.0")


@app.command()
def join(
    link: Annotated[str, typer.Argument(metavar="LINK", help="the link for learners, between quotes")],
    name: Annotated[str, typer.Option(metavar="NAME", help="your name in the class; left out: your name in reports")] = "",
) -> None:
    """Report from this machine to a class.

    It says what is sent. ai-lab class status shows it to the letter, and ai-lab class leave ends it.
    """
    from lab_checks.classroom import membership, report, wire
    from lab_checks.engine import learner

    state = clusters.state_folder()
    try:
        url, secret = wire.read_link(link)
        whose = report.given_name(name or learner.name(state))
        before = membership.joined(state)
        if before is not None and before.url != url:
            raise die(f"this machine reports to the class at {before.url} already", USAGE, "ai-lab class leave, then join again")
        echo(f"As {whose}, to {url}:")
        _tell(report.TOLD)
        known = before or membership.left(state)
        body = {"format": report.FORMAT, "name": whose, "key": known.key if known is not None and known.url == url else ""}
        key = wire.post(url, wire.TO_JOIN, secret, body).get("key")
        if not isinstance(key, str) or not key:
            raise wire.Refused(f"what answers at {url} is no class", "ask your instructor for the link")
    except ValueError as problem:
        raise die(str(problem), USAGE, "ai-lab class join LINK --name NAME") from None
    except wire.Refused as problem:
        raise die(problem.what, FAILED, problem.next) from None
    membership.keep(state, membership.Membership(url, whose, key, time.time()))
    _first_report(state)


def _first_report(state: Path) -> None:
    from lab_checks.classroom import membership, send

    member = membership.joined(state)
    assert member is not None
    found = send.deliver(state, member)
    if found.problem:
        echo("[joined] the first report did not arrive; the next one tells all")
        echo(f"  why: {found.problem}")
    else:
        echo("[joined] your instructor sees where you are")
    echo("  to the letter: ai-lab class status")
    echo("  to stop: ai-lab class leave")


def _tell(text: str) -> None:
    from lab_checks.face import tables

    echo("\n".join(tables.wrapped(text, tables.width(), "  ", "  ")))


@app.command()
def leave(
    delete: Annotated[bool, typer.Option("--delete", help="ask the class to delete what was reported")] = False,
) -> None:
    """Report nothing any more."""
    from lab_checks.classroom import membership, report, wire

    state = clusters.state_folder()
    member = membership.joined(state)
    reported = member or (membership.left(state) if delete else None)
    if reported is None:
        echo("This machine reports to no class.")
        return
    # First of all nothing is sent any more, whether the class answers or not.
    membership.leave(state)
    echo(f"[left] nothing is sent to {reported.url} any more")
    try:
        wire.post(reported.url, wire.TO_LEAVE, reported.key, {"format": report.FORMAT, "delete": delete})
    except wire.Refused as problem:
        if not delete:
            return
        raise die(
            f"what was reported is not deleted: {problem.what}", FAILED, "ai-lab class leave --delete when the class is served"
        ) from None
    if delete:
        membership.forget(state)
        echo("  The class has deleted what was reported.")
    else:
        echo("  The class keeps what was reported; ai-lab class leave --delete deletes it.")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show what this machine reports, to the letter."""
    from lab_checks.classroom import membership, report

    state = clusters.state_folder()
    member = membership.joined(state)
    if member is None:
        if as_json:
            typer.echo(json.dumps({"joined": None, "report": None}, indent=1))
        else:
            echo("This machine reports to no class: nothing is sent.")
            echo("  ai-lab class join LINK, with your instructor's link, changes that.")
        return
    told, found = report.of(state, member.name), membership.delivery(state)
    if as_json:
        where = {"url": member.url, "name": member.name, "since": member.joined}
        delivered = {"at": found.at or None, "problem": found.problem}
        typer.echo(json.dumps({"joined": where, "delivered": delivered, "report": told}, indent=1))
        return
    _tell_standing(member, found.at, found.problem, found.next)
    _tell(report.TOLD)
    echo("The report, as it is sent now:")
    typer.echo(json.dumps(told, indent=1, ensure_ascii=False))


def _tell_standing(member: Membership, at: float, problem: str, next: str) -> None:
    from lab_checks.engine.session import when

    echo(f"This machine reports to {member.url} as {member.name}, since {when(member.joined)}.")
    echo(f"  last report: {when(at)}" if at else "  last report: none has arrived yet")
    if problem:
        echo(f"  the newest did not arrive: {problem}")
        echo(f"  next: {next}. The next report tells all.")


@app.command()
def export(
    as_csv: Annotated[bool, typer.Option("--csv", help="a line for each learner and exercise, for a spreadsheet")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="what the page shows and the lines of the CSV, for a program")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="where it is written; left out: the terminal")] = None,
    stuck_after: Annotated[float, typer.Option(min=1, max=1440, metavar="MINUTES", help="as for serve")] = 15,
) -> None:
    """For instructors: the class as CSV or JSON."""
    from lab_checks.classroom import roll, sheets

    if as_csv == as_json:
        raise die("say which: --csv or --json", USAGE, "ai-lab class export --csv --out class.csv")
    found = roll.Roll(clusters.state_folder(), lambda line: echo(f"… {line}", err=True))
    if not found.exists:
        raise _no_class()
    make = sheets.as_csv if as_csv else sheets.as_json
    text = make(found.learners(), time.time(), stuck_after * 60)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        # Names are in it: for the owner only.
        whole_file.write(out, text)
    except OSError as problem:
        raise die(f"{out} cannot be written: {problem.strerror}", USAGE, "name a file in a folder that is there") from None
    echo(f"[written] {tilde(out)}")


@app.command()
def end(yes: Annotated[bool, typer.Option("--yes", help="ask nothing")] = False) -> None:
    """For instructors: delete everything that was reported, and the links."""
    from lab_checks.classroom import roll

    found = roll.Roll(clusters.state_folder())
    if not found.exists:
        raise _no_class()
    if not yes and not confirm("Delete all that learners reported, and the links?", False):
        raise die("nothing was deleted", FAILED, "ai-lab class end --yes")
    try:
        found.delete()
    except roll.Served:
        raise die("the class is being served", FAILED, "stop ai-lab class serve with Ctrl-C first") from None
    echo("[deleted] all that was reported, and the links")


def _no_class() -> typer.Exit:
    return die("no class was served from this machine", NOT_YET, "ai-lab class serve")
