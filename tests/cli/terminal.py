"""A command on a terminal of its own, as a person has it: pexpect's pseudo-terminal, with the escape sequences taken out of what is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pexpect

from tests.conftest import BIN

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


class Terminal:
    def __init__(self, home: Path, *arguments: str, columns: int = 80, rows: int = 60, **environment: str):
        plain = {
            name: value for name, value in os.environ.items() if name not in ("EDITOR", "VISUAL", "COLUMNS", "LINES", "AI_LAB_LEARNER")
        }
        self.child = pexpect.spawn(
            str(BIN / "ai-lab"), list(arguments), env={**plain, "AI_LAB_HOME": str(home), "TERM": "xterm-256color", **environment},
            dimensions=(rows, columns), encoding="utf-8", timeout=60, cwd=str(home),
        )  # fmt: skip
        self._read = ""

    def until(self, words: str) -> None:
        self.child.expect_exact(words)
        self._read += self.child.before + words

    @property
    def seen(self) -> str:
        """All that was read so far, with its escape sequences."""
        return self._read

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def end(self) -> tuple[int, str]:
        """(exit status, all that was shown); a process that a signal ended has 128 and its number."""
        self.child.expect(pexpect.EOF)
        self._read += self.child.before
        self.child.close()
        status = self.child.exitstatus
        return 128 + self.child.signalstatus if status is None else status, _ESCAPES.sub("", self._read)
