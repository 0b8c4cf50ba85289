"""The store's files while it runs: opened once everything in them is verified, written in batches, closed with everything synced."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.store import loading, recovery
from clusters.embedded.store.acknowledged import AcknowledgedFile
from clusters.embedded.store.checkpoints import LIMIT, Checkpoints
from clusters.embedded.store.errors import StoreError
from clusters.embedded.store.files import LAYOUT, Files, Key, add, counter_of, finish_replacement, replace, sum_of
from clusters.embedded.store.loading import Damage, Loaded
from kubeobjects import Object

log = logging.getLogger(__name__)

_PUT = (
    "INSERT INTO objects (resource, namespace, name, value, sum) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (resource, namespace, name) DO UPDATE SET value = excluded.value, sum = excluded.sum"
)
_DELETE = "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"
_COUNT = "UPDATE counter SET revision = ?, objects = ?, digest = ?, sum = ?"
_FIRST_REVISION = 1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Row:
    """An object as it is stored; `value` is its JSON, None where it is deleted."""

    key: Key
    value: bytes | None


class Database:
    """Opens the files in `folder`, or makes them; `recover` goes on with what can be saved of damaged ones.

    `recovered` says in words what became of damaged files, empty where none were.
    Raises StoreError where another process holds the folder, where the files are damaged, or where the disk refuses.
    """

    def __init__(self, folder: Path, *, recover: bool = False, log_limit: int = LIMIT):
        self.files = Files(folder)
        self.recovered = ""
        self._gate = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _take_lock(folder / "state.lock")
            try:
                self._objects = self._open(recover)
            except BaseException:
                os.close(self._lock)
                raise
        except (sqlite3.Error, OSError) as error:
            raise _refused(folder, error) from None
        self._checkpoints = Checkpoints(self.files.database, self.files.log, log_limit, self._gate, self._settle, self._acknowledged.sync)
        if self._acknowledged.synced < self.revision:
            self._checkpoints.start()

    def take(self) -> dict[Key, Object]:
        """What was stored at the start; the caller owns it from then on."""
        objects, self._objects = self._objects, {}
        return objects

    def _open(self, recover: bool) -> dict[Key, Object]:
        finish_replacement(self.files)
        try:
            return self._load()
        except Damage as damage:
            salvage = recovery.examine(self.files, damage.problems)
            for resource, namespace, name in salvage.lost:
                log.error("lost: %s %s/%s", resource, namespace, name)
            if not recover:
                raise salvage.refusal() from None
            self.recovered = recovery.recover(self.files, salvage)
            log.warning("%s", self.recovered)
        return self._load()

    def _load(self) -> dict[Key, Object]:
        with loading.load(self.files) as loaded:
            if loaded is not None and loaded.layout == LAYOUT:
                self._begin(loaded)
                return loaded.objects
        if loaded is None:
            replace(self.files, (), _FIRST_REVISION)
        else:
            replace(self.files, loaded.values.items(), loaded.revision)
            log.info("%s was written anew in layout %d", self.files.database, LAYOUT)
        return self._load()

    def _begin(self, loaded: Loaded) -> None:
        self.revision, self._digest, self._sums = loaded.revision, loaded.digest, loaded.sums
        self._acknowledged = AcknowledgedFile(self.files.acknowledged, LAYOUT, loaded.synced)
        try:
            self._connection = self._connect()
            self._go_on(loaded)
        except BaseException:
            self._acknowledged.close()
            raise

    def _go_on(self, loaded: Loaded) -> None:
        if loaded.cut_from:
            log.warning(
                "the machine ended without a shutdown: the newest changes, of revisions %d to %d, never reached the disk",
                self.revision + 1,
                loaded.cut_from,
            )
            self.commit((), loaded.cut_from, checkpoint=False)
        self._acknowledge()

    def _connect(self) -> sqlite3.Connection:
        # The thread that cuts the log has a connection of its own; this one is closed by whichever thread closes the store.
        connection = sqlite3.connect(self.files.database, isolation_level=None, check_same_thread=False)
        # WAL with synchronous=NORMAL hands every commit to the operating system before it returns, but does not wait for the disk:
        # a killed process loses nothing. A power cut may lose the newest commits and never damages the file, which is right for a lab.
        # A commit costs tens of microseconds that way: there is nothing to gain from holding several back to commit them together.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        # Builds of SQLite that fill freed pages with zeros would write each large object twice.
        connection.execute("PRAGMA secure_delete=FAST")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return connection

    def commit(self, rows: Sequence[Row], revision: int, *, checkpoint: bool = True) -> None:
        """Stores all rows, or none. Raises StoreError where the disk refuses."""
        sums: dict[Key, int | None] = {}
        with self._gate:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for row in rows:
                    if row.value is None:
                        self._connection.execute(_DELETE, row.key)
                        sums[row.key] = None
                    else:
                        written = sum_of(row.key, row.value)
                        self._connection.execute(_PUT, (*row.key, row.value, written))
                        sums[row.key] = written
                before = [self._sums[key] for key in sums if key in self._sums]
                after = [checksum for checksum in sums.values() if checksum is not None]
                digest = add(self._digest, *after, -sum(before))
                objects = len(self._sums) - len(before) + len(after)
                self._connection.execute(_COUNT, counter_of(revision, objects, digest))
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise _refused(self.files.folder, error) from None
            self.revision, self._digest = revision, digest
            for key, checksum in sums.items():
                if checksum is None:
                    self._sums.pop(key, None)
                else:
                    self._sums[key] = checksum
            self._acknowledge()
        if checkpoint:
            self._checkpoints.after_commit()

    def _acknowledge(self) -> None:
        self._acknowledged.write(self.revision, len(self._sums), self._digest)

    def _settle(self) -> None:
        self._acknowledged.synced = self.revision
        self._acknowledge()

    def close(self) -> None:
        """Copies everything back, syncs it, and frees the folder."""
        self._checkpoints.finish()
        self._connection.close()
        self._acknowledged.close()
        os.close(self._lock)


def _refused(folder: Path, error: sqlite3.Error | OSError) -> StoreError:
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _FULL
    why = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
    hint = f"free some space on the disk that holds {folder}" if full else f"see that {folder} can be written, and that its disk is well"
    return StoreError(f"the cluster's state in {folder} cannot be written: {why}", hint)


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
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
