"""What all commands of `ai-lab` share on a terminal: exit statuses, errors for people, progress step by step, verdicts.

Everything that may tell a person to type `ai-lab …` goes through `echo`, which writes the command as it can be typed in this very shell.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import clusters

if TYPE_CHECKING:
    from lab_checks.engine.session import Session
    from lab_checks.engine.verdict import Verdict

FAILED, USAGE, NOT_YET, CHECKER, NO_CLUSTER = 1, 2, 3, 4, 5

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
YesOption = Annotated[bool, typer.Option("--yes", help="delete what was left over outside the course's namespaces, without a question")]


# A command of the course in a sentence: the name, and a subcommand after it.
_MENTIONED = re.compile(
    r"(?<![\w./=-])ai-lab(?= (?:answer|check|dev|diagnose|doctor|down|env|hint|images|interview|open|progress|report|reset|start|status|up)\b)"
)


@functools.cache
def command() -> str:
    """`ai-lab` as it can be typed in the shell that runs this process: by its name where PATH leads to this installation, else by its path."""
    own = Path(sys.executable).with_name("ai-lab")
    found = shutil.which("ai-lab")
    if (found and os.path.samefile(found, own)) if own.exists() else True:
        return "ai-lab"
    beside = Path.cwd()
    return shlex.quote(str(own.relative_to(beside) if own.is_relative_to(beside) else own))


def typable(text: str) -> str:
    """`text` with each command of the course as it can be typed in this shell."""
    name = command()
    return text if name == "ai-lab" else _MENTIONED.sub(lambda _: name, text)


def echo(text: str, *, err: bool = False, fg: str | None = None) -> None:
    """Prints `text` for a person, with the course's commands as they can be typed here."""
    typer.secho(typable(text), fg=fg, err=err)


def tilde(path: Path) -> str:
    """A path as people write it, with ~ for the home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        return str(path)
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def die(what: str, code: int, next: str = "") -> typer.Exit:
    """Prints an error for people and gives the exit to raise."""
    echo(f"✘ {what}", fg="red", err=True)
    if next:
        echo(f"  next: {next}", err=True)
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
        echo(f"  {line}", err=True)

    def detail(self, line: str) -> None:
        if sys.stderr.isatty():
            self.say(line)

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


def open_session(*, yes: bool = False) -> Session:
    """The learner's session; with `yes` nothing is asked. Where nobody sits at a terminal, a question is answered with no."""
    from lab_checks.engine.session import Session, agreed

    def ask(question: str) -> bool:
        return sys.stdin.isatty() and typer.confirm(question, default=True, err=True)

    return Session(say=lambda line: echo(f"… {line}", err=True), ask=agreed if yes else ask)


def exit_status(verdicts: list[Verdict]) -> int:
    from lab_checks.engine.verdict import Outcome

    found = {verdict.outcome for verdict in verdicts}
    for outcome, code in ((Outcome.ERROR, CHECKER), (Outcome.FAILED, FAILED), (Outcome.NOT_YET, NOT_YET)):
        if outcome in found:
            return code
    return 0


def show(verdict: Verdict) -> None:
    colours = {"passed": "green", "failed": "red", "not yet": "yellow", "checker error": "magenta"}
    first, *rest = verdict.lines()
    echo(first, fg=colours[str(verdict.outcome)])
    for line in rest:
        echo(line)
