"""The path table of a container without a root of its own: which folders of this machine stand for which of the container's.

The longest entry that fits wins, at exact boundaries: `/data` is not in `/database`. An entry that maps a path to itself shields it.
What no entry names is this machine's own (`/usr`, `/etc`), to be read only: what the container writes there goes into its root folder, and
is read from there afterwards. Nothing of the machine is changed or deleted.
"""

from __future__ import annotations

import errno
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


# Nobody writes files there.
_KERNEL = ("/dev/", "/proc/", "/sys/")


class Table:
    """Translates paths both ways; `cwd` is the working directory as the container calls it.

    `root` is the folder of what the container wrote outside its mounts, "" for none. `read_only` are paths of the container that may
    not be written: mounts, and "/" for all that is no mount.
    """

    def __init__(self, entries: dict[str, str], root: str = "", read_only: tuple[str, ...] = ()) -> None:
        self._read_only = read_only
        self.entries = {inside.rstrip("/") or "/": outside.rstrip("/") or "/" for inside, outside in entries.items()}
        self._by_first: dict[str, list[tuple[str, str]]] = {}
        for inside in sorted(self.entries, key=len, reverse=True):
            self._by_first.setdefault(inside.split("/", 2)[1], []).append((inside, self.entries[inside]))
        self._slash = self._by_first.pop("", [])
        self.root = root.rstrip("/")
        outsides = [(outside, inside) for inside, outside in self.entries.items() if inside != outside]
        if self.root:
            outsides.append((self.root, "/"))
        self._outsides = sorted(outsides, key=lambda pair: len(pair[0]), reverse=True)
        self.cwd = "/"
        self._below_cwd = False
        self._foreign_cwd = False
        self.moved()

    def moved(self) -> None:
        """The process has changed its working directory."""
        try:
            real = posix.getcwd()
        except OSError:
            return
        self.cwd = self.inside(real)
        self._foreign_cwd = bool(self.root) and not self.owns(real)
        start = self.cwd.rstrip("/") + "/"
        self._below_cwd = any(inside.startswith(start) for inside in self.entries)

    def outside(self, path: str, writing: bool = False) -> str:
        """Where `path` of the container lies on this machine; `path` itself where it is the machine's own.

        Raises OSError EROFS where it is to be written and may not be.
        """
        if writing and self._read_only:
            self._refuse(path)
        return self._outside(path, writing)

    def _refuse(self, path: str) -> None:
        absolute = posixpath.normpath(posixpath.join(self.cwd, path))
        found = next((each for each in self._by_first.get(absolute.split("/", 2)[1], self._slash) if _is_in(absolute, each[0])), None)
        if found is not None and not (found[1] == self.root or found[1].startswith(self.root + "/")):
            refused = found[0] in self._read_only
        else:
            refused = "/" in self._read_only and not absolute.startswith(_KERNEL) and (found is not None or not self.owns(absolute))
        if refused:
            raise OSError(errno.EROFS, posix.strerror(errno.EROFS), path)

    def _outside(self, path: str, writing: bool) -> str:
        if not path.startswith("/"):
            if not path or not (self._below_cwd or ".." in path or (writing and self._foreign_cwd)):
                return path
            absolute = posixpath.normpath(posixpath.join(self.cwd, path))
            found = self._absolute(absolute, writing)
            return path if found == absolute else found
        if "/." in path or "//" in path:
            return self._absolute(_plain(path), writing)
        return self._absolute(path, writing)

    def _absolute(self, path: str, writing: bool) -> str:
        for inside, outside in self._by_first.get(path.split("/", 2)[1], self._slash):
            if _is_in(path, inside):
                return outside + path[len(inside) :]
        if self._slash:
            return self._slash[0][1] + path
        return self._in_root(path, writing) if self.root else path

    def _in_root(self, path: str, writing: bool) -> str:
        if path == "/" or path.startswith(_KERNEL) or self.owns(path):
            return path
        own = self.root + path
        try:
            posix.lstat(own)
        except OSError:
            if not writing:
                return path
            self._make_parent(path)
        return own

    def owns(self, path: str) -> bool:
        """Whether a path of this machine lies in a folder of the container."""
        if self.inside(path) != path:
            return True
        shielded = (inside for inside, outside in self.entries.items() if inside == outside)
        return any(path == each or path.startswith(each + "/") for each in shielded)

    def _make_parent(self, path: str) -> None:
        """A folder that the machine has is there in the container too, if only to write into it."""
        parent = posixpath.dirname(path)
        try:
            posix.stat(parent)
        except OSError:
            return
        made = self.root
        for name in parent.split("/")[1:]:
            made += "/" + name
            try:
                posix.mkdir(made)
            except OSError:
                continue

    def inside(self, path: str) -> str:
        """What the container calls a path of this machine; `path` itself where it has no other name."""
        for outside, inside in self._outsides:
            if path == outside or path.startswith(outside + "/"):
                return (inside.rstrip("/") + path[len(outside) :]) or "/"
        return path

    def any_outside(self, path: Any, writing: bool = False) -> Any:
        """`outside` for whatever a file function takes: str, bytes, PathLike; a file descriptor stays what it is."""
        if type(path) is str:
            return self.outside(path, writing)
        if isinstance(path, int) or path is None:
            return path
        try:
            plain = posix.fspath(path)
        except TypeError:
            return path
        if isinstance(plain, bytes):
            try:
                return self.outside(plain.decode(), writing).encode()
            except UnicodeDecodeError:
                return path
        return self.outside(plain, writing)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _plain(path: str) -> str:
    """Without `.`, `..` and doubled slashes, so that the table can be asked; a slash at the end stays."""
    plain = posixpath.normpath(path)
    if plain.startswith("//"):
        plain = plain[1:]
    return plain + "/" if path.endswith("/") and plain != "/" else plain
