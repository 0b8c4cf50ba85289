"""The path table of a container that has no root folder of its own: what it calls `/config` lies somewhere else on this machine.

`PathTable.host` translates one path; `PathTable.rewrite` translates every path that occurs in a text such as a shell script. Python
programs are left alone here: the shim in their interpreter translates what they open, so that they print the paths they were given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# A path begins where no character before it could belong to a longer path, a variable or a name.
_BEFORE = r"(?<![\w./\-\\~}*?)\]@%+])"
# It ends where the name of its last folder ends: `/tmp` is not in `/tmpfs`, `/config` not in `/config.d` and `/config-old`.
_AFTER = r"(?![\w\-@%+]|\.\w)"


class PathTable:
    """Container paths to host paths; the longest that fits wins, and an entry that maps a path to itself shields what is below it."""

    def __init__(self, entries: Mapping[str, str]):
        self.entries = {_clean(inside): outside for inside, outside in entries.items()}
        ordered = sorted(self.entries, key=len, reverse=True)
        self._ordered = ordered
        self._pattern = re.compile(_BEFORE + "(" + "|".join(map(re.escape, ordered)) + ")" + _AFTER) if ordered else None

    def host(self, path: str) -> str | None:
        """Where `path` of the container lies, or None where the table says nothing about it."""
        for inside in self._ordered:
            if path == inside or path.startswith(inside + "/"):
                return self.entries[inside] + path[len(inside) :]
        return None

    def rewrite(self, text: str) -> str:
        """`text` with each path of the table replaced."""
        if self._pattern is None or "/" not in text:
            return text
        return self._pattern.sub(lambda found: self.entries[found[1]], text)


def _clean(path: str) -> str:
    return path.rstrip("/") or "/"


def script_position(argv: list[str]) -> int | None:
    """Which argument of a Python command line is the script's path; None for `-c`, `-m` and an interactive interpreter."""
    index = 1
    while index < len(argv):
        word = argv[index]
        if not word.startswith("-"):
            return index
        if word == "-":
            return None
        if word == "--check-hash-based-pycs":
            index += 1
        elif not word.startswith("--"):
            # Short options may stand together (`-uc`); the first that takes a value ends the word.
            valued = next((letter for letter in word[1:] if letter in "cmWX"), "")
            if valued and valued in "cm":
                return None
            if valued and word.endswith(valued):
                index += 1
        index += 1
    return None
