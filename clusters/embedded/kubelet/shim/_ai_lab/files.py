"""The file functions of `os`, `io` and `builtins`, with paths translated by the container's table.

Everything written in Python goes through these: pathlib, shutil, glob, tempfile, zipfile, logging. An error names the path that the program
gave. What opens files in C is patched when it is imported: sqlite3, ssl, subprocess.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import posix
import sys

from . import late
from .paths import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ONE_PATH = (
    *("stat", "lstat", "listdir", "mkdir", "rmdir", "remove", "unlink", "access", "chmod", "lchmod", "chown", "lchown", "utime"),
    *("statvfs", "truncate", "mkfifo", "mknod", "pathconf", "chflags", "lchflags", "getxattr", "setxattr", "listxattr", "removexattr"),
)
_READING = ("open", "stat", "lstat", "listdir", "access", "statvfs", "pathconf", "getxattr", "listxattr", "readlink", "chdir", "open_code")
_TWO_PATHS = ("rename", "replace", "link")
# Not among them: supports_dir_fd. What deletes trees (shutil) then does so by paths, which the table can be asked about.
_SETS = ("supports_fd", "supports_effective_ids", "supports_follow_symlinks")

_table = Table({})


def table() -> Table:
    """The container's table, empty where it has a root of its own."""
    return _table


def _is_absolute(path: Any) -> bool:
    return not isinstance(path, int) and path is not None and os.fspath(path)[:1] in ("/", b"/")


def restore(error: OSError, *pairs: tuple[Any, Any]) -> None:
    """Puts the program's own paths (second of each pair) back into an error that names the translated ones."""
    for real, given in pairs:
        if real is not given:
            if error.filename == real:
                error.filename = given
            if error.filename2 == real:
                error.filename2 = given


def guard(folder: int) -> None:
    """Refuses a change relative to an open folder of the machine, where no path says what it would hit. Raises OSError EROFS."""
    if not _table.root:
        return
    try:
        if sys.platform == "linux":
            path = posix.readlink(f"/proc/self/fd/{folder}")
        else:
            import fcntl

            path = os.fsdecode(fcntl.fcntl(folder, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))  # type: ignore[attr-defined]
    except OSError:
        return
    if not _table.owns(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class _Function:
    """A patched function. An object and not a function, so that a class that keeps it as an attribute does not make a method of it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.__name__ = real.__name__
        self.__doc__ = real.__doc__
        self.__wrapped__ = real

    def __repr__(self) -> str:
        return repr(self._real)


class OnePath(_Function):
    def _writes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return self.__name__ not in _READING

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = "file" if self.__name__ == "open" and "file" in kwargs else "path"
        if args:
            given = args[0]
            real = _table.any_outside(given, self._writes(args, kwargs))
            args = (real, *args[1:])
        elif name in kwargs:
            given = kwargs[name]
            kwargs[name] = real = _table.any_outside(given, self._writes(args, kwargs))
        else:
            given = real = None
        if type(given) is int and self.__name__ not in ("open", "truncate") and self._writes(args, kwargs):
            guard(given)
        folder = kwargs.get("dir_fd")
        if folder is not None and not _is_absolute(given):
            # Relative to a folder that is open already: nothing to translate.
            if self._writes(args, kwargs):
                guard(folder)
            if args:
                args = (given, *args[1:])
            else:
                kwargs[name] = given
        try:
            return self._real(*args, **kwargs)
        except OSError as error:
            restore(error, (real, given))
            raise


class _Open(OnePath):
    def _writes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        mode = args[1] if len(args) > 1 else kwargs.get("mode", "r")
        return isinstance(mode, str) and not {"w", "a", "x", "+"}.isdisjoint(mode)


class _OpenFile(OnePath):
    def _writes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        flags = args[1] if len(args) > 1 else kwargs.get("flags", 0)
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class TwoPaths(_Function):
    def __call__(self, src: Any, dst: Any, **kwargs: Any) -> Any:
        source, target = _table.any_outside(src, self.__name__ != "link"), _table.any_outside(dst, True)
        for path, name in ((src, "src_dir_fd"), (dst, "dst_dir_fd")):
            if kwargs.get(name) is not None and not _is_absolute(path):
                guard(kwargs[name])
        if kwargs.get("src_dir_fd") is not None and not _is_absolute(src):
            source = src
        if kwargs.get("dst_dir_fd") is not None and not _is_absolute(dst):
            target = dst
        try:
            return self._real(source, target, **kwargs)
        except OSError as error:
            restore(error, (source, src), (target, dst))
            raise


class _Symlink(_Function):
    def __call__(self, src: Any, dst: Any, target_is_directory: bool = False, **kwargs: Any) -> Any:
        # An absolute target is written as this machine finds it; readlink turns it back.
        source, target = (_table.any_outside(src) if _is_absolute(src) else src), _table.any_outside(dst, True)
        if kwargs.get("dir_fd") is not None and not _is_absolute(dst):
            guard(kwargs["dir_fd"])
            target = dst
        try:
            return self._real(source, target, target_is_directory, **kwargs)
        except OSError as error:
            restore(error, (source, src), (target, dst))
            raise


class _Readlink(OnePath):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = super().__call__(*args, **kwargs)
        if isinstance(found, bytes):
            return _table.inside(os.fsdecode(found)).encode()
        return _table.inside(found)


class _Chdir(OnePath):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        super().__call__(*args, **kwargs)
        _table.moved()


class _Entry:
    """os.DirEntry of a translated folder: its path begins as the program named the folder."""

    def __init__(self, entry: Any, folder: str) -> None:
        self._entry = entry
        self.name = entry.name
        self.path = os.path.join(folder, entry.name)
        self.is_dir, self.is_file, self.is_symlink = entry.is_dir, entry.is_file, entry.is_symlink
        self.stat, self.inode = entry.stat, entry.inode
        self.is_junction = getattr(entry, "is_junction", lambda: False)

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"


class _Entries:
    def __init__(self, entries: Any, folder: str) -> None:
        self._entries = entries
        self._folder = folder
        self.close = entries.close

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> _Entry:
        return _Entry(next(self._entries), self._folder)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Scandir(_Function):
    def __call__(self, path: Any = ".") -> Any:
        real = _table.any_outside(path)
        try:
            entries = self._real(real)
        except OSError as error:
            restore(error, (real, path))
            raise
        if isinstance(path, int) or path is None or real == path:
            return entries
        return _Entries(entries, os.fspath(path))


class _Getcwd(_Function):
    def __call__(self) -> Any:
        found = self._real()
        if isinstance(found, bytes):
            return os.fsencode(_table.inside(os.fsdecode(found)))
        return _table.inside(found)


def _patch(name: str, kind: type[_Function]) -> None:
    real = getattr(os, name, None)
    if real is None:
        return
    patched = kind(real)
    setattr(os, name, patched)
    for each in _SETS:
        functions = getattr(os, each)
        if real in functions:
            functions.add(patched)


def install(entries: Table) -> None:
    global _table
    _table = entries
    for name in _ONE_PATH:
        _patch(name, OnePath)
    _patch("open", _OpenFile)
    for name in _TWO_PATHS:
        _patch(name, TwoPaths)
    _patch("symlink", _Symlink)
    _patch("readlink", _Readlink)
    _patch("scandir", _Scandir)
    _patch("getcwd", _Getcwd)
    _patch("getcwdb", _Getcwd)
    _patch("chdir", _Chdir)
    _patch("fchdir", _Chdir)
    builtins.open = io.open = _Open(io.open)  # type: ignore[assignment]
    # The import system reads source through this one.
    io.open_code = sys.modules["_io"].open_code = OnePath(io.open_code)  # type: ignore[attr-defined,assignment]
    sys.path_hooks.insert(0, _path_hook)
    late.on_import("sqlite3", _sqlite3)
    late.on_import("ssl", _ssl)
    from . import programs

    programs.install(entries)


def _path_hook(entry: str) -> Any:
    """Imports from folders on sys.path that the program named as the container does."""
    real = _table.outside(entry)
    if real == entry:
        raise ImportError
    for hook in sys.path_hooks:
        if hook is not _path_hook:
            try:
                return hook(real)
            except ImportError:
                continue
    raise ImportError


def _sqlite3(module: Any) -> None:
    real = module.connect

    def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("uri") and isinstance(database, str) and database.startswith("file:/"):
            path, mark, query = database[5:].partition("?")
            return real("file:" + _table.outside(path, "mode=ro" not in query) + mark + query, *args, **kwargs)
        if database == ":memory:" or database == "":
            return real(database, *args, **kwargs)
        return real(_table.any_outside(database, True), *args, **kwargs)

    module.connect = module.dbapi2.connect = connect


def _ssl(module: Any) -> None:
    context = module.SSLContext
    load_verify_locations, load_cert_chain = context.load_verify_locations, context.load_cert_chain

    def verify(self: Any, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        load_verify_locations(self, _table.any_outside(cafile), _table.any_outside(capath), cadata)

    def chain(self: Any, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        load_cert_chain(self, _table.any_outside(certfile), _table.any_outside(keyfile), password)

    context.load_verify_locations, context.load_cert_chain = verify, chain
