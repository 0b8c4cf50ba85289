"""The files of the store: their names, the tables in the database, the checksums, and how the files are replaced as a whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.store import acknowledged
from clusters.embedded.store.acknowledged import Acknowledged

# (resource, namespace, name); the namespace is empty where an object has none.
Key = tuple[str, str, str]

# "ailb", so that another program's database is not mistaken for ours; and the layout's own version.
APPLICATION_ID = 0x61696C62
LAYOUT = 2
PAGE = 4096

# Keys are in the table and again in its index: where a page of one is damaged, the other still tells which objects were there.
SCHEMA = (
    "CREATE TABLE objects (id INTEGER PRIMARY KEY, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, "
    "value BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX keys ON objects (resource, namespace, name)",
    "CREATE TABLE counter (revision INTEGER NOT NULL, objects INTEGER NOT NULL, digest INTEGER NOT NULL, sum INTEGER NOT NULL)",
)

_DIGEST_BITS = (1 << 63) - 1


@dataclass(frozen=True)
class Files:
    """Where everything is. `following` is a whole new database that is about to take the place of the old files."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "state.db"

    @property
    def log(self) -> Path:
        return self.folder / "state.db-wal"

    @property
    def index(self) -> Path:
        return self.folder / "state.db-shm"

    @property
    def acknowledged(self) -> Path:
        return self.folder / "state.acknowledged"

    @property
    def following(self) -> Path:
        return self.folder / "state.db.next"


def sum_of(key: Key, value: bytes) -> int:
    """The checksum of one object, of where it is stored and what."""
    return zlib.crc32(value, zlib.crc32("\0".join(key).encode(errors="surrogatepass")))


def add(digest: int, *sums: int) -> int:
    """The digest of a set of objects with more of them; the checksum of one that goes is added as a negative number."""
    return (digest + sum(sums)) & _DIGEST_BITS


def counter_of(revision: int, objects: int, digest: int) -> tuple[int, int, int, int]:
    """The row of the counter, with its own checksum."""
    return revision, objects, digest, zlib.crc32(f"{revision} {objects} {digest}".encode())


def write_database(path: Path, rows: Iterable[tuple[Key, bytes]], revision: int) -> None:
    """Writes a database with these objects, synced. Raises sqlite3.Error or OSError; a file that is there already is replaced."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody reads this file before it is whole, and it is synced below.
        for pragma in (f"page_size={PAGE}", "journal_mode=OFF", "synchronous=OFF"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN")
        for statement in SCHEMA:
            database.execute(statement)
        digest, count = 0, 0
        for key, value in rows:
            checksum = sum_of(key, value)
            database.execute("INSERT INTO objects VALUES (NULL, ?, ?, ?, ?, ?)", (*key, value, checksum))
            digest, count = add(digest, checksum), count + 1
        database.execute("INSERT INTO counter VALUES (?, ?, ?, ?)", counter_of(revision, count, digest))
        database.execute(f"PRAGMA application_id={APPLICATION_ID}")
        database.execute(f"PRAGMA user_version={LAYOUT}")
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode=WAL")
    finally:
        database.close()
    _sync(path)


def replace(files: Files, rows: Iterable[tuple[Key, bytes]], revision: int, keep: Path | None = None) -> None:
    """Puts a new database with these objects in the place of all files; what was there is kept in the folder `keep`, where one is named.

    A kill or a power cut at any moment leaves either the old files or the new ones (see `finish_replacement`).
    Raises sqlite3.Error or OSError: the old files are then as they were.
    """
    new = files.folder / "state.db.new"
    try:
        write_database(new, rows, revision)
        if keep is not None:
            keep.mkdir(mode=0o700)
            for each in (files.database, files.log, files.acknowledged):
                if each.exists():
                    _keep(each, keep / each.name)
            _sync(keep)
    except (sqlite3.Error, OSError):
        new.unlink(missing_ok=True)
        raise
    new.replace(files.following)
    _sync(files.folder)
    finish_replacement(files)


def finish_replacement(files: Files) -> None:
    """Where a whole new database waits, it takes the place of the old files. Can be said again after being interrupted. Raises OSError."""
    if not files.following.exists():
        return
    files.log.unlink(missing_ok=True)
    files.index.unlink(missing_ok=True)
    acknowledged.create(files.acknowledged, Acknowledged(LAYOUT))
    files.following.replace(files.database)
    _sync(files.folder)


def _keep(source: Path, target: Path) -> None:
    # A second name costs no space; some file systems have none.
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
