"""Who listens where: one small file for each listening port of a Pod, in the Pod's folder of the network directory.

`tcp-8080` holds `<real port> <4 or 6> <reuse> <pid>`: the port of 127.0.0.1 that stands for it, whether IPv6 sockets reach it too, whether
others may share it, who made it. An ending says what was bound: nothing for all addresses, `-ip` for the Pod's address only, `-lo` for
127.0.0.1 only, `-lo6` for ::1 only.

The owner holds a shared lock on the file for as long as the socket is open. Forked children hold it with the socket, and the operating
system lets go of it however the processes end: a file without a lock is stale, and nobody has to be trusted to clean up.
Used by the shim and by the control plane.
"""

from __future__ import annotations

import errno
import fcntl
import os
import posix  # never patched by `files`, unlike os: these paths are this machine's

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ANY, ADDRESS, LOOPBACK, LOOPBACK6 = "", "-ip", "-lo", "-lo6"
# What a new listener must not meet.
_OVERLAPS = {ANY: (ANY, LOOPBACK, ADDRESS), LOOPBACK: (ANY, LOOPBACK), ADDRESS: (ANY, ADDRESS), LOOPBACK6: (LOOPBACK6,)}


class Listener:
    """`real` is a port of this machine's 127.0.0.1; `six`: an IPv6 socket listens there."""

    def __init__(self, real: int, six: bool, reuse: bool) -> None:
        self.real = real
        self.six = six
        self.reuse = reuse


def _read(path: str) -> Listener | None:
    try:
        # Other Pods write here too: what is no plain file is not waited for, nor a link followed.
        fd = posix.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except OSError:
        try:
            real, family, reuse = posix.read(fd, 64).split()[:3]
            return Listener(int(real), family == b"6", reuse == b"1")
        except (OSError, ValueError):
            return None
    finally:
        posix.close(fd)


def find(folder: str, protocol: str, port: int, *scopes: str) -> Listener | None:
    """The live listener of the Pod with that folder, bound to the first of `scopes` that has one."""
    for scope in scopes:
        found = _read(f"{folder}/{protocol}-{port}{scope}")
        if found is not None:
            return found
    return None


def has_listeners(folder: str) -> bool:
    """Whether any process still listens in the Pod with that folder."""
    try:
        names = posix.listdir(folder)
    except OSError:
        return False
    return any(_read(f"{folder}/{name}") for name in names if not name.startswith("."))


class Claim:
    """A port that this process listens on."""

    def __init__(self, folder: str, path: str, fd: int, port: int, real: int) -> None:
        self._folder = folder
        self._path = path
        self._fd = fd
        self.port = port
        self.real = real

    def release(self) -> None:
        """Lets go; the file goes away with its last holder."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        posix.close(fd)
        try:
            lock = _lock(self._folder)
        except OSError:
            return
        try:
            if _read(self._path) is None:
                posix.unlink(self._path)
        except OSError:
            pass
        finally:
            posix.close(lock)


def _lock(folder: str) -> int:
    """Waits for the Pod's lock; closing what is returned gives it back."""
    fd = posix.open(f"{folder}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def claim(folder: str, protocol: str, port: int, scope: str, six: bool, reuse: bool, bind: Callable[[int], int]) -> Claim:
    """Takes `port` (0: any) of the Pod. `bind(real)` binds the socket to that port of this machine (0: any) and returns which it is.

    Raises OSError EADDRINUSE where the Pod already listens there; `reuse` (SO_REUSEPORT on both sides) shares it.
    """
    try:
        lock = _lock(folder)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        lock = _lock(folder)
    try:
        for other in _OVERLAPS[scope] if port else ():
            found = _read(f"{folder}/{protocol}-{port}{other}")
            if found is None:
                continue
            if reuse and found.reuse and other == scope:
                return _join(folder, f"{folder}/{protocol}-{port}{scope}", port, bind(found.real))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        real = bind(0)
        port = port or real
        path = f"{folder}/{protocol}-{port}{scope}"
        fresh = f"{folder}/.new"
        fd = posix.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        posix.write(fd, f"{real} {6 if six else 4} {int(reuse)} {posix.getpid()}\n".encode())
        fcntl.flock(fd, fcntl.LOCK_SH)
        posix.rename(fresh, path)
        return Claim(folder, path, fd, port, real)
    finally:
        posix.close(lock)


def _join(folder: str, path: str, port: int, real: int) -> Claim:
    fd = posix.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return Claim(folder, path, fd, port, real)
