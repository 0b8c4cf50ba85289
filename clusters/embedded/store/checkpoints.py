"""Keeps the write-ahead log short while it is written to.

SQLite begins the log anew only when a write starts at a moment at which every frame has been copied back into the database; under steady
writes there is none, and the log grows without end. So from half of the limit on, a thread copies back in two steps:

1. PASSIVE, several times: the log and the database are synced, which takes as long as the disk takes. Writes go on. Each round has only
   what was written during the one before, so where writes pause for as long as a sync takes, nothing is left in the end.
2. TRUNCATE, with the writes held up: copies what is left and cuts the log. Where nothing is left this syncs nothing; else it syncs little
   twice: milliseconds on an SSD, tens of milliseconds on a busy one.

A disk that is slower than the writes cannot be helped by a thread: above the limit each write waits a moment for the checkpoint, above twice
the limit until it ends.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

LIMIT = 16 * 1024 * 1024

_ROUNDS = 8
_HEADER, _FRAME = 32, 4096 + 24
# Seconds that one write waits above the limit, and above twice the limit; and how long after a checkpoint that failed the next one is tried.
_PAUSE, _WAIT = 0.01, 1.0
_RETRY = 1.0


class Checkpoints:
    """`gate` is held by each commit, and by the step that cuts the log. `settled` is called with it held, when all is in the database."""

    def __init__(self, database: Path, wal: Path, limit: int, gate: threading.Lock, settled: Callable[[], None], sync: Callable[[], None]):
        self._database = database
        self._wal = wal
        self._limit = limit
        self._gate = gate
        self._settled = settled
        self._sync = sync
        self._done = threading.Event()
        self._done.set()
        self._thread: threading.Thread | None = None
        self._failed = float("-inf")

    def size(self) -> int:
        """Bytes of the log."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def after_commit(self) -> None:
        """Starts a checkpoint where the log has become long, and waits for one where it has become too long."""
        size = self.size()
        if size < self._limit // 2:
            return
        self.start()
        if size >= self._limit:
            self._done.wait(_WAIT if size >= 2 * self._limit else _PAUSE)

    def start(self) -> None:
        """Begins a checkpoint in the background, unless one runs or the last one failed just now."""
        if not self._done.is_set() or time.monotonic() - self._failed < _RETRY:
            return
        self._done.clear()
        self._thread = threading.Thread(target=self._run, name="checkpoint")
        self._thread.start()

    def finish(self) -> None:
        """Waits for the checkpoint that runs, and copies back everything. What cannot be copied back stays in the log."""
        if self._thread is not None:
            self._thread.join()
        self._run()

    def _run(self) -> None:
        try:
            # No waiting for locks: the only other user of the files is a person with a tool, who may hold them for long.
            connection = sqlite3.connect(self._database, isolation_level=None, timeout=0)
            try:
                self._copy_back(connection)
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            # The log stays longer until the next attempt; what is in it is safe.
            if time.monotonic() - self._failed > 60 * _RETRY:
                log.warning("the log of %s was not copied back: %s", self._database, error)
            self._failed = time.monotonic()
        finally:
            self._done.set()

    def _copy_back(self, connection: sqlite3.Connection) -> None:
        for _ in range(_ROUNDS):
            busy, _, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if busy or self.size() <= _HEADER + copied * _FRAME:
                break
        with self._gate:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError("another program reads the database")
            self._settled()
        self._sync()
