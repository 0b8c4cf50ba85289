"""An enclosure for programs that somebody else wrote: Linux namespaces, made by an ordinary process.

    python -m lab_checks.grading.enclosure --own DIR [--own DIR] [--hide DIR] [--network] [--memory BYTES] [--file BYTES] -- COMMAND …

The command sees the machine's files, cannot write to any but those under --own, and sees nothing under --hide. It sees no process but its own, has no
capability, and cannot get one. With --network it has a loopback interface of its own and no other. When it ends, or this process is killed, the
kernel kills all that it left. `--memory` limits each process's data, `--file` the size of each file.

user_namespaces(7), mount_namespaces(7), pid_namespaces(7), mount_setattr(2).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import functools
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# linux/sched.h
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
# linux/mount.h
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 0x1000, 0x4000, 1 << 18
_AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 1
# The number is the same on every architecture since Linux 5.12.
_MOUNT_SETATTR = 442
# linux/prctl.h
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 24, 38
# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# Who the command is inside: an ordinary user, so that nothing takes it for root.
_INSIDE = 1000
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
    """New namespaces; in the new user namespace this process's user is _INSIDE, and no other user exists. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc().unshare(ctypes.c_int(flags)), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE} {group} 1")


def _loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _arrange(own: list[Path], hide: list[Path]) -> None:
    """The files as the command sees them. Raises OSError."""
    _mount("none", "/", "", _REC | _PRIVATE)
    # Held by number: the names below a hidden folder are gone in a moment.
    held = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) for path in own]
    for path in hide:
        _mount("tmpfs", str(path), "tmpfs", _NOSUID | _NODEV, "size=1m,mode=700")
    for path, number in held:
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{number}", str(path), "", _BIND | _REC)
    _set_readonly("/", True)
    for path, number in held:
        _set_readonly(str(path), False)
        os.close(number)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    if os.path.isdir(SHORT):
        _mount("tmpfs", SHORT, "tmpfs", _NOSUID | _NODEV, f"size={_IN_MEMORY},mode=1777")
    # Sockets of the machine's services, such as a container engine's: a read-only mount does not keep anybody from them.
    run = Path("/run")
    if run.is_dir() and not any(path.is_relative_to(run) for path in (*own, Path(sys.prefix).resolve(), Path(__file__).resolve())):
        _mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")


def _without_rights() -> None:
    """From the next exec on, this process and its children have no capability and cannot get one."""
    libc = _libc()
    _check(libc.prctl(_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl no_new_privs")
    number = 0
    # The first number that the kernel does not know is refused.
    while libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0) == 0:
        number += 1


def _limits(memory: int, file: int) -> None:
    for what, limit in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, file), (resource.RLIMIT_CORE, 0)):
        if limit or what == resource.RLIMIT_CORE:
            hard = resource.getrlimit(what)[1]
            wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(what, (wanted, wanted))


def _first(own: list[Path], hide: list[Path], network: bool, command: list[str], alive: int) -> int:
    """The first process of the enclosure: sets it up, starts the command, and collects what it leaves. Returns its exit status."""
    _check(_libc().prctl(_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "prctl pdeathsig")
    # The one outside may have been killed before that: then nobody writes.
    if os.read(alive, 1) == b"":
        return CANNOT
    os.close(alive)
    where = os.getcwd()
    if network:
        _loopback()
    _arrange(own, hide)
    _without_rights()
    os.chdir(where)
    child = os.fork()
    if child == 0:
        try:
            os.execvpe(command[0], command, os.environ)
        except OSError as problem:
            os.write(2, f"{command[0]}: {problem.strerror}\n".encode())
        os._exit(127)
    while True:
        number, status = os.wait()
        if number == child:
            return os.waitstatus_to_exitcode(status)


def run(own: list[Path], hide: list[Path], network: bool, memory: int, file: int, command: list[str]) -> int:
    """Runs the command in an enclosure and returns its exit status; a signal's number as 128 and more. Raises OSError where there can be none."""
    _limits(memory, file)
    _unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWIPC | (_NEWNET if network else 0))
    alive, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        code = CANNOT
        try:
            code = _first(own, hide, network, command, alive)
        except OSError as problem:
            os.write(2, f"no enclosure: {problem}\n".encode())
        finally:
            os._exit(code if code >= 0 else 128 - code)
    os.close(alive)
    os.write(writer, b"!")
    # A kernel is interrupted by a signal to the process that its manager started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(KeyboardInterrupt):
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def command(
    own: list[Path], command: list[str], *, hide: list[Path] | None = None, network: bool = False, memory: int = 0, file: int = 0
) -> list[str]:
    """The command line that runs `command` in an enclosure. Sizes are in bytes; 0 is no limit."""
    found = [sys.executable, "-m", "lab_checks.grading.enclosure"]
    for name, paths in (("--own", own), ("--hide", hide or [])):
        for path in paths:
            found += [name, str(path)]
    found += ["--network"] if network else []
    return [*found, "--memory", str(memory), "--file", str(file), "--", *command]


def limited(command: list[str], *, memory: int = 0, file: int = 0) -> list[str]:
    """The command line that runs `command` with these limits, and without an enclosure."""
    return [sys.executable, "-m", "lab_checks.grading.enclosure", "--none", "--memory", str(memory), "--file", str(file), "--", *command]


@functools.cache
def missing() -> str:
    """Why this machine can enclose nothing; the empty text where it can. Two enclosures, one in the other, are tried."""
    if sys.platform != "linux":
        return "an enclosure needs Linux"
    with tempfile.TemporaryDirectory(prefix="ai-lab-grade-") as folder:
        own = Path(folder).resolve()
        inner = command([own], ["true"])
        done = subprocess.run(command([own], inner, network=True), capture_output=True, text=True, check=False, timeout=120)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it cannot be made"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--own", action="append", type=Path, default=[])
    parser.add_argument("--none", action="store_true", help="limits only")
    parser.add_argument("--hide", action="append", type=Path, default=[])
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--file", type=int, default=0)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    if given.none:
        _limits(given.memory, given.file)
        os.execvp(given.command[0], given.command)
    try:
        return run(given.own, given.hide, given.network, given.memory, given.file, given.command)
    except OSError as problem:
        print(f"no enclosure: {problem}", file=sys.stderr)
        return CANNOT


if __name__ == "__main__":
    raise SystemExit(main())
