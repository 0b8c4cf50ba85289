"""Linux namespaces for a child between fork and exec: a private root, made of bind mounts, without any privilege.

`enter` moves into a private root in two steps. The first user namespace makes the root: its mounts, and the PID namespace that the root's
/proc shows. The second, inside it, is where the program runs: there the mounts are locked, so that no capability of the program can
unmount them or make a read-only one writable (mount_namespaces(7)). `join` goes where another process went.
Both run in a forked child of a process with one thread, so they do little but system calls.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.kubelet import beneath
from clusters.embedded.kubelet.capabilities import NAMES

# linux/sched.h and linux/mount.h
_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000
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
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
# The same number on every architecture; since Linux 5.12.
_MOUNT_SETATTR = 442
_AT_FDCWD, _RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 1
# linux/nsfs.h: the user namespace that owns a namespace.
_GET_USERNS = 0xB701
# linux/prctl.h
_CAPBSET_DROP, _SET_NO_NEW_PRIVS = 24, 38
# The containers' defaults of containerd: what /proc has for the whole machine is hidden, or can only be read.
_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


@dataclass(frozen=True)
class Bind:
    """`source`, a path of this machine, seen at `target`, an existing path below the new root (without a leading slash)."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Root:
    """A private root: the folder, what is mounted into it, sizes of memory file systems in bytes, and who the container is.

    `binds` are this machine's own parts, to places that are there. `volumes` come after them, as `source` a path without links, as `target`
    an absolute path of the container whose links are followed inside it; the place is made where it is missing.
    `joined` are the handles of another container (`pid_handles`) whose processes are to be seen, as `kubectl debug --target` asks for.
    Without `own_pids` the container sees the machine's processes: where a new /proc may not be mounted (a container around the lab hides
    parts of its own), there is no other way.
    """

    folder: str
    binds: Sequence[Bind]
    volumes: Sequence[Bind]
    memory: Sequence[tuple[str, int]]
    hostname: str
    uid: int
    gid: int
    own_pids: bool = True
    joined: Handles | None = None


@dataclass(frozen=True)
class Rights:
    """What the program may do: the capabilities it can have at most (names without `CAP_`), and whether it may gain any by exec."""

    capabilities: frozenset[str]
    no_new_privileges: bool = False


@dataclass(frozen=True)
class Handles:
    """Open files for the namespaces of a running container: in the order in which they are joined."""

    files: tuple[int, ...]
    own_pids: bool

    def close(self) -> None:
        for each in self.files:
            os.close(each)


# Told the process that goes on, where that is another than the one that was forked.
Report = Callable[[int], None]

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [os.fsencode(each) if each is not None else None for each in (source, target, kind)]
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def _write(path: str, text: str, folder: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _map_ids(process: int, uid: tuple[int, int], gid: tuple[int, int]) -> None:
    """`process` is this process's folder in /proc; the pairs are (number inside, number outside)."""
    _write("setgroups", "deny", process)
    _write("uid_map", f"{uid[0]} {uid[1]} 1", process)
    _write("gid_map", f"{gid[0]} {gid[1]} 1", process)


def _go_on_as_child(report: Report) -> None:
    """Goes on in a new process, the first that is in the PID namespace of this one's children.

    Its parent is the parent of this process (CLONE_PARENT, as runc does it): it is waited for like any other child, and no process stays
    behind for each container.
    """
    # The numbers of clone differ; its arguments behind the first are all nothing here.
    number = {"x86_64": 56, "aarch64": 220, "riscv64": 220}[os.uname().machine]
    parent, sigchld = 0x00008000, 17
    child = ctypes.PyDLL(None, use_errno=True).syscall(number, ctypes.c_ulong(parent | sigchld), None, None, None, None)
    _check(child, "clone")
    if child:
        report(child)
        os._exit(0)
    os.setsid()


def enter(root: Root, cwd: str, rights: Rights, report: Report) -> None:
    """Moves this process into a private root, as `uid` and `gid` there. Raises OSError."""
    if root.joined is not None:
        for each in root.joined.files:
            _check(_libc.setns(each, 0), "setns")
        _check(_libc.unshare(_NEW_NS), "unshare")
        process = _process_folder()
    else:
        uid, gid = os.geteuid(), os.getegid()
        _check(_libc.unshare(_NEW_USER | _NEW_NS | (_NEW_PID if root.own_pids else 0)), "unshare")
        process = _process_folder()
        _map_ids(process, (root.uid, uid), (root.gid, gid))
    # What this user is called in the outer user namespace: another container's may have another name for him.
    uid, gid = os.geteuid(), os.getegid()
    if root.own_pids:
        _go_on_as_child(report)
        process = _process_folder()
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount(root.folder, root.folder, None, _BIND | _REC)
    for bind in root.binds:
        target = f"{root.folder}/{bind.target}"
        _mount(bind.source, target, None, _BIND | _REC)
        if bind.read_only:
            _make_read_only(target)
    for target, size in root.memory:
        _mount("tmpfs", f"{root.folder}/{target}", "tmpfs", _NOSUID | _NODEV, f"size={size},mode=1777")
    _mount_proc(f"{root.folder}/proc", root.own_pids)
    _mount_terminals(f"{root.folder}/dev")
    # From here, links are followed inside the new root; the old one is left only when what comes from it is mounted.
    sources = [beneath.open_resolved(Path(volume.source)) for volume in root.volumes]
    os.chdir(root.folder)
    entrance = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _mount_volumes(root.volumes, sources, process)
    # Both roots are in one place: what is detached there is the old one.
    os.fchdir(entrance)
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    _check(_libc.unshare(_NEW_USER | _NEW_NS | _NEW_IPC | _NEW_UTS), "unshare")
    _map_ids(process, (root.uid, uid), (root.gid, gid))
    name = root.hostname.encode()
    _check(_libc.sethostname(name, len(name)), "sethostname")
    # Inside the root, so that it does not matter where links lead.
    try:
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
    except OSError as error:
        raise OSError(error.errno, f"mkdir {cwd}: {_words(error)}") from None
    _restrict(rights)


def _process_folder() -> int:
    return os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _make_read_only(target: str) -> None:
    """With all that is mounted below it, where the kernel can do that."""
    attributes = struct.pack("QQQQ", _ATTR_RDONLY, 0, 0, 0)
    if _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _RECURSIVE, attributes, len(attributes)) == 0:
        return
    have = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in _KEPT if have & bit)
    _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | kept)


def _mount_proc(proc: str, own_pids: bool) -> None:
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


def _mount_terminals(dev: str) -> None:
    """Terminals of the container's own: those of this machine are the user's. The one that the program is started on is its console."""
    _mount("devpts", f"{dev}/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    if os.isatty(0):
        _mount(os.ttyname(0), f"{dev}/console", None, _BIND)


def _mount_volumes(volumes: Sequence[Bind], sources: Sequence[int], process: int) -> None:
    """Mounts each open file of `sources` at its place, which is made where it is missing, as runc does."""
    # In this folder an open file is found by its number, whatever is mounted over /proc.
    os.fchdir(os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process))
    for volume, source in zip(volumes, sources, strict=True):
        failed = f'error mounting "{volume.source}" to rootfs at "{volume.target}": '
        try:
            place = _make_place(volume.target, stat.S_ISDIR(os.fstat(source).st_mode))
        except OSError as error:
            raise OSError(error.errno, f"{failed}create mountpoint for {volume.target} mount: {_words(error)}") from None
        try:
            _mount(str(source), str(place), None, _BIND | _REC)
            if volume.read_only:
                _make_read_only(volume.target)
        except OSError as error:
            raise OSError(error.errno, failed + _words(error)) from None


def _make_place(target: str, is_folder: bool) -> int:
    """An open file for a place at which to mount, made where it is missing; a link is followed in the root, also to what is not there yet."""
    real = os.path.realpath(target)
    if not os.path.exists(real):
        os.makedirs(real if is_folder else os.path.dirname(real), exist_ok=True)
        if not is_folder:
            os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return os.open(real, os.O_PATH | os.O_CLOEXEC)


def _words(error: OSError) -> str:
    words = os.strerror(error.errno or 0).lower()
    if error.errno == errno.ENOTDIR:
        words += ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
    return words


def _restrict(rights: Rights) -> None:
    """Gives up for good what the program may not have; an exec as root of the container gets the rest, any other user nothing."""
    for number, name in enumerate(NAMES):
        # A capability that this kernel does not know cannot be had.
        if name not in rights.capabilities and _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0) != 0 and ctypes.get_errno() != errno.EINVAL:
            _check(-1, f"drop {name}")
    if rights.no_new_privileges:
        _check(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def handles(pid: int, own_pids: bool) -> Handles:
    """The namespaces of a process that entered a root; the caller closes them. Raises OSError where the process is gone."""
    opened: list[int] = []
    try:
        if own_pids:
            opened += pid_handles(pid).files
        for kind in ("user", "mnt", "ipc", "uts"):
            opened.append(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        Handles(tuple(opened), own_pids).close()
        raise
    return Handles(tuple(opened), own_pids)


def pid_handles(pid: int) -> Handles:
    """The PID namespace of a process that entered a root, and before it the user namespace with whose rights it is joined: the outer one.

    The caller closes them. Raises OSError where the process is gone.
    """
    pids = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Handles((fcntl.ioctl(pids, _GET_USERNS), pids), own_pids=True)
    except OSError:
        os.close(pids)
        raise


def join(found: Handles, cwd: str, rights: Rights, report: Report) -> None:
    """Moves this process into the namespaces. Raises OSError."""
    for each in found.files:
        _check(_libc.setns(each, 0), "setns")
    if found.own_pids:
        _go_on_as_child(report)
    os.chdir(cwd)
    _restrict(rights)
