"""What somebody typed in an interview, kept while it is typed: as plain text under the state folder, to the character.

A draft that was not handed in is `NAME.draft.txt`; handing it in makes it `NAME.txt`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import clusters
from lab_checks import whole_file


def folder() -> Path:
    return clusters.state_folder() / "interview"


class Draft:
    """One answer. Where the disk refuses it, `problem` says why, and what was typed is still in `text`."""

    def __init__(self, path: Path):
        self._path = path
        self.problem = ""
        self.text = self._kept(self.path)

    @property
    def path(self) -> Path:
        """Where it is kept until it is handed in."""
        return self._path.with_name(f"{self._path.name}.draft.txt")

    @property
    def handed_in(self) -> Path:
        return self._path.with_name(f"{self._path.name}.txt")

    def _kept(self, path: Path) -> str:
        try:
            return path.read_bytes().decode(errors="replace")
        except OSError:
            return ""

    def earlier(self) -> str | None:
        """What was handed in before; None where nothing was."""
        return self._kept(self.handed_in) if self.handed_in.exists() else None

    def keep(self, text: str) -> None:
        """Keeps `text` in one step: what was kept before stays whole until then."""
        if text == self.text and (not text or not self.problem):
            return
        self.text = text
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            whole_file.write(self.path, text.encode(errors="replace"))
            self.problem = ""
        except OSError as problem:
            self.problem = problem.strerror or str(problem)

    def hand_in(self, text: str) -> None:
        self.keep(text)
        with contextlib.suppress(OSError):
            os.replace(self.path, self.handed_in)

    def forget(self) -> None:
        """Removes what was kept, and the folder of a row of questions with the last of its answers."""
        for path in (self.path, self.handed_in):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if self.path.parent != folder():
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()
        self.text = ""


def of_question(name: str) -> Draft:
    return Draft(folder() / name)


def of_mock(seed: str, names: list[str]) -> list[Draft]:
    """The five drafts of a mock interview, in the order of its questions."""
    return of_series("mock", seed, names)


def of_series(what: str, seed: str, names: list[str]) -> list[Draft]:
    """The drafts of several questions that are asked in a row, in their order; `what` is plain text, and with the seed names the row."""
    here = folder() / f"{what}-{_plain(seed)}"
    return [Draft(here / f"{number:0{len(str(len(names)))}}-{name}") for number, name in enumerate(names, 1)]


def unfinished_mocks() -> list[str]:
    """The seeds of mock interviews that were broken off, the newest last."""
    try:
        found = [each for each in folder().glob("mock-*") if any(each.glob("*.txt"))]
        found.sort(key=lambda each: each.stat().st_mtime)
    except OSError:
        return []
    return [each.name.removeprefix("mock-") for each in found]


def _plain(seed: str) -> str:
    """A seed as part of a file's name: two seeds never share one."""
    return "".join(each if each.isalnum() and each.isascii() else f"_{ord(each):x}" for each in seed)[:100]
