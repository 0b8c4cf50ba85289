"""Writes a set of files so that readers see either all old or all new contents (k8s.io/kubernetes/pkg/volume/util.AtomicWriter).

The files live in a folder with the time in its name, `..data` is a link to it, and each visible name is a link through `..data`; an update
makes a new folder and swaps the one link. Where a container can write to the volume (it has no root of its own), what it changed there is
written over, and a link that it put there is not followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

from clusters.embedded.kubelet import beneath
from clusters.embedded.kubelet.volume_payload import Payload, VolumeError

# maxPathLength and maxFileNameLength.
_LONGEST_PATH, _LONGEST_NAME = 4096, 255


def write(folder: Path, payload: Payload) -> bool:
    """Makes `folder`, which is there, hold exactly `payload`; False where it already did.

    Raises VolumeError for a path in `payload` that leads out of the volume, OSError where it cannot be written.
    """
    for path in payload:
        _check(path)
    data = folder / "..data"
    old = _current(folder)
    if old is not None and _content(old) == payload:
        return False
    stamp = folder / time.strftime(f"..%Y_%m_%d_%H_%M_%S.{time.time_ns() % 10**10:010d}")
    stamp.mkdir(mode=0o755)
    for path, (content, mode) in payload.items():
        beneath.make_folder(stamp, os.path.dirname(path))
        with open(beneath.open_file(stamp, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
    swapped = folder / "..data_tmp"
    _discard(swapped)
    swapped.symlink_to(stamp.name)
    if not data.is_symlink():
        _discard(data)
    os.replace(swapped, data)
    visible = {path.partition("/")[0] for path in payload}
    for name in visible:
        link = folder / name
        if not link.is_symlink() or os.readlink(link) != f"..data/{name}":
            _discard(link)
            link.symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if old is not None:
        beneath.remove_tree(old)
    return True


def _check(path: str) -> None:
    """validatePath of the AtomicWriter."""
    names = path.split("/")
    if not path:
        raise VolumeError('invalid path: must not be empty: ""')
    if path.startswith("/"):
        raise VolumeError(f"invalid path: must be relative path: {path}")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise VolumeError(f"invalid path: must be less than or equal to {_LONGEST_PATH} characters")
    if ".." in names:
        raise VolumeError(f"invalid path: must not contain '..': {path}")
    if any(len(os.fsencode(name)) > _LONGEST_NAME for name in names):
        raise VolumeError(f"invalid path: filenames must be less than or equal to {_LONGEST_NAME} characters")
    if names[0].startswith(".."):
        raise VolumeError(f"invalid path: must not start with '..': {path}")


def _current(folder: Path) -> Path | None:
    """The folder that `..data` names, if it is one that was made here."""
    try:
        name = os.readlink(folder / "..data")
        if "/" not in name and name.startswith("..") and name != ".." and stat.S_ISDIR((folder / name).lstat().st_mode):
            return folder / name
    except OSError:
        pass
    return None


def _discard(path: Path) -> None:
    """Removes whatever is at this place, if anything."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            beneath.remove_tree(path)
        else:
            path.unlink()


def _content(data: Path) -> Payload | None:
    """What the folder holds; None where something in it is no plain file."""
    found: Payload = {}
    for root, _, names in os.walk(data):
        for name in names:
            below = os.path.relpath(os.path.join(root, name), data)
            try:
                with open(beneath.open_file(data, below, os.O_RDONLY), "rb") as file:
                    found[below] = (file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
            except OSError:
                return None
    return found
