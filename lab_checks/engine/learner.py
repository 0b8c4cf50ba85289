"""Who works on this machine: the name under which an instructor finds the learner in `ai-lab report`.

`AI_LAB_LEARNER` comes first, then the name that was given once (`ai-lab up --learner`, the question of `ai-lab open`, `lab.learner`), then the
account's and the machine's.
"""

from __future__ import annotations

import getpass
import os
import platform
from pathlib import Path

VARIABLE = "AI_LAB_LEARNER"
LONGEST = 80
_FILE = "learner"


class BadName(ValueError):
    """A name that cannot be used; the message says why."""


def account() -> str:
    """The login name and the machine's, for a learner without a name."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        login = "learner"
    return f"{login}@{platform.node()}"


def name(state: Path) -> str:
    """The learner's name; the account's where none was given."""
    return plain(os.environ.get(VARIABLE, "")) or _given(state) or account()


def asked(state: Path) -> bool:
    """Whether the name is settled: by the environment, or by an answer, be it an empty one."""
    return bool(plain(os.environ.get(VARIABLE, ""))) or (state / _FILE).exists()


def remember(state: Path, wanted: str) -> str:
    """Keeps a name in the state folder and returns who the learner now is. An empty one means the account's. Raises BadName, OSError."""
    wanted = " ".join(wanted.split())
    if len(wanted) > LONGEST:
        raise BadName(f"a name has at most {LONGEST} characters; this one has {len(wanted)}")
    if not wanted.isprintable():
        raise BadName("a name holds no control characters")
    state.mkdir(parents=True, exist_ok=True)
    (state / _FILE).write_text(wanted + "\n", encoding="utf-8")
    return name(state)


def _given(state: Path) -> str:
    try:
        return plain((state / _FILE).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""


def plain(text: str) -> str:
    """A name that came from outside, on one line and no longer than a name."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:LONGEST]
