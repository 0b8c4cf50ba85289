"""Running other programs: what was run, how it ended, and in which words it failed.

Everything the kind provider does outside this process goes through `Commands.run`, so that tests can answer in its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from clusters.base import ClusterError

# How long a program that is interrupted may take to end, in seconds.
_GRACE = 10.0

# A line longer than this is a command line that failed, not why it did.
_LONGEST = 300


# Exit statuses of `Ran` where the program did not run at all.
NOT_STARTED = (126, 127)


@dataclass(frozen=True)
class Ran:
    """How a command ended: `code` is its exit status, 127 where the program is not there, 126 where it may not be run, 124 where its time ran out."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Commands:
    """Runs programs. `environment` is laid over the process's own."""

    def __init__(self, environment: Mapping[str, str] | None = None):
        self.environment = dict(environment or {})
        self._running: set[subprocess.Popen[str]] = set()

    def run(
        self, *argv: str, timeout: float, called: str = "", on_line: Callable[[str], None] | None = None, stdin: Path | None = None
    ) -> Ran:
        """Runs `argv` to its end or for `timeout` seconds; `on_line` hears each line of its output while it runs.

        `called` is the name by which the program is told that it was called (argv[0]); kubectl shows it to the API server as its user agent.
        `stdin` is a file that it reads. Several threads may run programs at once.
        """
        with contextlib.ExitStack() as stack:
            try:
                given = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
            except OSError as error:
                return Ran(argv, 126, "", f"{stdin}: {error.strerror or error}")
            return self._run(argv, given, timeout, called, on_line)

    def interrupt(self) -> None:
        """Ends every program that is running now, in whatever thread it was started."""
        running = tuple(self._running)
        for process in running:
            _signal_group(process, signal.SIGINT)
        for process in running:
            try:
                process.wait(timeout=_GRACE)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)

    def _run(
        self, argv: tuple[str, ...], stdin: IO[bytes] | int, timeout: float, called: str, on_line: Callable[[str], None] | None
    ) -> Ran:
        try:
            # A group of its own, so that what the program started ends with it: `kind` runs `docker pull` and waits for it.
            process = subprocess.Popen(
                [called or argv[0], *argv[1:]],
                executable=argv[0],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **self.environment},
                process_group=0,
            )
        except FileNotFoundError:
            return Ran(argv, 127, "", f"{argv[0]}: command not found")
        except PermissionError as error:
            return Ran(argv, 126, "", f"{argv[0]}: {error.strerror}")
        except OSError as error:
            return Ran(argv, 126, "", f"{argv[0]}: {error.strerror or error}")
        self._running.add(process)
        heard: list[str] = []

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                heard.append(line)
                if on_line is not None:
                    on_line(line.rstrip())

        out_of_time = threading.Event()

        def stop() -> None:
            out_of_time.set()
            _signal_group(process, signal.SIGKILL)

        listener = threading.Thread(target=listen, daemon=True)
        stopper = threading.Timer(timeout, stop)
        listener.start()
        stopper.start()
        try:
            assert process.stdout is not None
            written = []
            for line in process.stdout:
                written.append(line)
                if on_line is not None:
                    on_line(line.rstrip())
            code = process.wait()
        except BaseException:
            # Ctrl-C does not reach a group of its own; it is handed on, so that nothing goes on working behind the prompt.
            _signal_group(process, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE)
            _signal_group(process, signal.SIGKILL)
            raise
        finally:
            stopper.cancel()
            listener.join(timeout=_GRACE)
            self._running.discard(process)
        return Ran(argv, 124 if out_of_time.is_set() and code < 0 else code, "".join(written), "".join(heard))


def _signal_group(process: subprocess.Popen[str], number: int) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


@dataclass(frozen=True)
class Failure:
    """A known way for a command to fail: words in its output, what they mean and what mends it."""

    program: str
    pattern: re.Pattern[str]
    what: str
    next: str


@cache
def known_failures() -> tuple[Failure, ...]:
    rows = tomllib.loads(Path(__file__).with_name("failures.toml").read_text())["failure"]
    return tuple(Failure(row["program"], re.compile(row["pattern"], re.I | re.S), row["what"], row["next"]) for row in rows)


def kubectl(commands: Commands, kubeconfig: Path | None, *arguments: str, timeout: float = 30.0) -> Ran:
    """Runs the kubectl beside this Python, or the one on PATH, as `ai-lab`: the audit log then tells what the course did from what the learner did."""
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.exists() else shutil.which("kubectl") or "kubectl"
    where = ("--kubeconfig", str(kubeconfig)) if kubeconfig else ()
    return commands.run(program, *where, *arguments, timeout=timeout, called="ai-lab")


def explain(ran: Ran, doing: str) -> ClusterError:
    """The error for a person: what was being done, why it failed, what to do next.

    A failure that is not in `failures.toml` is told in the program's own words.
    """
    said = f"{ran.err}\n{ran.out}"
    for failure in known_failures():
        if re.search(rf"\b({failure.program})$", Path(ran.argv[0]).name) and (found := failure.pattern.search(said)):
            named = {name: text or "" for name, text in found.groupdict().items()}
            return ClusterError(f"{doing}: {failure.what.format(**named)}", next=failure.next.format(**named))
    if ran.code == 124:
        return ClusterError(f"{doing}: `{' '.join(ran.argv[:3])}` did not end in time", next="ai-lab doctor, then try again")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # The last line that speaks of an error, where one does: programs like to end with how to get help.
    telling = (
        [line for line in lines if re.search(r"\berror\b", line, re.I) and len(line) < _LONGEST] or lines or [f"exit status {ran.code}"]
    )
    return ClusterError(f"{doing}: {telling[-1]}", next="ai-lab doctor says what is missing; ai-lab up --cluster embedded needs none of it")
