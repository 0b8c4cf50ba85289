"""The path table of a container without a root of its own: which folders of this machine stand for which of the container's.

The longest entry that fits wins, at exact boundaries: `/data` is not in `/database`. An entry that maps a path to itself shields it.
"""

from __future__ import annotations

import posix  # its functions are never patched
import posixpath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(text: str) -> dict[str, str]:
    """A flat JSON object of strings. The json module takes longer to load than the rest of the shim."""
    from _json import scanstring

    found: dict[str, str] = {}
    position = text.find('"')
    while position >= 0:
        key, position = scanstring(text, position + 1, True)
        value, position = scanstring(text, text.index('"', position) + 1, True)
        found[key] = value
        position = text.find('"', position)
    return found


class Table:
    """Translates paths both ways; `cwd` is the working directory as the container calls it."""

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = {inside.rstrip("/") or "/": outside.rstrip("/") or "/" for inside, outside in entries.items()}
        self._by_first: dict[str, list[tuple[str, str]]] = {}
        for inside in sorted(self.entries, key=len, reverse=True):
            self._by_first.setdefault(inside.split("/", 2)[1], []).append((inside, self.entries[inside]))
        self._root = self._by_first.pop("", [])
        outsides = [(outside, inside) for inside, outside in self.entries.items() if inside != outside]
        self._outsides = sorted(outsides, key=lambda pair: len(pair[0]), reverse=True)
        self.cwd = "/"
        self._below_cwd = False
        self.moved()

    def moved(self) -> None:
        """The process has changed its working directory."""
        try:
            self.cwd = self.inside(posix.getcwd())
        except OSError:
            return
        start = self.cwd.rstrip("/") + "/"
        self._below_cwd = any(inside.startswith(start) for inside in self.entries)

    def outside(self, path: str) -> str:
        """Where `path` of the container lies on this machine; `path` itself where the table says nothing about it."""
        if not path.startswith("/"):
            if not path or (not self._below_cwd and ".." not in path):
                return path
            absolute = posixpath.normpath(posixpath.join(self.cwd, path))
            found = self._absolute(absolute)
            return path if found == absolute else found
        if "/." in path or "//" in path:
            return self._absolute(_plain(path))
        return self._absolute(path)

    def _absolute(self, path: str) -> str:
        for inside, outside in self._by_first.get(path.split("/", 2)[1], self._root):
            if path == inside or path.startswith(inside + "/"):
                return outside + path[len(inside) :]
        return self._root[0][1] + path if self._root else path

    def inside(self, path: str) -> str:
        """What the container calls a path of this machine; `path` itself where it has no other name."""
        for outside, inside in self._outsides:
            if path == outside or path.startswith(outside + "/"):
                return (inside.rstrip("/") + path[len(outside) :]) or "/"
        return path

    def any_outside(self, path: Any) -> Any:
        """`outside` for whatever a file function takes: str, bytes, PathLike; a file descriptor stays what it is."""
        if type(path) is str:
            return self.outside(path)
        if isinstance(path, int) or path is None:
            return path
        try:
            plain = posix.fspath(path)
        except TypeError:
            return path
        if isinstance(plain, bytes):
            try:
                return self.outside(plain.decode()).encode()
            except UnicodeDecodeError:
                return path
        return self.outside(plain)

    def inside_text(self, text: str) -> str:
        """A text in which paths of this machine are named as the container names them."""
        for outside, inside in self._outsides:
            if outside in text:
                text = text.replace(outside, inside)
        return text


def _plain(path: str) -> str:
    """Without `.`, `..` and doubled slashes, so that the table can be asked; a slash at the end stays."""
    plain = posixpath.normpath(path)
    if plain.startswith("//"):
        plain = plain[1:]
    return plain + "/" if path.endswith("/") and plain != "/" else plain
