"""Running other programs: what was run, how it ended, and in which words it failed.

Everything the kind provider does outside this process goes through `Commands.run`, so that tests can answer in its place.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusters.base import ClusterError


@dataclass(frozen=True)
class Ran:
    """How a command ended: `code` is its exit status, 127 where the program is not there, 124 where its time ran out."""

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

    def run(self, *argv: str, timeout: float, stdin: str = "", on_line: Callable[[str], None] | None = None) -> Ran:
        """Runs `argv` to its end or for `timeout` seconds; `on_line` hears each line of stderr while it runs."""
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **self.environment},
            )
        except FileNotFoundError:
            return Ran(argv, 127, "", f"{argv[0]}: command not found")
        except PermissionError as error:
            return Ran(argv, 126, "", f"{argv[0]}: {error.strerror}")
        heard: list[str] = []

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                heard.append(line)
                if on_line is not None:
                    on_line(line.rstrip())

        listener = threading.Thread(target=listen, daemon=True)
        stopper = threading.Timer(timeout, process.kill)
        listener.start()
        stopper.start()
        try:
            if stdin and process.stdin is not None:
                process.stdin.write(stdin)
                process.stdin.close()
            assert process.stdout is not None
            out = process.stdout.read()
            code = process.wait()
        finally:
            out_of_time = not stopper.is_alive()
            stopper.cancel()
            listener.join(timeout=5)
        return Ran(argv, 124 if out_of_time and code < 0 else code, out, "".join(heard))


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


def explain(ran: Ran, doing: str) -> ClusterError:
    """The error for a person: what was being done, why it failed, what to do next.

    A failure that is not in `failures.toml` is told in the program's own last line.
    """
    said = f"{ran.err}\n{ran.out}"
    for failure in known_failures():
        if re.search(rf"\b({failure.program})$", Path(ran.argv[0]).name) and (found := failure.pattern.search(said)):
            named = {name: text or "" for name, text in found.groupdict().items()}
            return ClusterError(f"{doing}: {failure.what.format(**named)}", next=failure.next.format(**named))
    if ran.code == 124:
        return ClusterError(f"{doing}: `{' '.join(ran.argv[:3])}` did not end in time", next="ai-lab doctor, then try again")
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), f"exit status {ran.code}")
    return ClusterError(f"{doing}: {last}", next="ai-lab doctor says what is missing; ai-lab up --cluster embedded needs none of it")
