"""What a submission's own progress says, read as what it is: a file that the submission may have written as it likes.

Answers and hints are taken over into a progress of the grader's, each as it was when its cell had ended. Verdicts are not: the grader judges anew, and
a diagnosis too. Nor are baselines: the grader made the starts itself.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = "progress.db"
# A lab's starts take some megabytes.
_LARGEST = 200_000_000
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Start:
    """One start of an exercise, as the submission's progress has it."""

    number: int
    exercise: str
    hints: int
    answers: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a check said inside of the notebook."""

    number: int
    exercise: str
    outcome: str
    headline: str


@dataclass(frozen=True)
class Claims:
    starts: tuple[Start, ...] = ()
    verdicts: tuple[Claim, ...] = ()


def read(folder: int, aside: Path) -> Claims:
    """What the progress in the folder with this descriptor says now; nothing where it cannot be read. `aside` is where a copy may lie for a moment."""
    try:
        # The name may be a link by now, or a pipe; the folder may have another name.
        number = os.open(_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return Claims()
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return Claims()
        with tempfile.NamedTemporaryFile(dir=aside, suffix=".db") as copy:
            copy.write(file.read(_LARGEST))
            copy.flush()
            try:
                return _rows(Path(copy.name))
            except (sqlite3.Error, ValueError, TypeError, RecursionError, OverflowError):
                return Claims()


def _rows(path: Path) -> Claims:
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        # A schema that somebody else wrote may not call functions.
        database.execute("PRAGMA trusted_schema = OFF")
        starts = database.execute("SELECT id, exercise, hints, answers FROM attempt ORDER BY id LIMIT ?", (_MOST_ROWS,)).fetchall()
        verdicts = database.execute("SELECT id, exercise, outcome, headline FROM verdict ORDER BY id LIMIT ?", (_MOST_ROWS,)).fetchall()
    finally:
        database.close()
    return Claims(
        tuple(Start(int(row[0]), str(row[1]), int(row[2]), _object(row[3])) for row in starts),
        tuple(Claim(int(row[0]), str(row[1]), str(row[2])[:40], str(row[3])[:500]) for row in verdicts),
    )


def _object(text: Any) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
