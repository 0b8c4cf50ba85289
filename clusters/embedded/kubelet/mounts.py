"""Mounts of a private root, by the system calls themselves: binds, /proc, terminals and volumes.

Runs in a forked child of a process with one thread, so it does little but system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from clusters.embedded.kubelet.syscalls import check, libc

# linux/mount.h
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME, _NODIRATIME = 1, 2, 4, 8, 32, 1024, 2048
_BIND, _REC, _PRIVATE, _RELATIME = 4096, 16384, 1 << 18, 1 << 21
# statvfs's flags to mount's: what a mount of the machine forbids stays forbidden.
_KEPT = (
    (os.ST_RDONLY, _RDONLY),
    (os.ST_NOSUID, _NOSUID),
    (4, _NODEV),
    (8, _NOEXEC),
    (1024, _NOATIME),
    (2048, _NODIRATIME),
    (4096, _RELATIME),
)
# The same number on every architecture; since Linux 5.12.
_MOUNT_SETATTR = 442
_AT_FDCWD, _RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 1
# The containers' defaults of containerd: what /proc has for the whole machine is hidden, or can only be read.
_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


@dataclass(frozen=True)
class Bind:
    """`source`, a path of this machine, seen at `target`, an existing path below the new root (without a leading slash)."""

    source: str
    target: str
    read_only: bool = False


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [os.fsencode(each) if each is not None else None for each in (source, target, kind)]
    check(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def mount_parts(folder: str, binds: Sequence[Bind], memory: Sequence[tuple[str, int]]) -> None:
    """Makes `folder` a mount of its own that the rest of this machine does not see, with `binds` in it and (target, bytes) of memory."""
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount(folder, folder, None, _BIND | _REC)
    for bind in binds:
        target = f"{folder}/{bind.target}"
        _mount(bind.source, target, None, _BIND | _REC)
        if bind.read_only:
            _make_read_only(target)
    for target, size in memory:
        _mount("tmpfs", f"{folder}/{target}", "tmpfs", _NOSUID | _NODEV, f"size={size},mode=1777")


def mount_memory(memory: Sequence[tuple[str, int]], options: str) -> None:
    """Mounts memory over folders, (folder, bytes), for this process's mount namespace alone."""
    _mount(None, "/", None, _REC | _PRIVATE)
    for folder, size in memory:
        _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, f"size={size},{options}")


def _make_read_only(target: str) -> None:
    """With all that is mounted below it, where the kernel can do that."""
    attributes = struct.pack("QQQQ", _ATTR_RDONLY, 0, 0, 0)
    if libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _RECURSIVE, attributes, len(attributes)) == 0:
        return
    make_read_only(target)


def make_read_only(target: str) -> None:
    """The mount itself, and nothing that is mounted below it."""
    have = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in _KEPT if have & bit)
    _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | kept)


def mount_proc(proc: str, own_pids: bool) -> None:
    if own_pids:
        _mount("proc", proc, "proc", _NOSUID | _NODEV | _NOEXEC)
    else:
        _mount("/proc", proc, None, _BIND | _REC)
    for name in _READ_ONLY:
        path = f"{proc}/{name}"
        if os.path.exists(path):
            _mount(path, path, None, _BIND | _REC)
            _make_read_only(path)
    for name in _MASKED:
        path = f"{proc}/{name}"
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
        elif os.path.exists(path):
            _mount("/dev/null", path, None, _BIND)


def mount_terminals(dev: str) -> None:
    """Terminals of the container's own: those of this machine are the user's. The one that the program is started on is its console."""
    _mount("devpts", f"{dev}/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    if os.isatty(0):
        _mount(os.ttyname(0), f"{dev}/console", None, _BIND)


def mount_volumes(volumes: Sequence[Bind], sources: Sequence[int], process: int) -> None:
    """Mounts each open file of `sources` at its place, which is made where it is missing, as runc does."""
    # In this folder an open file is found by its number, whatever is mounted over /proc.
    os.fchdir(os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process))
    for volume, source in zip(volumes, sources, strict=True):
        failed = f'error mounting "{volume.source}" to rootfs at "{volume.target}": '
        try:
            place = _make_place(volume.target, stat.S_ISDIR(os.fstat(source).st_mode))
        except OSError as error:
            raise OSError(error.errno, f"{failed}create mountpoint for {volume.target} mount: {words_of(error)}") from None
        try:
            _mount(str(source), str(place), None, _BIND | _REC)
            if volume.read_only:
                _make_read_only(volume.target)
        except OSError as error:
            raise OSError(error.errno, failed + words_of(error)) from None


def _make_place(target: str, is_folder: bool) -> int:
    """An open file for a place at which to mount, made where it is missing; a link is followed in the root, also to what is not there yet."""
    real = os.path.realpath(target)
    if not os.path.exists(real):
        os.makedirs(real if is_folder else os.path.dirname(real), exist_ok=True)
        if not is_folder:
            os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return os.open(real, os.O_PATH | os.O_CLOEXEC)


def words_of(error: OSError) -> str:
    words = os.strerror(error.errno or 0).lower()
    if error.errno == errno.ENOTDIR:
        words += ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
    return words
