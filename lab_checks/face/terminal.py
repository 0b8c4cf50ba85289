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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

import clusters

if TYPE_CHECKING:
    from lab_checks.engine.session import Session
    from lab_checks.engine.verdict import Verdict

FAILED, USAGE, NOT_YET, CHECKER, NO_CLUSTER = 1, 2, 3, 4, 5

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
YesOption = Annotated[bool, typer.Option("--yes", help="ask nothing: also delete what was left over outside the course's namespaces")]


# A command of the course in a sentence: the name, and a subcommand after it.
_MENTIONED = re.compile(
    r"(?<![\w./=-])ai-lab(?= (?:answer|certificate|check|class|debrief|dev|diagnose|doctor|down|drill|endpoint|env|grade|hint|images|interview"
    r"|notebooks|open|progress|report|reset|start|status|teach|up|watch)\b)"
)


@functools.cache
def command() -> str:
    """`ai-lab` as it can be typed in the shell that runs this process: by its name where PATH leads to this installation, else by its path.

    An environment in uv's cache is on PATH for this one process only; in a shell that has the course's environment it stays there.
    """
    own = Path(sys.executable).with_name("ai-lab")
    if Path(sys.prefix).parent.name.startswith("archive-v") and "AI_LAB_COURSE" not in os.environ:
        return "uvx --from ai-lab ai-lab"
    found = shutil.which("ai-lab")
    if (found and os.path.samefile(found, own)) if own.exists() else True:
        return "ai-lab"
    beside = Path.cwd()
    return shlex.quote(str(own.relative_to(beside) if own.is_relative_to(beside) else own))


def typable(text: str) -> str:
    """`text` with each command of the course as it can be typed in this shell."""
    name = command()
    return text if name == "ai-lab" else _MENTIONED.sub(lambda _: name, text)


def colours() -> bool | None:
    """False where NO_COLOR asks for none (https://no-color.org); None: as the output takes them."""
    return False if os.environ.get("NO_COLOR") else None


def echo(text: str, *, err: bool = False, fg: str | None = None, nl: bool = True) -> None:
    """Prints `text` for a person, with the course's commands as they can be typed here.

    Raises BrokenPipeError where nobody reads the output any more. What goes to stderr tells of work that is under way: that goes on unheard.
    """
    try:
        typer.secho(typable(text), fg=fg, err=err, nl=nl, color=colours())
    except BrokenPipeError:
        if not err:
            raise
        throw_away(sys.stderr)


def throw_away(stream: TextIO) -> None:
    """Throws away what is still written to a stream that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
            echo(f"✘ {title}", fg="red", err=True)
            raise
        self._stop(shown)
        echo("✔ ", fg="green", nl=False, err=True)
        echo(f"{title} ({time.monotonic() - began:.1f} s)", err=True)

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


@contextmanager
def _question() -> Iterator[None]:
    """Around a question on a terminal: Ctrl-C ends the command as it does everywhere, and so does the end of the input."""
    try:
        yield
    except typer.Abort:
        typer.echo(err=True)
        raise KeyboardInterrupt from None


def confirm(question: str, default: bool) -> bool:
    """Asks with yes or no; where nobody sits at a terminal, the answer is no."""
    with _question():
        return sys.stdin.isatty() and typer.confirm(question, default=default, err=True)


def ask_line(question: str) -> str:
    """Asks for a line, which may be empty."""
    with _question():
        return str(typer.prompt(question, default="", show_default=False, err=True))


def open_session(*, yes: bool = False) -> Session:
    """The learner's session; with `yes` nothing is asked. Where nobody sits at a terminal, a question is answered with no."""
    from lab_checks.classroom import membership
    from lab_checks.engine.session import Session, agreed

    return Session(
        say=lambda line: echo(f"… {line}", err=True),
        ask=agreed if yes else lambda question: confirm(question, True),
        wrote=membership.nudge,
    )


@contextmanager
def passing() -> Iterator[Callable[[str], None]]:
    """Says, on stderr, what is waited for. On a terminal that line goes away when the wait is over."""
    length = 0

    def say(line: str) -> None:
        nonlocal length
        text = typable(f"… {line}")
        if not sys.stderr.isatty():
            echo(text, err=True)
            return
        # A line that is wrapped cannot be taken back.
        text = text[: shutil.get_terminal_size().columns - 1]
        length = len(text)
        echo(text, err=True, nl=False)

    try:
        yield say
    finally:
        if length:
            echo(f"\r{' ' * length}\r", err=True, nl=False)


def exit_status(verdicts: list[Verdict]) -> int:
    from lab_checks.engine.verdict import Outcome

    found = {verdict.outcome for verdict in verdicts}
    for outcome, code in ((Outcome.ERROR, CHECKER), (Outcome.FAILED, FAILED), (Outcome.NOT_YET, NOT_YET)):
        if outcome in found:
            return code
    return 0


def show(verdict: Verdict) -> None:
    from lab_checks.face import wording

    first, *rest = verdict.lines()
    echo(first, fg=wording.LOOKS[verdict.mark].in_terminal)
    for line in rest:
        echo(line)
