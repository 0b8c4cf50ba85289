"""The class that this machine reports to: kept in the state folder, written by `ai-lab class join`. Without it nothing is ever sent.

This module is loaded by every command that records something, so it loads nothing heavy.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab_checks import whole_file

_JOINED = "class-joined.json"
# A class that was left: its key can still delete what was reported.
_LEFT = "class-left.json"
_DELIVERY = "class-delivery.json"
_LOCK = "class-sending.lock"


@dataclass(frozen=True)
class Membership:
    """`url` is the class's address and ends in a slash, `key` this machine's own key there; `joined` is in seconds since the epoch."""

    url: str
    name: str
    key: str
    joined: float

    def __repr__(self) -> str:
        return f"Membership({self.name} at {self.url})"


@dataclass(frozen=True)
class Delivery:
    """How reporting stands. `stamp` is the progress file's when it was last reported, and `at` is when that was (0: never).

    `problem` says why the newest report did not arrive, with what to do `next`; it is empty where it arrived.
    """

    stamp: tuple[int, int] = (0, 0)
    at: float = 0.0
    problem: str = ""
    next: str = ""


def joined(state: Path) -> Membership | None:
    """The class of this machine; None where it joined none, or where the file cannot be read."""
    return _read(state / _JOINED)


def left(state: Path) -> Membership | None:
    """The class that was left and still has what was reported."""
    return _read(state / _LEFT)


def _read(path: Path) -> Membership | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Membership(str(found["url"]), str(found["name"]), str(found["key"]), float(found["joined"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def keep(state: Path, found: Membership) -> None:
    """Raises OSError."""
    _write(state / _JOINED, asdict(found))
    for each in (_DELIVERY, _LEFT):
        (state / each).unlink(missing_ok=True)


def leave(state: Path) -> None:
    """From now on nothing is sent. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(state / _JOINED, state / _LEFT)
    (state / _DELIVERY).unlink(missing_ok=True)


def forget(state: Path) -> None:
    """Removes the key of a class that was left. Raises OSError."""
    (state / _LEFT).unlink(missing_ok=True)


def delivery(state: Path) -> Delivery:
    try:
        found = json.loads((state / _DELIVERY).read_text(encoding="utf-8"))
        first, second = found["stamp"]
        return Delivery((int(first), int(second)), float(found["at"]), str(found["problem"]), str(found["next"]))
    except (OSError, ValueError, LookupError, TypeError):
        return Delivery()


def keep_delivery(state: Path, found: Delivery) -> None:
    """Raises OSError."""
    _write(state / _DELIVERY, asdict(found))


def _write(path: Path, what: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(path, json.dumps(what))


@contextmanager
def sending(state: Path) -> Iterator[bool]:
    """Whether this process is the one that reports now: of one state folder at most one is. Raises OSError."""
    with (state / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def nudge(state: Path) -> None:
    """Something was recorded: a process in the background reports it, where this machine joined a class. Waits for nothing and never raises."""
    if not (state / _JOINED).exists():
        return
    # A learner's command or cell must not fail because a report cannot be sent.
    with contextlib.suppress(Exception):
        with sending(state) as free:
            pass
        # The process that reports now looks again after it has ended its turn.
        if free:
            _start(state)


def _start(state: Path) -> None:
    import subprocess
    import sys
    import threading

    process = subprocess.Popen(
        # -P: nothing in the learner's own folder is taken for a module.
        [sys.executable, "-P", "-m", "lab_checks.classroom.send", str(state.absolute())],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    # In a process that lives on, such as a notebook's kernel, the end of a child has to be noted.
    threading.Thread(target=process.wait, daemon=True).start()
