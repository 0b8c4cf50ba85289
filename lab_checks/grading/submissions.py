"""Submitted notebooks: where they are, whose they are, and of which lab. Nothing in them is run or trusted here."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab_checks.engine import learner
from lab_checks.engine.course import Course, Lab, UnknownName

# A notebook with all its outputs takes a hundredth of this.
LARGEST = 20_000_000
_OPENS = re.compile(rb"open_lab\(\s*\\?[\"']([\w-]+)")


class NoSubmission(ValueError):
    """A place without notebooks; the message says which."""


@dataclass(frozen=True)
class Submission:
    """One notebook. `lab` is None where nothing says which it is of; `problem` says why it cannot be run at all, `text` is the file where it can.

    `changed` is when the file was changed last, in seconds since the epoch; 0 where that is unknown.
    """

    learner: str
    path: Path
    lab: Lab | None
    problem: str = ""
    text: bytes = b""
    changed: float = 0.0


def find(places: Iterable[Path], course: Course, lab: Lab | None = None) -> list[Submission]:
    """The submissions in files and folders, in order. `lab`: what all of them are of; else each says so itself, or its name does.

    In a folder, `mira/anything/03-pending.ipynb` is Mira's, and so is `mira.ipynb`. Raises NoSubmission.
    """
    found = []
    for place in places:
        if place.is_dir():
            files = sorted(path for path in place.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
            if not files:
                raise NoSubmission(f"{place} holds no notebook (.ipynb)")
            found += [_read(path, _whose(path.relative_to(place)), course, lab) for path in files]
        elif os.path.lexists(place):
            found.append(_read(place, place.stem, course, lab))
        else:
            raise NoSubmission(f"{place} is not there")
    return _apart(found)


def _whose(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else path.stem


def _apart(found: list[Submission]) -> list[Submission]:
    """Two submissions of one learner for one lab are told apart by their files."""
    times = Counter((each.learner, each.lab.id if each.lab else "") for each in found)
    return [
        replace(each, learner=f"{each.learner} ({each.path.stem})") if times[each.learner, each.lab.id if each.lab else ""] > 1 else each
        for each in found
    ]


def _read(path: Path, name: str, course: Course, lab: Lab | None) -> Submission:
    whose = learner.plain(name) or "learner"
    try:
        # What was handed in may hold links to files that are not the learner's, or a pipe that never ends.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(number, "rb") as file:
            state = os.fstat(number)
            if not stat.S_ISREG(state.st_mode):
                return Submission(whose, path, lab, "it is not a file")
            text = file.read(LARGEST + 1)
    except OSError as error:
        return Submission(whose, path, lab, "it is a link, not a file" if path.is_symlink() else f"it cannot be read: {error.strerror}")
    lab = lab or _lab_of(text, path, course)
    if len(text) > LARGEST:
        problem = f"it is larger than {LARGEST // 1_000_000} MB"
    elif not text.strip():
        problem = "it is empty"
    else:
        problem = "" if lab else "nothing in it says which lab it is of: name it with --lab"
    return Submission(whose, path, lab, problem, b"" if problem else text, state.st_mtime)


def _lab_of(text: bytes, path: Path, course: Course) -> Lab | None:
    """The lab that the notebook opens; else the one whose name stands in the file's."""
    names = [each.decode() for each in _OPENS.findall(text)]
    names += [lab.id for lab in course.labs if lab.id in path.name]
    for name in names:
        try:
            return course.lab(name)
        except UnknownName:
            continue
    return None
