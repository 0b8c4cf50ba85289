"""Paths that a container may have changed, used by the kubelet without being led elsewhere by a symbolic link.

What a container writes (volumes, folders of the node that it mounts) may hold links that lead out of it. `resolve` follows links as a
process would whose root is the given folder; `open_folder` and `open_file` walk with one open file after another and follow no link at
all, so that a link put there meanwhile is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

# The kernel's MAXSYMLINKS.
_MOST_LINKS = 40
# O_PATH (Linux) needs no right to read.
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)


def clean(path: str) -> str:
    """A path in a container as its runtime takes it: absolute, without `.`, `..` and doubled slashes; `..` does not lead above `/`."""
    return "/" + os.path.normpath("/" + path).lstrip("/")


def resolve(root: Path, path: str, aliases: Mapping[str, Path] | None = None) -> Path:
    """Where `path` lies on this machine for a process whose `/` is `root`; what is missing is taken as it is written.

    `aliases` are folders of `root` (absolute, as seen in it) that really lie elsewhere. Raises OSError ELOOP for links that lead in circles.
    """
    known = aliases or {}
    waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    found: list[str] = []
    base, links = root, 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            if found:
                found.pop()
            elif base != root:
                inside = next(inside for inside, outside in known.items() if outside == base)
                base, found = root, inside.strip("/").split("/")[:-1]
            continue
        found.append(part)
        if base == root and (alias := known.get("/" + "/".join(found))) is not None:
            base, found = alias, []
            continue
        try:
            target = os.readlink(base.joinpath(*found))
        except OSError:
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            base, found = root, []
        else:
            found.pop()
        waiting += [part for part in reversed(target.split("/")) if part not in ("", ".")]
    return base.joinpath(*found)


def open_folder(folder: Path, below: str | Path = "", *, make: int | None = None) -> int:
    """An open file for the folder `below` in `folder`, reached without a link; with `make`, what is missing is made with that mode.

    `folder` itself is trusted. The caller closes what is returned. Raises OSError (ELOOP or ENOTDIR at a link, as the system has it).
    """
    current = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in _parts(below):
            try:
                deeper = os.open(part, _FOLDER, dir_fd=current)
            except FileNotFoundError:
                if make is None:
                    raise
                _make(part, make, current)
                deeper = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = deeper
    except BaseException:
        os.close(current)
        raise
    return current


def _make(name: str, mode: int, parent: int) -> None:
    # Whatever the umask is; a chmod afterwards could be led elsewhere.
    before = os.umask(0)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=parent)
    finally:
        os.umask(before)


def open_file(folder: Path, below: str | Path, flags: int, mode: int = 0o600) -> int:
    """An open regular file `below` in `folder`, reached without a link. Raises OSError; EINVAL for what is no regular file."""
    *parents, name = _parts(below)
    opened = open_folder(folder, "/".join(parents))
    try:
        # Not to wait for the other end of a pipe.
        file = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=opened)
    finally:
        os.close(opened)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", str(folder / below))
    return file


def open_exact(path: Path, flags: int, mode: int = 0o600) -> int:
    """The same for an absolute path that has no links of this machine's own in it."""
    return open_file(Path("/"), path, flags, mode)


def read(path: Path) -> bytes:
    """A regular file's content, no link followed in its last step. Raises OSError."""
    with open(open_file(path.parent, path.name, os.O_RDONLY), "rb") as file:
        return file.read()


def replace(path: Path, content: bytes) -> None:
    """Writes a file beside `path` and puts it in its place: whoever reads sees the old content or the new. Raises OSError.

    What somebody else puts at the new file's place meanwhile is not followed.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(open_file(path.parent, fresh.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(content)
    os.replace(fresh, path)


def tail(path: Path, size: int) -> bytes:
    """The last `size` bytes of a file; see `open_exact`."""
    with open(open_exact(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - size))
        return file.read(size)


def open_resolved(path: Path) -> int:
    """An open file (O_PATH) for what `path`, absolute and without links, names. Raises OSError where a link was put in its way. Linux only."""
    *parents, name = _parts(path)
    opened = open_folder(Path("/"), "/".join(parents))
    try:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened)
    finally:
        os.close(opened)
    if stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return found


def make_folder(folder: Path, below: str | Path, mode: int = 0o755) -> Path:
    """Makes the folder `below` in `folder`, and those that lead to it. Raises OSError where a link is in the way."""
    os.close(open_folder(folder, below, make=mode))
    return folder / below


def _parts(path: str | Path) -> list[str]:
    parts = [part for part in os.fspath(path).split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EINVAL, "must not contain '..'", os.fspath(path))
    return parts


def remove_tree(folder: Path) -> None:
    """Deletes a folder with all that is in it, also folders that their owner had locked; follows no link and raises nothing."""
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
        for root, names, _ in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                with contextlib.suppress(OSError):
                    if not os.path.islink(path):
                        os.chmod(path, 0o700)


@contextlib.contextmanager
def container_modes() -> Iterator[None]:
    """Inside, what is made has the modes that containers expect to see (a container runtime's umask), not those of the server's private files."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
