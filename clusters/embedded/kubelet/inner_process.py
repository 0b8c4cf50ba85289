"""A child process that goes on as another one: in a PID namespace, only a new process can be the first.

The process that was forked says through a pipe which one goes on in its place, and ends; what could not be prepared is told there too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from typing import Any


class Pipe:
    """From the child, between fork and exec, to its parent. `error` is what the child said, once `InnerPopen` has tried."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.successor = 0
        self.error = ""

    def report(self, pid: int) -> None:
        """The child goes on as this process."""
        os.write(self.writer, f"{pid}\n".encode())

    def guarded(self, prepare: Callable[[Callable[[int], None]], None]) -> Callable[[], None]:
        """`prepare`, called with `report`, whose OSError is told to the parent before it ends the child."""

        def run() -> None:
            try:
                prepare(self.report)
            except OSError as error:
                os.write(self.writer, f"!{error.args[-1]}".encode())
                raise

        return run

    def receive(self) -> None:
        """Reads all that the child said. It has called exec by now, or has ended."""
        os.close(self.writer)
        with open(self.reader, "rb") as file:
            said = file.read().decode(errors="replace")
        pid, _, self.error = said.rpartition("!") if "!" in said else (said, "", "")
        self.successor = int(pid or 0)


class InnerPopen(subprocess.Popen[bytes]):
    """A `Popen` whose `pid` is the process that goes on. It is a child of this process too (CLONE_PARENT)."""

    def __init__(self, pipe: Pipe, *args: Any, **options: Any):
        try:
            super().__init__(*args, **options)
        except BaseException:
            pipe.receive()
            if pipe.successor:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pipe.successor, 0)
            raise
        pipe.receive()
        if pipe.successor:
            os.waitpid(self.pid, 0)
            self.pid = pipe.successor
