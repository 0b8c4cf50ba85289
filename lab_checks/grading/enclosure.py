"""An enclosure for programs that somebody else wrote: Linux namespaces, made by an ordinary process.

    python -m lab_checks.grading.enclosure --own DIR [--hide PATH] [--show DIR] [--network] [--last] [--memory BYTES] … -- COMMAND …

The command sees the machine's files, cannot write to any but those under --own, and sees nothing under --hide but what is under --own or --show. It sees
no process but its own, has no capability, and cannot get one. Its terminals and its memory for sharing are its own. With --network it has a loopback
interface of its own and no other; with --last it can make no namespaces. When it ends, or this process or the one that started it is killed, the kernel
kills all that it left.
`--memory` limits each process's data, `--file` the size of each file, `--processes` their number with threads (for the whole of an enclosure).

Where root asks, the command runs under a number that no account has, `OUTSIDE`: root without capabilities would still own the kernel's settings.

user_namespaces(7), mount_namespaces(7), pid_namespaces(7), mount_setattr(2), pts(4).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import pwd
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab_checks.engine import paths

# linux/sched.h
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
# linux/mount.h
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 0x1000, 0x4000, 1 << 18
_AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 1
# The number is the same on every architecture since Linux 5.12.
_MOUNT_SETATTR = 442
# linux/prctl.h
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 24, 38
# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# Who the command is inside: an ordinary user, so that nothing takes it for root.
_INSIDE = 1000
# Who it is outside where root made the enclosure.
OUTSIDE = 2_000_000_000
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# A folder of the enclosure's own in memory, with a short path.
SHORT = "/dev/shm"
_IN_MEMORY = 256 * 1024 * 1024
# What could not be set up, as opposed to what the command said.
CANNOT = 125


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    """Raises OSError for the system call `what` that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    done = _libc().mount(source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None)
    _check(done, f"mount {target}")


def _set_readonly(path: str, readonly: bool) -> None:
    """Makes a mount read-only with all that is mounted below it, or makes one mount writable."""
    set_, clear = (_ATTR_RDONLY, 0) if readonly else (0, _ATTR_RDONLY)
    attributes = struct.pack("=QQQQ", set_, clear, 0, 0)
    flags = _AT_RECURSIVE if readonly else 0
    done = _libc().syscall(
        ctypes.c_long(_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), ctypes.c_char_p(path.encode()), ctypes.c_uint(flags),
        ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)),
    )  # fmt: skip
    _check(done, f"mount_setattr {path}")


def _unshare(flags: int) -> None:
    """New namespaces; in the new user namespace this process's user is _INSIDE, or still root, and then _INSIDE is OUTSIDE. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    if user:
        _check(_libc().unshare(ctypes.c_int(flags)), "unshare")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_INSIDE} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{_INSIDE} {group} 1")
        return
    # Two users can only be written by a process that has stayed outside.
    reader, writer = os.pipe()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(writer)
            if os.read(reader, 1):
                for kind in ("uid", "gid"):
                    Path(f"/proc/{os.getppid()}/{kind}_map").write_text(f"0 0 1\n{_INSIDE} {OUTSIDE} 1\n")
                code = 0
        finally:
            os._exit(code)
    os.close(reader)
    try:
        _check(_libc().unshare(ctypes.c_int(flags)), "unshare")
        os.write(writer, b"!")
    finally:
        os.close(writer)
        _, status = os.waitpid(helper, 0)
    if status:
        raise PermissionError(errno.EPERM, "users of the new namespace: " + os.strerror(errno.EPERM))


def _loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _arrange(own: list[Path], show: list[Path], hide: list[Path]) -> None:
    """The files as the command sees them. Raises OSError."""
    _mount("none", "/", "", _REC | _PRIVATE)
    os.umask(0o022)
    # Held by number: the names below a hidden folder are gone in a moment.
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (*show, *own)}
    for path in sorted({*held, *hide}, key=lambda each: len(each.parts)):
        if path in held:
            path.mkdir(parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{held[path]}", str(path), "", _BIND | _REC)
        elif path.is_dir():
            _mount("tmpfs", str(path), "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
        elif path.exists():
            _mount("/dev/null", str(path), "", _BIND)
    _devices()
    _set_readonly("/", True)
    for path in own:
        _set_readonly(str(path), False)
    for number in held.values():
        os.close(number)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _mount("tmpfs", SHORT, "tmpfs", _NOSUID | _NODEV, f"size={_IN_MEMORY},mode=1777")
    # Sockets of the machine's services, such as a container engine's: a read-only mount does not keep anybody from them.
    run = Path("/run")
    if run.is_dir() and not any(path.is_relative_to(run) for path in (*held, Path(sys.prefix).resolve(), Path(__file__).resolve())):
        _mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")


def _devices() -> None:
    """A /dev without disks and without the terminals of others: a read-only mount does not keep anybody from writing to a device."""
    numbers = {name: os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC) for name in _DEVICES if os.path.exists(f"/dev/{name}")}
    _mount("tmpfs", "/dev", "tmpfs", _NOSUID, "size=1m,mode=755")
    for name, number in numbers.items():
        Path("/dev", name).touch()
        _mount(f"/proc/self/fd/{number}", f"/dev/{name}", "", _BIND)
        os.close(number)
    for folder in ("pts", "shm"):
        Path("/dev", folder).mkdir()
    _mount("devpts", "/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        Path("/dev", name).symlink_to(target)


def _without_namespaces() -> None:
    """From now on nobody in here makes a namespace, or memory for sharing that no process holds. Raises OSError."""
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    with contextlib.suppress(OSError):
        # Kernels before 5.19 let nobody but root set it.
        Path("/proc/sys/kernel/shmall").write_text("0")


def _without_rights() -> None:
    """From the next exec on, this process and its children have no capability and cannot get one."""
    libc = _libc()
    _check(libc.prctl(_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl no_new_privs")
    number = 0
    # The first number that the kernel does not know is refused.
    while libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) == 0:
        number += 1


def _limits(memory: int, file: int) -> None:
    for what, limit in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, file)):
        if limit:
            _limit(what, limit)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(what: int, limit: int) -> None:
    hard = resource.getrlimit(what)[1]
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (wanted, wanted))


@dataclass(frozen=True)
class Enclosure:
    """What a command may do. Paths are absolute, without links; sizes are in bytes, and 0 is no limit.

    It writes under `own`, sees nothing under `hide` but what is under `own` and `show`, has a `network` of its own or that of its maker, and makes
    namespaces unless it is the `last` of nested enclosures. `processes` counts threads as well.
    """

    own: tuple[Path, ...]
    hide: tuple[Path, ...] = ()
    show: tuple[Path, ...] = ()
    network: bool = False
    last: bool = False
    memory: int = 0
    file: int = 0
    processes: int = 0

    def command(self, command: list[str]) -> list[str]:
        """The command line that runs `command` in it."""
        found = [sys.executable, "-m", "lab_checks.grading.enclosure"]
        for name, places in (("--own", self.own), ("--hide", self.hide), ("--show", self.show)):
            for path in places:
                found += [name, str(path)]
        found += ["--network"] * self.network + ["--last"] * self.last
        for name, limit in (("--memory", self.memory), ("--file", self.file), ("--processes", self.processes)):
            found += [name, str(limit)]
        return [*found, "--", *command]

    def run(self, command: list[str]) -> int:
        """Runs the command and returns its exit status; a signal's number as 128 and more. Raises OSError where there can be no enclosure."""
        maker = os.getppid()
        _limits(self.memory, self.file)
        _unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWIPC | (_NEWNET if self.network else 0))
        # Only now: new rights take it back. Whoever made the enclosure may have been killed before.
        _check(_libc().prctl(_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "prctl pdeathsig")
        if os.getppid() != maker:
            return CANNOT
        alive, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            code = CANNOT
            try:
                code = self._first(command, alive)
            except OSError as problem:
                os.write(2, f"no enclosure: {problem}\n".encode())
            finally:
                os._exit(code if code >= 0 else 128 - code)
        os.close(alive)
        os.write(writer, b"!")
        # A kernel is interrupted by a signal to the process that its manager started.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _first(self, command: list[str], alive: int) -> int:
        """The first process of the enclosure: sets it up, starts the command, and collects what it leaves. Returns its exit status."""
        _check(_libc().prctl(_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "prctl pdeathsig")
        # The one outside may have been killed before that: then nobody writes.
        if os.read(alive, 1) == b"":
            return CANNOT
        os.close(alive)
        where = os.getcwd()
        if self.network:
            _loopback()
        _arrange([*self.own], [*self.show], [*self.hide])
        if self.last:
            _without_namespaces()
        _without_rights()
        os.chdir(where)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setresgid(_INSIDE, _INSIDE, _INSIDE)
                    os.setresuid(_INSIDE, _INSIDE, _INSIDE)
                if self.processes:
                    _limit(resource.RLIMIT_NPROC, self.processes)
                os.execvpe(command[0], command, os.environ)
            except OSError as problem:
                os.write(2, f"{command[0]}: {problem.strerror}\n".encode())
            os._exit(127)
        while True:
            number, status = os.wait()
            if number == child:
                return os.waitstatus_to_exitcode(status)


def give(folder: Path) -> None:
    """Makes a folder and all in it the enclosed command's, where root asks; nothing otherwise. Raises OSError."""
    if os.geteuid() == 0:
        for where, names, files in os.walk(folder):
            for name in (".", *names, *files):
                os.chown(os.path.join(where, name), OUTSIDE, OUTSIDE, follow_symlinks=False)


def limited(command: list[str], *, memory: int = 0, file: int = 0) -> list[str]:
    """The command line that runs `command` with these limits, and without an enclosure."""
    return [sys.executable, "-m", "lab_checks.grading.enclosure", "--none", "--memory", str(memory), "--file", str(file), "--", *command]


def _needed() -> set[Path]:
    """The folders that Python and the course are read from."""
    root = paths.root().resolve()
    found = {Path(each).resolve() for each in (sys.prefix, sys.base_prefix, *sys.path) if each and os.path.isdir(each)}
    # `python -m` puts the folder of whoever calls it on the path.
    return (found - {Path.cwd()}) | {root}


def _of_people() -> list[Path]:
    """Where people keep what is theirs, and where their programs keep it for a while."""
    homes = {os.path.expanduser("~"), pwd.getpwuid(os.geteuid()).pw_dir, "/home", "/root"}
    return [
        Path(each).resolve()
        for each in (*homes, "/tmp", "/var/tmp", tempfile.gettempdir(), "/mnt", "/media", "/srv")
        if os.path.isdir(each)
    ]


def for_a_stranger(own: Path, also: Iterable[Path] = (), *, file: int = 0) -> Enclosure:
    """An enclosure for a stranger's program, which sees nothing in people's folders and `also`, save what Python and the course need."""
    show = _needed()
    hide = {*_of_people(), *(each.resolve() for each in also)}
    # Whoever hides the system has nothing left to run.
    system = [Path(each) for each in ("/usr", "/bin", "/lib", "/etc", "/dev", "/proc")]
    kept = {each for each in hide if not any(one.is_relative_to(each) for one in system)}
    return Enclosure((own,), tuple(sorted(kept - show)), tuple(sorted(show)), network=True, file=file)


@functools.cache
def missing() -> str:
    """Why this machine can enclose nothing; the empty text where it can. Two enclosures, one in the other, are tried."""
    if sys.platform != "linux":
        return "an enclosure needs Linux"
    with tempfile.TemporaryDirectory(prefix="ai-lab-grade-") as folder:
        own = Path(folder).resolve()
        inner = Enclosure((own,), last=True).command(["true"])
        try:
            give(own)
            outer = for_a_stranger(own).command(inner)
            done = subprocess.run(outer, cwd=own, capture_output=True, text=True, check=False, timeout=120)
        except OSError as problem:
            return str(problem)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it cannot be made"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--none", action="store_true", help="limits only")
    for name in ("own", "hide", "show"):
        parser.add_argument(f"--{name}", action="append", type=Path, default=[])
    for name in ("network", "last"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("memory", "file", "processes"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    if given.none:
        _limits(given.memory, given.file)
        os.execvp(given.command[0], given.command)
    enclosure = Enclosure(
        tuple(given.own), tuple(given.hide), tuple(given.show), given.network, given.last, given.memory, given.file, given.processes
    )
    try:
        return enclosure.run(given.command)
    except OSError as problem:
        print(f"no enclosure: {problem}", file=sys.stderr)
        return CANNOT


if __name__ == "__main__":
    raise SystemExit(main())
