"""Linux namespaces for a child between fork and exec: a private root, made of bind mounts, without any privilege.

`enter` makes new user, mount, IPC and UTS namespaces and moves into a folder as its root; `join` goes into those of a process that did.
Both run in a forked child of a process with one thread, so they do little but system calls.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass

# linux/sched.h and linux/mount.h
_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_USER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME, _NODIRATIME = 1, 2, 4, 8, 32, 1024, 2048
_BIND, _REC, _PRIVATE, _RELATIME = 4096, 16384, 1 << 18, 1 << 21
_DETACH = 2
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
_KINDS = ("user", "mnt", "ipc", "uts")
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}


@dataclass(frozen=True)
class Bind:
    """`source`, a path of this machine, seen at `target`, an existing path below the new root (without a leading slash)."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Root:
    """A private root: the folder, what is mounted into it, sizes of memory file systems in bytes, and who the container is."""

    folder: str
    binds: Sequence[Bind]
    memory: Sequence[tuple[str, int]]
    hostname: str
    uid: int
    gid: int


_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [os.fsencode(each) if each is not None else None for each in (source, target, kind)]
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter(root: Root, cwd: str) -> None:
    """Moves this process into a private root, as `uid` and `gid` there. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEW_USER | _NEW_NS | _NEW_IPC | _NEW_UTS), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{root.uid} {uid} 1")
    _write("/proc/self/gid_map", f"{root.gid} {gid} 1")
    name = root.hostname.encode()
    _check(_libc.sethostname(name, len(name)), "sethostname")
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount(root.folder, root.folder, None, _BIND | _REC)
    for bind in root.binds:
        target = f"{root.folder}/{bind.target}"
        _mount(bind.source, target, None, _BIND | _REC)
        if bind.read_only:
            have = os.statvfs(target).f_flag
            kept = sum(flag for bit, flag in _KEPT if have & bit)
            _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | kept)
    for target, size in root.memory:
        _mount("tmpfs", f"{root.folder}/{target}", "tmpfs", _NOSUID | _NODEV, f"size={size},mode=1777")
    os.chdir(root.folder)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    # Both roots are now in one place: what is detached there is the old one.
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    os.chdir(cwd)


def handles(pid: int) -> list[int]:
    """Open files for the namespaces of a process; the caller closes them. Raises OSError where the process is gone."""
    opened: list[int] = []
    try:
        for kind in _KINDS:
            opened.append(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        for each in opened:
            os.close(each)
        raise
    return opened


def join(namespaces: Sequence[int], cwd: str) -> None:
    """Moves this process into the namespaces. Raises OSError."""
    for each in namespaces:
        _check(_libc.setns(each, 0), "setns")
    os.chdir(cwd)
