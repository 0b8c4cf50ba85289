"""Folders with short paths for unix sockets, which must not have long ones: in `/tmp/ai-lab-<uid>`, found again by a link to them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path


def _is_own(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    # A folder that others may write to could be exchanged under our feet.
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _shared() -> Path:
    return Path(tempfile.gettempdir()) / f"ai-lab-{os.getuid()}"


def ensure(link: Path) -> None:
    """Makes `link` lead to a folder of its own with a short path. Raises OSError.

    Where another user has made the folder that all of them lie in, a new one with a name that nobody can know is taken instead.
    """
    if link.is_symlink() and _is_own(link.readlink()):
        return
    shared = _shared()
    with contextlib.suppress(OSError):
        shared.mkdir(mode=0o700)
    if _is_own(shared):
        short = shared / hashlib.sha256(os.fsencode(link.absolute())).hexdigest()[:10]
        short.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        short = Path(tempfile.mkdtemp(prefix=f"ai-lab-{os.getuid()}-"))
    link.unlink(missing_ok=True)
    link.symlink_to(short)


def below(state: Path) -> list[Path]:
    """The folders that the links of the nodes in a state folder lead to."""
    return [link.readlink() for link in state.glob("nodes/*/var/lib/kubelet/device-plugins") if link.is_symlink()]


def remove(folders: Iterable[Path]) -> None:
    """Deletes those of the folders that are ours, and the one around them once that is empty."""
    for short in folders:
        if _is_own(short) and short.is_relative_to(tempfile.gettempdir()):
            shutil.rmtree(short, ignore_errors=True)
    with contextlib.suppress(OSError):
        _shared().rmdir()
