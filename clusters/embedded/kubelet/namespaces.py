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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.kubelet import beneath, mounts
from clusters.embedded.kubelet.capabilities import NAMES
from clusters.embedded.kubelet.mounts import Bind
from clusters.embedded.kubelet.syscalls import check, libc

# linux/sched.h
_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000
# linux/fs.h: MNT_DETACH.
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
# linux/nsfs.h: the user namespace that owns a namespace.
_GET_USERNS = 0xB701
# linux/prctl.h
_CAPBSET_DROP, _SET_NO_NEW_PRIVS = 24, 38


@dataclass(frozen=True)
class Root:
    """A private root: the folder, what is mounted into it, sizes of memory file systems in bytes, and who the container is.

    `binds` are this machine's own parts, to places that are there. `volumes` come after them, as `source` a path without links, as `target`
    an absolute path of the container whose links are followed inside it; the place is made where it is missing.
    `joined` are the handles of another container (`pid_handles`) whose processes are to be seen, as `kubectl debug --target` asks for.
    Without `own_pids` the container sees the machine's processes: where a new /proc may not be mounted (a container around the lab hides
    parts of its own), there is no other way. `pod` are the handles of the namespaces in which the Pod's volumes in memory are (`hold`). With
    `read_only`, the root itself cannot be written in the end; what is mounted in it says for itself whether it can. `root_outside` is who is
    called root inside though the container runs as another: None where a user may map nobody but himself.
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
    pod: Handles | None = None
    read_only: bool = False
    root_outside: int | None = None


@dataclass(frozen=True)
class Rights:
    """What the program may do: the capabilities it can have at most (names without `CAP_`), and whether it may gain any by exec.

    `groups` are supplementary ones, called the same outside: root alone may give them.
    """

    capabilities: frozenset[str]
    no_new_privileges: bool = False
    groups: tuple[int, ...] = ()


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


def _write(path: str, text: str, folder: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


# Numbers of users or groups: (the first inside, the first outside, how many).
Ids = Sequence[tuple[int, int, int]]


def unshare(flags: int, uids: Ids, gids: Ids, process: int) -> None:
    """Moves this process, whose folder in /proc is `process`, into a user namespace with these numbers, and into others by `flags`.

    Its own numbers a process may map itself. Others are mapped by one that stays behind with the rights of the old namespace. Raises OSError.
    """
    if [count for _, _, count in (*uids, *gids)] == [1, 1]:
        check(libc.unshare(_NEW_USER | flags), "unshare")
        _write("setgroups", "deny", process)
        _map_ids(uids, gids, process)
        return
    reader, writer = os.pipe()
    helper = os.fork()
    if helper == 0:
        status = 1
        try:
            os.close(writer)
            os.read(reader, 1)
            _map_ids(uids, gids, process)
            status = 0
        finally:
            os._exit(status)
    os.close(reader)
    try:
        check(libc.unshare(_NEW_USER | flags), "unshare")
    finally:
        os.close(writer)
        status = os.waitpid(helper, 0)[1]
    if status:
        raise OSError(errno.EPERM, f"map ids: {os.strerror(errno.EPERM)}")


def _map_ids(uids: Ids, gids: Ids, process: int) -> None:
    for name, ids in (("uid_map", uids), ("gid_map", gids)):
        _write(name, "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ids), process)


def _go_on_as_child(report: Report) -> None:
    """Goes on in a new process, the first that is in the PID namespace of this one's children.

    Its parent is the parent of this process (CLONE_PARENT, as runc does it): it is waited for like any other child, and no process stays
    behind for each container.
    """
    # The numbers of clone differ; its arguments behind the first are all nothing here.
    number = {"x86_64": 56, "aarch64": 220, "riscv64": 220}[os.uname().machine]
    parent, sigchld = 0x00008000, 17
    child = ctypes.PyDLL(None, use_errno=True).syscall(number, ctypes.c_ulong(parent | sigchld), None, None, None, None)
    check(child, "clone")
    if child:
        report(child)
        os._exit(0)
    os.setsid()


def enter(root: Root, cwd: str, rights: Rights, report: Report) -> None:
    """Moves this process into a private root, as `uid` and `gid` there. Raises OSError."""
    if root.pod is not None:
        for each in root.pod.files:
            check(libc.setns(each, 0), "setns")
    if root.joined is not None:
        for each in root.joined.files:
            check(libc.setns(each, 0), "setns")
        check(libc.unshare(_NEW_NS), "unshare")
        process = _process_folder()
    else:
        process = _process_folder()
        uids = [(root.uid, os.geteuid(), 1), *([(0, root.root_outside, 1)] if root.root_outside is not None else [])]
        gids = [(root.gid, os.getegid(), 1), *((group, group, 1) for group in rights.groups)]
        unshare(_NEW_NS | (_NEW_PID if root.own_pids else 0), uids, gids, process)
    # What this user is called in the outer user namespace: another container's may have another name for him.
    uid, gid = os.geteuid(), os.getegid()
    if root.own_pids:
        _go_on_as_child(report)
        process = _process_folder()
    mounts.mount_parts(root.folder, root.binds, root.memory)
    mounts.mount_proc(f"{root.folder}/proc", root.own_pids)
    mounts.mount_terminals(f"{root.folder}/dev")
    # From here, links are followed inside the new root; the old one is left only when what comes from it is mounted.
    sources = [beneath.open_resolved(Path(volume.source)) for volume in root.volumes]
    os.chdir(root.folder)
    entrance = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    check(libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    mounts.mount_volumes(root.volumes, sources, process)
    # Both roots are in one place: what is detached there is the old one.
    os.fchdir(entrance)
    check(libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    others = [(0, 0, 1)] if root.root_outside is not None else []
    unshare(
        _NEW_NS | _NEW_IPC | _NEW_UTS,
        [(root.uid, uid, 1), *others],
        [(root.gid, gid, 1), *((each, each, 1) for each in rights.groups)],
        process,
    )
    name = root.hostname.encode()
    check(libc.sethostname(name, len(name)), "sethostname")
    # Inside the root, so that it does not matter where links lead.
    try:
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
    except OSError as error:
        raise OSError(error.errno, f"mkdir {cwd}: {mounts.words_of(error)}") from None
    if root.read_only:
        mounts.make_read_only("/")
    _restrict(rights)


def hold(memory: Sequence[tuple[str, int]], uids: Ids, gids: Ids, options: str) -> None:
    """Moves this process where each folder of `memory` is a file system in memory of so many bytes. Raises OSError."""
    unshare(_NEW_NS, uids, gids, _process_folder())
    mounts.mount_memory(memory, options)


def holder_handles(pid: int) -> Handles:
    """The namespaces of a process that is held; the caller closes them. Raises OSError where it is gone."""
    user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Handles((user, os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)), own_pids=False)
    except OSError:
        os.close(user)
        raise


def _process_folder() -> int:
    return os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _restrict(rights: Rights) -> None:
    """Gives up for good what the program may not have; an exec as root of the container gets the rest, any other user nothing."""
    if rights.groups:
        os.setgroups(rights.groups)
    for number, name in enumerate(NAMES):
        # A capability that this kernel does not know cannot be had.
        if name not in rights.capabilities and libc.prctl(_CAPBSET_DROP, number, 0, 0, 0) != 0 and ctypes.get_errno() != errno.EINVAL:
            check(-1, f"drop {name}")
    if rights.no_new_privileges:
        check(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


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
        check(libc.setns(each, 0), "setns")
    if found.own_pids:
        _go_on_as_child(report)
    os.chdir(cwd)
    _restrict(rights)
