"""The server's log file: bounded in size, with one older file beside it, and without endless repetitions of one error.

What goes to stdout and stderr by other ways than `logging` (the interpreter's last words, a library in C) lands in the same file.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# The same thing is told this often in so many seconds; after that it is counted.
_TIMES, _SECONDS = 5, 60.0
# Different messages that are remembered.
_REMEMBERED = 500


class Repetitions(logging.Filter):
    """Lets the first few of the same message through, then one a minute with the number of those left out."""

    def __init__(self) -> None:
        super().__init__()
        # What was said → (since when, how often).
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        what = (record.name, str(record.msg), f"{type(error).__name__}: {error}" if error else record.getMessage())
        now = time.monotonic()
        since, count = self._said.get(what, (now, 0))
        if now - since >= _SECONDS:
            if count > _TIMES:
                record.msg, record.args = f"{record.getMessage()} (and {count - _TIMES} times more in {now - since:.0f} s)", ()
            since, count = now, 0
        self._said.pop(what, None)
        self._said[what] = (since, count + 1)
        if len(self._said) > _REMEMBERED:
            del self._said[next(iter(self._said))]
        return count < _TIMES


class _ServerLog(RotatingFileHandler):
    def doRollover(self) -> None:
        super().doRollover()
        self.take_over()

    def take_over(self) -> None:
        """Points stdout and stderr to the file."""
        assert self.stream is not None
        self.stream.flush()
        for descriptor in (1, 2):
            os.dup2(self.stream.fileno(), descriptor)


def start(path: Path | None) -> None:
    """Logs to `path`, or to stderr where there is none. Raises OSError where the file cannot be opened."""
    # A log that cannot be written (a full disk) must not become an error of its own.
    logging.raiseExceptions = False
    if path is None:
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        handler = _ServerLog(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="replace")
        handler.take_over()
    handler.addFilter(Repetitions())
    logging.basicConfig(level=logging.INFO, handlers=[handler], format=_FORMAT)
