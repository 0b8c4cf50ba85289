"""Reads and verifies everything at a start, without changing a byte: damaged files stay as they are for `recovery`.

Verified are, in this order: the header, SQLite's own structure, each object's checksum and JSON, the index of the keys against the table,
the counter against all objects together, and the whole against what was acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from clusters.embedded.store import acknowledged
from clusters.embedded.store.acknowledged import Acknowledged
from clusters.embedded.store.errors import UNREADABLE, StoreError, refused_by_the_machine
from clusters.embedded.store.files import APPLICATION_ID, LAYOUT, SCHEMA, Files, Key, add, counter_of, sum_of
from kubeobjects import Object

# The header of a SQLite database whose changes go to a write-ahead log.
_HEADER = b"SQLite format 3\0"
_LOGGED = b"\2\2"

_SCHEMA_1 = (
    "CREATE TABLE objects ( resource TEXT, namespace TEXT, name TEXT, value BLOB NOT NULL, "
    "PRIMARY KEY (resource, namespace, name) ) WITHOUT ROWID",
    "CREATE TABLE counter (revision INTEGER NOT NULL)",
)


class Damage(Exception):
    """The files do not hold what was acknowledged; `problems` say in words what is wrong."""

    def __init__(self, *problems: str):
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class Loaded:
    """All that is stored, verified. `values` are the bytes of the JSON; only those of an older layout, which is written anew, are kept."""

    layout: int
    revision: int = 0
    objects: dict[Key, Object] = field(default_factory=dict)
    sums: dict[Key, int] = field(default_factory=dict)
    values: dict[Key, bytes] = field(default_factory=dict)
    digest: int = 0
    synced: int = 0
    # The revision that was acknowledged, where a power cut took the newest writes with it; 0 where none did.
    cut_from: int = 0


@contextmanager
def load(files: Files) -> Iterator[Loaded | None]:
    """What is stored, or None where nothing ever was. Inside the block a connection keeps the log from being copied back.

    Raises Damage; StoreError where the files are another program's or version's, or the system refuses to open them.
    """
    record, record_problem = _record(files)
    if record is None and not record_problem and not files.database.exists() and not _size(files.log):
        yield None
        return
    problems = [record_problem, _header_problem(files.database)]
    if problems[1]:
        # SQLite would take such a file for a new database, and delete the log beside it.
        raise Damage(*filter(None, problems))
    connection = sqlite3.connect(f"{files.database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        try:
            loaded = _verified(connection, record, record_problem, files)
        except UNREADABLE as error:
            if refused_by_the_machine(error):
                raise
            why = str(error) if isinstance(error, sqlite3.Error) else "database disk image is malformed"
            raise Damage(*filter(None, [record_problem, f"{files.database.name}: {why}"])) from None
        yield loaded
    finally:
        connection.close()


def _record(files: Files) -> tuple[Acknowledged | None, str]:
    try:
        return acknowledged.read(files.acknowledged), ""
    except ValueError as error:
        return None, str(error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _header_problem(database: Path) -> str:
    if not database.exists():
        return f"{database.name} is missing"
    with database.open("rb") as file:
        header = file.read(100)
    if not header:
        return f"{database.name} is empty"
    if len(header) < 100 or not header.startswith(_HEADER) or header[18:20] != _LOGGED:
        return f"the header of {database.name} was changed on the disk"
    return ""


def _verified(connection: sqlite3.Connection, record: Acknowledged | None, record_problem: str, files: Files) -> Loaded:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    schema = tuple(
        " ".join(sql.split()) for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    )
    known = {1: _SCHEMA_1, LAYOUT: SCHEMA}.get(layout)
    if application != APPLICATION_ID or known is None:
        if record is not None and record.layout == LAYOUT:
            raise Damage(f"the header of {files.database.name} was changed on the disk")
        raise _foreign(files, application, layout)
    if schema != known:
        raise Damage(f"the tables of {files.database.name} were changed on the disk")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    problems = [record_problem] if record_problem else []
    if verdict != "ok":
        problems.append(f"{files.database.name}: {verdict}")
    if layout == 1:
        if record is not None:
            problems.append(f"{files.database.name} is of layout 1, and {files.acknowledged.name} of layout {record.layout}")
        loaded = _read_1(connection, problems)
    else:
        if record is None and not record_problem:
            problems.append(f"{files.acknowledged.name} is missing")
        loaded = _read(connection, problems)
        if record is not None and not problems:
            _compare(loaded, record, problems, files)
    if problems:
        raise Damage(*problems)
    return loaded


def _foreign(files: Files, application: int, layout: int) -> StoreError:
    if application != APPLICATION_ID:
        return StoreError(f"{files.database} is another program's database", f"move {files.database} to another folder; ai-lab up")
    return StoreError(
        f"{files.database} was written by another version of the lab (layout {layout}, this one reads 1 to {LAYOUT})",
        "use that version of the lab; or, to begin with an empty cluster: ai-lab down --wipe",
    )


def parsed(key: Key, value: bytes) -> Object | None:
    """The object, or None where the bytes are not the JSON of the object that belongs there."""
    try:
        obj: Object = orjson.loads(value)
        metadata = obj["metadata"]
        return obj if (metadata.get("namespace") or "", metadata["name"]) == key[1:] else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _changed(keys: list[Key]) -> list[str]:
    return [f"{len(keys)} objects were changed on the disk" if len(keys) > 1 else "an object was changed on the disk"] if keys else []


def _read(connection: sqlite3.Connection, problems: list[str]) -> Loaded:
    loaded = Loaded(LAYOUT)
    keys: dict[int, Key] = {}
    changed: list[Key] = []
    for number, *names, value, checksum in connection.execute("SELECT id, resource, namespace, name, value, sum FROM objects"):
        key: Key = (names[0], names[1], names[2])
        obj = parsed(key, value) if _is_sum(key, value, checksum) else None
        if obj is None:
            changed.append(key)
            continue
        keys[number] = key
        loaded.objects[key], loaded.sums[key] = obj, checksum
    problems += _changed(changed)
    indexed = {
        number: tuple(key) for number, *key in connection.execute("SELECT id, resource, namespace, name FROM objects INDEXED BY keys")
    }
    if not changed and indexed != keys:
        problems.append("the index of the objects does not fit the objects")
    loaded.digest = add(0, *loaded.sums.values())
    rows = connection.execute("SELECT revision, objects, digest, sum FROM counter").fetchall()
    if len(rows) != 1 or rows[0] != counter_of(*rows[0][:3]):
        problems.append("the revision was changed on the disk")
        return loaded
    loaded.revision, objects, digest, _ = rows[0]
    if not changed and (objects, digest) != (len(loaded.sums), loaded.digest):
        problems.append(f"it holds {len(loaded.sums)} objects, which are not the {objects} that were stored at revision {loaded.revision}")
    return loaded


def _is_sum(key: Key, value: object, checksum: object) -> bool:
    return isinstance(value, bytes) and all(isinstance(part, str) for part in key) and sum_of(key, value) == checksum


def _read_1(connection: sqlite3.Connection, problems: list[str]) -> Loaded:
    loaded = Loaded(1)
    changed: list[Key] = []
    for *names, value in connection.execute("SELECT resource, namespace, name, value FROM objects"):
        key: Key = (names[0], names[1], names[2])
        if parsed(key, value) is None:
            changed.append(key)
        loaded.values[key] = value
    problems += _changed(changed)
    rows = connection.execute("SELECT revision FROM counter").fetchall()
    if len(rows) != 1 or not isinstance(rows[0][0], int):
        problems.append("it has no revision")
    else:
        loaded.revision = rows[0][0]
    return loaded


def _compare(loaded: Loaded, record: Acknowledged, problems: list[str], files: Files) -> None:
    """Holds what is stored against what was acknowledged; `acknowledged` says which differences can come about without damage."""
    loaded.synced = record.synced if record.revision else loaded.revision
    if loaded.revision < record.demanded():
        held = (
            f"{files.database.name} and {files.log.name} end"
            if _size(files.log)
            else f"{files.log.name} is missing or empty: {files.database.name} ends"
        )
        problems.append(f"{held} at revision {loaded.revision}, and revision {record.revision} was acknowledged")
    elif loaded.revision < record.revision:
        loaded.cut_from = record.revision
    elif loaded.revision == record.revision and (len(loaded.sums), loaded.digest) != (record.objects, record.digest):
        problems.append(f"it holds other objects than those that were acknowledged at revision {record.revision}")
