"""Commands that answer as they have been seen to, in place of the programs themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from clusters.base import Progress
from clusters.kind.commands import Commands, Ran


class Recorded(Commands):
    """Answers a command by the first row whose `when` matches it; an output that `outputs` names is taken from there. Remembers what was run."""

    def __init__(self, *rows: dict[str, Any], outputs: dict[str, str] | None = None):
        super().__init__()
        self.rows = rows
        self.outputs = outputs or {}
        self.ran: list[str] = []

    def run(self, *argv: str, timeout: float, called: str = "", on_line: Any = None) -> Ran:
        line = " ".join([Path(argv[0]).name, *argv[1:]])
        self.ran.append(line)
        for row in self.rows:
            if re.search(row["when"], line):
                out = row.get("out", "")
                return Ran((Path(argv[0]).name, *argv[1:]), row.get("code", 0), self.outputs.get(out, out), row.get("err", ""))
        raise AssertionError(f"nobody has recorded an answer to: {line}")

    def did(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self.ran)


class Heard(Progress):
    """Remembers the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
