"""What can go wrong with the store, for those who call it."""

from __future__ import annotations

import sqlite3

from kubeobjects import Object


class StoreError(Exception):
    """The state cannot be used or written: the message says what happened on what, and `next` (it may be empty) what to do."""

    def __init__(self, what: str, next: str = ""):
        super().__init__(what)
        self.next = next


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


# What SQLite says where the machine refuses and the files may be whole.
_REFUSED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
_READ_ERRORS = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})


# What reading a damaged database raises: the words of SQLite's own error may hold bytes of the file that are no text.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError, OverflowError)


def refused_by_the_machine(error: Exception) -> bool:
    """Whether the disk or the system refused (full, read-only, out of memory), rather than what is in the file being wrong."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    return code & 0xFF in _REFUSED or (code & 0xFF == sqlite3.SQLITE_IOERR and code not in _READ_ERRORS)
