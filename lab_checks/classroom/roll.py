"""Who is in the class, and the newest report of each: kept in SQLite on the instructor's machine, for its owner only.

A learner's key is kept as a hash. So a copy of the file reports for nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kubeobjects import Object
from lab_checks.engine.store import Store

_FOLDER, _FILE, _LOCK = "class", "class.db", "serving.lock"
_TABLES = """
CREATE TABLE IF NOT EXISTS learner (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, joined REAL NOT NULL, seen REAL NOT NULL, sitting REAL NOT NULL,
  gone REAL NOT NULL DEFAULT 0, report TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = {"learner": ("id", "key", "name", "joined", "seen", "sitting", "gone", "report"), "secret": ("name", "value")}

VIEW, JOIN = "view", "join"
# Seconds of silence after which a learner's next report begins a new sitting.
SITTING_ENDS = 3600.0

Change = Callable[[sqlite3.Connection], object]


class Served(Exception):
    """Another process serves this class now."""


def new_secret() -> str:
    """256 bits, as text for links and headers."""
    return secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """A secret as it is kept. Any text has one: what a request holds may be no text that could be written down."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same; how long that takes says nothing about them."""
    return hmac.compare_digest(hashed(one), hashed(other))


@dataclass
class Learner:
    """One machine that joined. All times are seconds since the epoch, by the server's clock, but for those in `report`, which are the learner's own.

    `sitting`: since when there has been no long silence. `gone`: when the learner left; 0 for one who has not. `report` is empty before the first.
    """

    id: int
    key: str
    name: str
    joined: float
    seen: float
    sitting: float
    gone: float = 0.0
    report: Object = field(default_factory=dict)

    def heard(self, report: Object, now: float) -> None:
        """A report came in."""
        if now - self.seen > SITTING_ENDS:
            self.sitting = now
        self.seen = now
        self.name = report["name"]
        self.report = report

    @property
    def skew(self) -> float:
        """How many seconds the server's clock is ahead of the learner's; what the way takes counts as none."""
        found = self.seen - float(self.report.get("at", self.seen))
        return found if abs(found) > 2 else 0.0


class Roll:
    """The file in the state folder `state`. Methods raise StoreError where it cannot be read or written, and OSError where its folder cannot."""

    def __init__(self, state: Path, tell: Callable[[str], None] = lambda line: None):
        self.folder = state / _FOLDER
        self.path = self.folder / _FILE
        self._store = Store(self.path, _TABLES, _COLUMNS, ("report",), tell)

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Also a folder or a file that was there before: both hold people's names.
        self.folder.chmod(0o700)
        with contextlib.suppress(FileNotFoundError):
            self.path.chmod(0o600)

    def secrets(self, renew: bool = False) -> tuple[str, str]:
        """(the instructor's token, the learners'), made when they are asked for first; with `renew` both are new ones."""
        self._prepare()

        def work(database: sqlite3.Connection) -> tuple[str, str]:
            if renew:
                database.execute("DELETE FROM secret")
            for each in (VIEW, JOIN):
                database.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (each, new_secret()))
            found = dict(database.execute("SELECT name, value FROM secret").fetchall())
            return found[VIEW], found[JOIN]

        made = self._store.write(work)
        self._prepare()
        return made

    def learners(self) -> list[Learner]:
        """In the order in which they joined."""
        columns = _COLUMNS["learner"]
        rows = self._store.read(lambda database: database.execute(f"SELECT {', '.join(columns)} FROM learner ORDER BY id").fetchall())
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        return [Learner(**{**each, "report": json.loads(each["report"])}) for each in found]

    def write(self, changes: list[Change]) -> None:
        """All of these in one transaction. What they delete or replace cannot be read out of the file afterwards."""

        def work(database: sqlite3.Connection) -> None:
            database.execute("PRAGMA secure_delete = ON")
            for each in changes:
                each(database)

        self._store.write(work)

    @contextmanager
    def served(self) -> Iterator[None]:
        """While this process serves the class. Raises Served where another one does."""
        self._prepare()
        with (self.folder / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Served from None
            yield

    def delete(self) -> None:
        """Everything that was reported, and the links. Raises Served, OSError."""
        with self.served():
            for each in self.folder.iterdir():
                if each.name != _LOCK:
                    each.unlink()


def saved(learner: Learner) -> Change:
    """Puts a learner in the file, new or anew, as it stands now."""
    row = (
        learner.id, learner.key, learner.name, learner.joined, learner.seen, learner.sitting, learner.gone, json.dumps(learner.report),
    )  # fmt: skip
    marks = ",".join("?" * len(row))
    return lambda database: database.execute(f"INSERT OR REPLACE INTO learner ({', '.join(_COLUMNS['learner'])}) VALUES ({marks})", row)


def removed(learner: Learner) -> Change:
    number = learner.id
    return lambda database: database.execute("DELETE FROM learner WHERE id = ?", (number,))
