"""What a learner has done: starts, answers, hints and verdicts, kept in SQLite under the state folder.

Every change is one transaction, so that two notebooks and a terminal can write side by side and nothing is lost when one is killed.
Everything here raises StoreError where the file cannot be read or written; `store.py` says when.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_checks.engine.store import Store

_TABLES = """
CREATE TABLE IF NOT EXISTS attempt (
  id INTEGER PRIMARY KEY, exercise TEXT NOT NULL, version INTEGER NOT NULL, cluster TEXT NOT NULL, started REAL NOT NULL,
  baseline TEXT NOT NULL, hints INTEGER NOT NULL DEFAULT 0, answers TEXT NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS attempt_of ON attempt (exercise, id);
CREATE TABLE IF NOT EXISTS verdict (
  id INTEGER PRIMARY KEY, exercise TEXT NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL, outcome TEXT NOT NULL,
  headline TEXT NOT NULL, credit REAL NOT NULL);
CREATE INDEX IF NOT EXISTS verdict_of ON verdict (exercise, id);
CREATE TABLE IF NOT EXISTS pristine (cluster TEXT PRIMARY KEY, nodes TEXT NOT NULL);
"""
_COLUMNS = {
    "attempt": ("id", "exercise", "version", "cluster", "started", "baseline", "hints", "answers"),
    "verdict": ("id", "exercise", "version", "at", "outcome", "headline", "credit"),
    "pristine": ("cluster", "nodes"),
}
_OBJECTS = ("baseline", "answers", "nodes")


@dataclass(frozen=True)
class Attempt:
    """One start of an exercise. `started` is in seconds since the epoch; `baseline` is the cluster as it was then."""

    id: int
    exercise: str
    version: int
    cluster: str
    started: float
    baseline: dict[str, Any]
    hints: int
    answers: dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """Where an exercise stands. `passed_version` is the version that was passed, 0 where none was; `passed_at` and `passed_headline` tell of the
    newest pass of that version. `hints` are those of the start that took most. `first_start` and `last_start` are 0 where it was never started;
    `last_headline` is what the newest verdict said. Times are in seconds since the epoch.
    """

    exercise: str
    passed_version: int
    tries: int
    hints: int
    last: str
    credit: float
    first_start: float
    last_at: float
    passed_at: float
    passed_headline: str
    last_start: float
    last_headline: str

    def state(self, version: int) -> str:
        """How that version of the exercise stands: passed, passed an earlier version, the word of its newest verdict, started, not started."""
        if self.passed_version:
            return "passed" if self.passed_version == version else "passed an earlier version"
        if not self.last_start:
            return "not started"
        # What was said of an earlier start is not said of this one.
        return self.last if self.last and self.last_at >= self.last_start else "started"


_FILE = "progress.db"


def stamp(folder: Path) -> tuple[int, int]:
    """Another one whenever something was written to the store in `folder`, by whatever process; (0, 0) while there is none."""
    try:
        seen = (folder / _FILE).stat()
    except OSError:
        return 0, 0
    return seen.st_mtime_ns, seen.st_size


def unheard(folder: Path) -> None:
    """Tells nobody that something was written."""


class Progress:
    """The store in `folder`; `tell` hears what a learner has to know of it, such as that a damaged file was moved aside.

    `wrote` is called with the folder after each start, hint and verdict that was written, and after all were forgotten. It must not raise.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda line: None, wrote: Callable[[Path], None] = unheard):
        self._folder = folder
        self._wrote = wrote
        self._store = Store(folder / _FILE, _TABLES, _COLUMNS, _OBJECTS, tell)

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self._store.write(work)
        self._wrote(self._folder)

    def ensure_writable(self) -> None:
        """Writes something that changes nothing: what follows may take a minute, and must not be lost at its end."""

        def work(database: sqlite3.Connection) -> None:
            (number,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {(number + 1) % 1_000_000}")

        self._store.write(work)

    def start(self, exercise: str, version: int, cluster: str, baseline: dict[str, Any], at: float | None = None) -> Attempt:
        """Notes a start, now or `at` (seconds since the epoch)."""
        self._write(
            lambda database: database.execute(
                "INSERT INTO attempt (exercise, version, cluster, started, baseline) VALUES (?, ?, ?, ?, ?)",
                (exercise, version, cluster, time.time() if at is None else at, json.dumps(baseline)),
            )
        )
        found = self.attempt(exercise)
        assert found is not None
        return found

    def attempt(self, exercise: str) -> Attempt | None:
        """The newest start of an exercise."""
        row = self._one(f"SELECT {', '.join(_COLUMNS['attempt'])} FROM attempt WHERE exercise = ? ORDER BY id DESC LIMIT 1", exercise)
        if row is None:
            return None
        number, key, version, cluster, started, baseline, hints, answers = row
        return Attempt(number, key, version, cluster, started, json.loads(baseline), hints, json.loads(answers))

    def _one(self, query: str, *values: Any) -> Any:
        return self._store.read(lambda database: database.execute(query, values).fetchone())

    def begun(self) -> set[str]:
        """The exercises that were ever started or checked."""
        query = "SELECT exercise FROM attempt WHERE exercise != '' UNION SELECT exercise FROM verdict"
        return {str(row[0]) for row in self._store.read(lambda database: database.execute(query).fetchall())}

    def newest(self, exercises: list[str]) -> str:
        """Which of these exercises was started last; the empty text where none was."""
        marks = ",".join("?" * len(exercises))
        row = self._one(f"SELECT exercise FROM attempt WHERE exercise IN ({marks}) ORDER BY id DESC LIMIT 1", *exercises)
        return str(row[0]) if row else ""

    def cleared(self, cluster: str) -> None:
        """Notes that no exercise's start is on this cluster any more."""
        self.start("", 0, cluster, {})

    def shown(self, cluster: str) -> str:
        """The exercise whose start was created last on this cluster; empty where none was, or where all was taken back since."""
        row = self._one("SELECT exercise FROM attempt WHERE cluster = ? ORDER BY id DESC LIMIT 1", cluster)
        return str(row[0]) if row else ""

    def answer(self, exercise: str, **values: Any) -> Attempt | None:
        """Puts `values` over the answers of the newest start; None where there was no start."""

        def work(database: sqlite3.Connection) -> bool:
            row = database.execute("SELECT id, answers FROM attempt WHERE exercise = ? ORDER BY id DESC LIMIT 1", (exercise,)).fetchone()
            if row is not None:
                database.execute("UPDATE attempt SET answers = ? WHERE id = ?", (json.dumps(json.loads(row[1]) | values), row[0]))
            return row is not None

        return self.attempt(exercise) if self._store.write(work) else None

    def hint(self, exercise: str) -> int:
        """Counts one more hint taken of the newest start and returns how many that makes."""
        self._write(
            lambda database: database.execute(
                "UPDATE attempt SET hints = hints + 1 WHERE id = (SELECT max(id) FROM attempt WHERE exercise = ?)", (exercise,)
            )
        )
        found = self.attempt(exercise)
        return found.hints if found else 0

    def record(self, exercise: str, version: int, outcome: str, headline: str, credit: float) -> None:
        self._write(
            lambda database: database.execute(
                "INSERT INTO verdict (exercise, version, at, outcome, headline, credit) VALUES (?, ?, ?, ?, ?, ?)",
                (exercise, version, time.time(), outcome, headline, credit),
            )
        )

    def standing(self, exercise: str) -> Standing:
        def work(database: sqlite3.Connection) -> tuple[list[Any], Any]:
            return (
                database.execute(
                    "SELECT version, at, outcome, headline, credit FROM verdict WHERE exercise = ? ORDER BY id", (exercise,)
                ).fetchall(),
                database.execute(
                    "SELECT coalesce(max(hints), 0), coalesce(min(started), 0), coalesce(max(started), 0) FROM attempt WHERE exercise = ?",
                    (exercise,),
                ).fetchone(),
            )

        rows, (hints, first, newest) = self._store.read(work)
        version = max((row[0] for row in rows if row[2] == "passed"), default=0)
        passed = next((row for row in reversed(rows) if row[2] == "passed" and row[0] == version), (0, 0.0, "", "", 0.0))
        last = rows[-1] if rows else (0, 0.0, "", "", 0.0)
        return Standing(
            exercise, version, sum(row[2] in ("passed", "failed") for row in rows), hints, last[2], max((row[4] for row in rows), default=0.0),
            first, last[1], passed[1], passed[3], newest, last[3],
        )  # fmt: skip

    def failures(self, exercise: str) -> list[tuple[str, int]]:
        """What failed checks said, the most frequent first, and how many times."""
        rows = self._store.read(
            lambda database: database.execute(
                "SELECT headline, count(*) FROM verdict WHERE exercise = ? AND outcome = 'failed' GROUP BY headline ORDER BY 2 DESC, max(id) DESC",
                (exercise,),
            ).fetchall()
        )
        return [(str(headline), int(times)) for headline, times in rows]

    def forget(self) -> None:
        """Forgets every start, answer, hint and verdict. How the nodes were before any exercise is kept: it is about the cluster."""

        def work(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM attempt")
            database.execute("DELETE FROM verdict")

        self._write(work)

    def pristine(self, cluster: str) -> dict[str, Any] | None:
        """The nodes of a cluster as they were before any exercise."""
        row = self._one("SELECT nodes FROM pristine WHERE cluster = ?", cluster)
        return json.loads(row[0]) if row else None

    def remember_pristine(self, cluster: str, nodes: dict[str, Any]) -> None:
        self._store.write(
            lambda database: database.execute("INSERT OR IGNORE INTO pristine (cluster, nodes) VALUES (?, ?)", (cluster, json.dumps(nodes)))
        )
