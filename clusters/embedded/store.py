"""etcd's part: the objects of the cluster, kept in SQLite and served from memory.

Writes flow in as batches of `Put` and `Delete`; when `write` returns they are in the database file, in memory, and in the history that
watches read. Reads and watches are answered from memory. Everything happens on the event loop's thread and without awaiting, so that a
batch is seen whole or not at all.

Objects that come out are shared by all readers and must not be changed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Object = dict[str, Any]
_Objects = list[Object]

# "ailb", so that another program's database is not mistaken for ours; and the layout's own version.
_APPLICATION_ID = 0x61696C62
_LAYOUT = 1

# How far back a watch may start, for each resource: changes, and bytes of their JSON (about a fifth of what the dicts take).
_HISTORY_CHANGES = 4000
_HISTORY_BYTES = 3_000_000
# A deletion shares nearly all of its object with the change before it.
_DELETE_BYTES = 1000
_CHECKPOINT_EVERY = 1000

_Rows = list[tuple[str, tuple[Any, ...]]]


class StoreError(Exception):
    """The state cannot be used or written; the message tells a person why and what to do."""


class Conflict(Exception):
    """A write whose precondition does not hold; `stored` is what is there instead (None: nothing)."""

    def __init__(self, stored: Object | None):
        super().__init__("precondition failed")
        self.stored = stored


class Expired(Exception):
    """A watch that starts before what is remembered; `oldest` is the first revision that would be served."""

    def __init__(self, asked: int, oldest: int):
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Put:
    """Stores `object` and sets its `metadata.resourceVersion`; the store owns it from then on.

    `expected` is the stored resourceVersion that it replaces, or None where nothing may be stored yet.
    """

    resource: str
    object: Object
    expected: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes what is stored at resourceVersion `expected`. `object` is its last state, which watchers are shown."""

    resource: str
    object: Object
    expected: str


@dataclass(frozen=True, slots=True)
class Change:
    """`type` is ADDED, MODIFIED or DELETED; `previous` is the object before (None for ADDED)."""

    type: str
    revision: int
    object: Object
    previous: Object | None
    size: int


_Changes = list[Change]


class _History:
    """The latest changes of one resource, and who waits for the next. Watches are positions in it, so a slow one costs nothing."""

    def __init__(self, floor: int):
        self.floor = floor
        self.changes: list[Change] = []
        self.first = 0
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def append(self, change: Change) -> None:
        self.changes.append(change)
        self._bytes += change.size
        if len(self.changes) > _HISTORY_CHANGES or self._bytes > _HISTORY_BYTES:
            self._forget()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _forget(self) -> None:
        # A quarter at a time: cutting the list's head for every change would move the whole list for every change.
        count = max(1, len(self.changes) // 4)
        gone = self.changes[:count]
        self.floor = gone[-1].revision
        self._bytes -= sum(change.size for change in gone)
        self.first += count
        del self.changes[:count]

    def position(self, after: int) -> int:
        if after < self.floor:
            raise Expired(after, self.floor)
        return self.first + bisect_right(self.changes, after, key=lambda change: change.revision)

    async def wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


class Watch:
    """The changes of one resource after a revision. Falls out of the history (Expired) when it is read too slowly."""

    def __init__(self, history: _History, after: int):
        self._history = history
        self._position = history.position(after)
        self._last = after

    def ready(self) -> list[Change]:
        """The changes since the last call, without waiting."""
        history = self._history
        if self._position < history.first:
            raise Expired(self._last, history.floor)
        found = history.changes[self._position - history.first :]
        if found:
            self._position += len(found)
            self._last = found[-1].revision
        return found

    async def next(self) -> list[Change]:
        """The next changes, at least one."""
        while True:
            found = self.ready()
            if found:
                return found
            await self._history.wait()


def _place(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _share(new: Object, old: Object) -> None:
    """Makes `new` hold the parts of `old` that did not change: versions in the history then cost only what differs."""
    for key, value in new.items():
        before = old.get(key)
        if before is None or before is value:
            continue
        if before == value:
            new[key] = before
        elif key == "metadata":
            for inner, part in value.items():
                if part == before.get(inner):
                    value[inner] = before[inner]


class Store:
    """Opens (or creates) `state.db` in `folder`. Raises StoreError where another process holds it or it is damaged."""

    def __init__(self, folder: Path):
        self.path = folder / "state.db"
        self._objects: dict[str, dict[str, dict[str, Object]]] = {}
        self._histories: dict[str, _History] = {}
        self._commits = 0
        self._checkpoint: asyncio.Future[None] | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take_lock(folder / "state.lock")
        try:
            self._database = self._open()
            self.revision = self._load()
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise self._unusable(str(error)) from None
        except (ValueError, KeyError, TypeError) as error:
            os.close(self._lock)
            raise self._unusable(f"an object in it cannot be read ({error})") from None
        except StoreError:
            os.close(self._lock)
            raise
        # What happened before this start is not remembered: a watch from there must list again.
        self._floor = self.revision

    def _unusable(self, why: str) -> StoreError:
        return StoreError(
            f"the cluster's state in {self.path} cannot be used: {why}. "
            f"Move the folder {self.path.parent} away (or delete it) and start again: the cluster then begins empty."
        )

    @staticmethod
    def _take_lock(path: Path) -> int:
        # An advisory lock goes with the process, however it ends: a killed server leaves nothing to clean up.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            process = f" (process {holder})" if holder else ""
            raise StoreError(f"another cluster{process} already runs on the state in {path.parent}; stop it first") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None)
        # WAL with synchronous=NORMAL hands every commit to the operating system before it returns, but does not wait for the disk:
        # a killed process loses nothing. A power cut may lose the newest commits and never damages the file, which is right for a lab.
        # A commit costs tens of microseconds that way: there is nothing to gain from holding several back to commit them together.
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        # Checkpoints do wait for the disk; they run in a thread (see _maybe_checkpoint).
        database.execute("PRAGMA wal_autocheckpoint=0")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (layout,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            database.executescript(
                f"""
                BEGIN;
                CREATE TABLE objects (
                    resource TEXT, namespace TEXT, name TEXT, value BLOB NOT NULL,
                    PRIMARY KEY (resource, namespace, name)
                ) WITHOUT ROWID;
                CREATE TABLE counter (revision INTEGER NOT NULL);
                INSERT INTO counter VALUES (1);
                PRAGMA application_id={_APPLICATION_ID};
                PRAGMA user_version={_LAYOUT};
                COMMIT;
                """
            )
        elif application != _APPLICATION_ID:
            raise self._unusable("it is another program's database")
        elif layout != _LAYOUT:
            raise self._unusable(f"it was written by another version of the lab (layout {layout}, this one reads {_LAYOUT})")
        return database

    def _load(self) -> int:
        (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._unusable(verdict)
        for resource, namespace, name, value in self._database.execute("SELECT resource, namespace, name, value FROM objects"):
            obj = orjson.loads(value)
            if _place(obj) != (namespace, name):
                raise self._unusable(f"{resource} {name} is not where it belongs")
            self._objects.setdefault(resource, {}).setdefault(namespace, {})[name] = obj
        row = self._database.execute("SELECT revision FROM counter").fetchone()
        if row is None:
            raise self._unusable("it has no revision")
        return int(row[0])

    # Reads

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return self._objects.get(resource, {}).get(namespace or "", {}).get(name)

    def list(self, resource: str, namespace: str | None = None) -> _Objects:
        """In the order of etcd's keys (namespace/name); of one namespace, or of all where it is None."""
        return list(self._ordered(resource, namespace))

    def _ordered(self, resource: str, namespace: str | None) -> Iterator[Object]:
        spaces = self._objects.get(resource, {})
        chosen: Iterable[str] = sorted(spaces, key="{}/".format) if namespace is None else [namespace]
        for space in chosen:
            objects = spaces.get(space, {})
            for name in sorted(objects):
                yield objects[name]

    def watch(self, resource: str, after: int) -> Watch:
        """Raises Expired where `after` is older than what is remembered."""
        return Watch(self._history(resource), after)

    def _history(self, resource: str) -> _History:
        if resource not in self._histories:
            self._histories[resource] = _History(self._floor)
        return self._histories[resource]

    # Writes

    def write(self, operations: Sequence[Put | Delete]) -> None:
        """Makes all changes, or none. Raises Conflict where a precondition does not hold, StoreError where the disk refuses."""
        stored = [self._check(operation) for operation in operations]
        revision = self.revision
        changes: _Changes = []
        rows: _Rows = []
        for operation, old in zip(operations, stored, strict=True):
            revision += 1
            obj = operation.object
            obj["metadata"]["resourceVersion"] = str(revision)
            where = (operation.resource, *_place(obj))
            if isinstance(operation, Delete):
                rows.append(("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", where))
                changes.append(Change("DELETED", revision, obj, old, _DELETE_BYTES))
                continue
            value = orjson.dumps(obj)
            rows.append(("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (*where, value)))
            if old is not None:
                _share(obj, old)
            changes.append(Change("ADDED" if old is None else "MODIFIED", revision, obj, old, len(value)))
        self._commit(rows, revision)
        self.revision = revision
        for operation, change in zip(operations, changes, strict=True):
            self._remember(operation, change)

    def _check(self, operation: Put | Delete) -> Object | None:
        namespace, name = _place(operation.object)
        old = self.get(operation.resource, name, namespace)
        if (old["metadata"]["resourceVersion"] if old is not None else None) != operation.expected:
            raise Conflict(old)
        return old

    def _commit(self, rows: _Rows, revision: int) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for statement, values in rows:
                self._database.execute(statement, values)
            self._database.execute("UPDATE counter SET revision = ?", (revision,))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise StoreError(f"the cluster's state in {self.path} cannot be written: {error}") from None
        self._commits += 1
        if self._commits % _CHECKPOINT_EVERY == 0:
            self._maybe_checkpoint()

    def _remember(self, operation: Put | Delete, change: Change) -> None:
        namespace, name = _place(change.object)
        objects = self._objects.setdefault(operation.resource, {}).setdefault(namespace, {})
        if change.type == "DELETED":
            del objects[name]
            if not objects:
                del self._objects[operation.resource][namespace]
        else:
            objects[name] = change.object
        self._history(operation.resource).append(change)

    def _maybe_checkpoint(self) -> None:
        if self._checkpoint is not None and not self._checkpoint.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._copy_back()
            return
        self._checkpoint = loop.run_in_executor(None, self._copy_back)

    def _copy_back(self) -> None:
        """Moves committed pages from the log into the database file; a passive checkpoint never holds up a writer."""
        connection = sqlite3.connect(self.path)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            # The log simply stays longer until the next attempt; what is in it is safe.
            return
        finally:
            connection.close()

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)
