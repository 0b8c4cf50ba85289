"""One SQLite file of the learner's, read and written so that a full disk, a lock or damage ends in words and not in a traceback.

A damaged file is moved aside under a name that is told; the rows that can still be read go into a new one. The journal is SQLite's own
rollback journal: a file that is only read needs no second file beside it, so it can be read where nothing can be written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# Seconds that a write waits for another program's.
_PATIENCE = 15.0
# Below this many free bytes SQLite's "disk I/O error" and "unable to open" mean a full disk.
_PAGE = 64 * 1024
# https://www.sqlite.org/rescode.html
_ERROR, _BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 1, 5, 6, 8, 10, 11, 13, 14, 26


class StoreError(Exception):
    """The file cannot be read or written: `what` is the matter with which file, and what to do `next`."""

    def __init__(self, what: str, next: str):
        super().__init__(f"{what}; {next}")
        self.what = what
        self.next = next


class Damaged(Exception):
    """The file is not what was written; the message says what it is."""


def _code(problem: sqlite3.Error) -> int:
    return int(getattr(problem, "sqlite_errorcode", 0) or 0) & 0xFF


class Store:
    """The file at `path` with the tables of `schema`. `columns` names each table's; those in `objects` hold JSON objects.

    `tell` hears one line when a damaged file was moved aside. Nothing is opened before the first read or write.
    """

    def __init__(self, path: Path, schema: str, columns: dict[str, tuple[str, ...]], objects: tuple[str, ...], tell: Callable[[str], None]):
        self.path = path
        self._schema = schema
        self._columns = columns
        self._objects = objects
        self._tell = tell
        self._examined = False

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` finds; a file that does not exist and cannot be created reads as empty. Raises StoreError."""
        return self._run(work, writing=False)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in one transaction: all of it is on the disk when this returns, or nothing. Raises StoreError."""

        def transaction(database: sqlite3.Connection) -> T:
            database.execute("BEGIN IMMEDIATE")
            try:
                found = work(database)
                database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise
            return found

        return self._run(transaction, writing=True)

    def _run(self, work: Callable[[sqlite3.Connection], T], writing: bool) -> T:
        for attempt in (1, 2):
            try:
                with self._opened(writing) as database:
                    return work(database)
            except Damaged as problem:
                if attempt == 2:
                    raise StoreError(f"{self.path} is damaged: {problem}", f"move it away: mv {self.path} {self.path}.old") from None
                self._repair(str(problem))
            except sqlite3.DatabaseError as problem:
                if attempt == 2 or _code(problem) not in (_CORRUPT, _NOTADB):
                    raise self._explained(problem) from None
                self._repair(str(problem))
            except OSError as problem:
                raise self._explained(problem) from None
        raise AssertionError("the second attempt returns or raises")

    @contextmanager
    def _opened(self, writing: bool) -> Iterator[sqlite3.Connection]:
        if not os.path.lexists(self.path):
            try:
                self._create(self.path, {})
            except (OSError, sqlite3.Error):
                if writing:
                    raise
                with closing(sqlite3.connect(":memory:")) as empty:
                    empty.executescript(self._schema)
                    yield empty
                return
        with closing(self._connected()) as database:
            if not self._examined:
                self._examine(database)
                self._examined = True
            yield database

    def _connected(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise Damaged("it is a folder" if self.path.is_dir() else "it is not a file")
        if not self.path.stat().st_size:
            raise Damaged("it is empty")
        database = self._connect("mode=rw")
        try:
            # Waits while another program writes; fails where the file, or its folder, cannot be read.
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as problem:
            database.close()
            if _code(problem) not in (_CANTOPEN, _READONLY, _IOERR) or not os.access(self.path, os.R_OK):
                raise
            # A file of an earlier version wants a second one beside it even for reading: it is read as it stands.
            database = self._connect("mode=ro&immutable=1")
        except BaseException:
            database.close()
            raise
        return database

    def _connect(self, how: str, path: Path | None = None) -> sqlite3.Connection:
        return sqlite3.connect(f"{(path or self.path).absolute().as_uri()}?{how}", uri=True, timeout=_PATIENCE, isolation_level=None)

    def _examine(self, database: sqlite3.Connection) -> None:
        """Raises Damaged, or sqlite3.DatabaseError, for a file that is not whole."""
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(str(found).splitlines()[-1])
        with contextlib.suppress(sqlite3.OperationalError):
            database.execute("PRAGMA journal_mode=DELETE")
        for table, columns in self._columns.items():
            try:
                database.execute(f"SELECT {', '.join(columns)} FROM {table} LIMIT 0")
            except sqlite3.OperationalError as problem:
                if _code(problem) == _ERROR:
                    raise Damaged(f"it holds something else ({problem})") from None
                raise

    def _create(self, path: Path, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Puts a new file with these rows at `path` in one step, unless somebody else just did: nobody ever sees half of one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(draft)) as database:
                database.executescript(self._schema)
                with database:
                    for table, found in rows.items():
                        columns = self._columns[table]
                        database.executemany(
                            f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", found
                        )
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            except OSError:
                # Some file systems have no hard links.
                if not os.path.lexists(path):
                    os.rename(draft, path)
        finally:
            for left in (draft, draft.with_name(draft.name + "-journal")):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)

    # Damage

    def _repair(self, why: str) -> None:
        """Moves a damaged file aside and goes on with what can be read of it. Raises StoreError where that cannot be done."""
        try:
            with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self._still_damaged():
                    return
                rows = self._salvage()
                aside = self._aside()
                fresh = self.path.with_name(f"{self.path.name}.repaired")
                fresh.unlink(missing_ok=True)
                self._create(fresh, rows)
                for suffix in ("", "-wal", "-shm", "-journal"):
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
                os.rename(fresh, self.path)
        except (OSError, sqlite3.Error) as problem:
            explained = self._explained(problem)
            raise StoreError(f"{self.path} is damaged ({why}) and cannot be repaired: {explained.what}", explained.next) from None
        self._examined = False
        counted = sum(map(len, rows.values()))
        self._tell(
            f"{self.path.name} was damaged ({why}). It is kept as {aside}; "
            + (
                f"what could be read of it goes on ({counted} entries)."
                if counted
                else "nothing in it could be read, and progress begins anew."
            )
        )

    def _still_damaged(self) -> bool:
        """False where another program repaired the file while this one waited."""
        try:
            with closing(self._connected()) as database:
                self._examine(database)
        except (Damaged, sqlite3.DatabaseError, OSError):
            return True
        return False

    def _aside(self) -> Path:
        stem = f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
        return next(path for name in names if not os.path.lexists(path := self.path.with_name(name)))

    def _salvage(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of each table that can be read, from both ends; those whose JSON is broken are left out."""
        best: dict[str, list[tuple[Any, ...]]] = {table: [] for table in self._columns}
        if not self.path.is_file():
            return best
        padded = self.path.with_name(f".{self.path.name}.{os.getpid()}.read")
        try:
            for how, path in (("mode=rw", self.path), ("mode=ro&immutable=1", padded)):
                if path == padded:
                    _pad(self.path, padded)
                with contextlib.suppress(sqlite3.Error):
                    self._best(how, path, best)
        finally:
            padded.unlink(missing_ok=True)
        return best

    def _best(self, how: str, path: Path, best: dict[str, list[tuple[Any, ...]]]) -> None:
        """Puts a table's rows into `best` where more of them can be read this way."""
        with closing(self._connect(how, path)) as database:
            database.text_factory = lambda raw: raw.decode(errors="replace")
            for table, columns in self._columns.items():
                found = self._rows(database, table, columns)
                if len(found) > len(best[table]):
                    best[table] = found

    def _rows(self, database: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        found: dict[int, tuple[Any, ...]] = {}
        for order in ("", " DESC"):
            # Damage in the middle stops a reader: the second one comes from the other end.
            with contextlib.suppress(sqlite3.Error):
                for number, *row in database.execute(f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED ORDER BY rowid{order}"):
                    found[number] = tuple(row)
        return [found[number] for number in sorted(found) if self._whole(columns, found[number])]

    def _whole(self, columns: tuple[str, ...], row: tuple[Any, ...]) -> bool:
        """Whether a row is as it was written: half of one holds nothing, or zeros, where something was."""
        if any(value is None or (isinstance(value, str) and "\0" in value) for value in row):
            return False
        return all(_is_object(value) for name, value in zip(columns, row, strict=True) if name in self._objects)

    # Words

    def _explained(self, problem: sqlite3.Error | OSError) -> StoreError:
        here = self.path.parent
        if isinstance(problem, OSError):
            why, full, locked = problem.strerror or str(problem), problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), False
        else:
            code = _code(problem)
            full = code == _FULL or (code in (_IOERR, _CANTOPEN) and _free(here) < _PAGE)
            locked = code in (_BUSY, _LOCKED)
            why = {_READONLY: "it is read-only", _CANTOPEN: "it cannot be opened"}.get(code, str(problem))
        if full:
            return StoreError(f"{self.path} cannot be written: the disk is full", f"free some space on the disk that holds {here}")
        if locked:
            return StoreError(
                f"{self.path} is locked by another program for more than {_PATIENCE:.0f} s",
                "close the program that has it open, then try again",
            )
        return StoreError(f"{self.path} cannot be used: {why}", f"make {here} writable, or set AI_LAB_HOME to a folder of your own")


def _is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


def _pad(path: Path, copy: Path) -> None:
    """A copy as long as its header says that the file was: SQLite reads nothing of one that is shorter."""
    raw = path.read_bytes()
    # https://www.sqlite.org/fileformat.html: the page size at 16, the number of pages at 28.
    page, pages = int.from_bytes(raw[16:18], "big"), int.from_bytes(raw[28:32], "big")
    wanted = (65536 if page == 1 else page) * pages
    # A header of garbage may name any length.
    copy.write_bytes(raw.ljust(wanted, b"\0") if wanted < 100 * max(len(raw), 65536) else raw)


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 40
