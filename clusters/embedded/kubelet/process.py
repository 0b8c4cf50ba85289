"""A child process in a session of its own, watched by the event loop without a thread.

The standard library's asyncio keeps a thread or an open file for each child; here SIGCHLD tells that some child has ended
(`children.py`), and pipes are read by the loop. A running child takes two open files: its pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from clusters.embedded import open_files
from clusters.embedded.kubelet import children
from clusters.embedded.kubelet.runtime import Output

_CHUNK = 65536
# A container's files are made with the container runtime's umask, whatever the server's own is.
_UMASK = 0o022
_PROC = Path("/proc/self/task").is_dir()


def descendants(pid: int) -> list[int]:
    """The processes that `pid` and its children started and that still hang on them; not `pid` itself."""
    found: list[int] = []
    if not _PROC:
        with contextlib.suppress(psutil.Error):
            found = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return found
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        try:
            threads = os.listdir(f"/proc/{each}/task")
            for thread in threads:
                with open(f"/proc/{each}/task/{thread}/children", "rb") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                waiting += children
        except OSError:
            continue
    return found


def _handles(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal. Where this cannot be seen (no /proc): yes."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except OSError:
        return True
    return True


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _before_exec(prepare: Callable[[], None] | None, tty: bool) -> Callable[[], None] | None:
    """What the child does between fork and exec; None keeps the faster way of starting it."""
    steps = [
        *([open_files.restore_limit] if open_files.is_raised() else []),
        *([prepare] if prepare is not None else []),
        *([_take_terminal] if tty else []),
    ]

    def run() -> None:
        for step in steps:
            step()

    return run if steps else None


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class ChildProcess:
    """Implements `runtime.Process`. `output` is called with what the program writes, on the loop that started it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        executable: str | None = None,
        env: Mapping[str, str],
        cwd: str,
        output: Output,
        stdin: bool = False,
        tty: bool = False,
        prepare: Callable[[], None] | None = None,
        popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen,
        terminal: Callable[[], tuple[int, int]] = pty.openpty,
    ):
        """Raises OSError where the program cannot be executed. `prepare` runs in the child before the program does; `popen` starts it;
        `terminal` opens both ends of one.
        """
        open_files.check_room()
        self._loop = asyncio.get_running_loop()
        # Listens before the child can end.
        running = children.of(self._loop)
        self._output = output
        self._streams: dict[int, int] = {}
        self._drained = asyncio.Event()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._input: int | None = None
        self._terminal: int | None = None
        child_ends: list[int] = []
        try:
            if tty:
                master, slave = terminal()
                self._terminal = self._input = master
                self._streams[master] = 1
                child_ends = [slave]
                ends = (slave, slave, slave)
            else:
                out_read, out_write = os.pipe()
                err_read, err_write = os.pipe()
                self._streams = {out_read: 1, err_read: 2}
                child_ends = [out_write, err_write]
                in_read = subprocess.DEVNULL
                if stdin:
                    in_read, self._input = os.pipe()
                    child_ends.append(in_read)
                ends = (in_read, out_write, err_write)
            self._child = popen(
                argv,
                executable=executable,
                env=dict(env),
                cwd=cwd,
                stdin=ends[0],
                stdout=ends[1],
                stderr=ends[2],
                start_new_session=True,
                umask=_UMASK,
                preexec_fn=_before_exec(prepare, tty),
            )
        except BaseException:
            for end in [*self._streams, *([self._input] if self._input not in (None, self._terminal) else [])]:
                os.close(end)  # type: ignore[arg-type]
            raise
        finally:
            for end in child_ends:
                os.close(end)
        self.pid = self._child.pid
        self.started = time.time()
        for end in list(self._streams):
            os.set_blocking(end, False)
            self._loop.add_reader(end, self._read, end)
        if self._input is not None:
            os.set_blocking(self._input, False)
        children.started.add(self.pid)
        running.add(self)

    def has_ended(self) -> bool:
        """Whether the first process is over; it is not cleared away yet."""
        if hasattr(os, "waitid"):
            # Looks without reaping: the pid stays ours until the group has been killed.
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._child.poll() is not None

    def reap(self) -> None:
        """The first process is over: what it left behind in its session ends with it."""
        self._signal_group(signal.SIGKILL)
        code = self._child.wait()
        children.started.discard(self.pid)
        if not self._exited.done():
            self._exited.set_result(code if code >= 0 else 128 - code)
        # A process that left the session may hold the pipe for ever; what had been written by now is read.
        self._loop.call_later(0.2, self._close_streams)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _read(self, end: int) -> None:
        try:
            data = os.read(end, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            # A terminal whose other side is closed answers EIO.
            if error.errno != errno.EIO:
                raise
            data = b""
        if data:
            self._output(self._streams[end], data)
        else:
            self._close(end)

    def hold(self, held: bool) -> None:
        """While `held`, nothing is read of what the program writes: it waits once its pipe is full. What it leaves at its end is read."""
        for end in self._streams:
            if held:
                self._loop.remove_reader(end)
            else:
                self._loop.add_reader(end, self._read, end)

    def _close(self, end: int) -> None:
        if end not in self._streams:
            return
        self._loop.remove_reader(end)
        del self._streams[end]
        if end != self._terminal:
            os.close(end)
        if not self._streams:
            self._drained.set()

    def _close_streams(self) -> None:
        for end in list(self._streams):
            with contextlib.suppress(OSError):
                while data := os.read(end, _CHUNK):
                    self._output(self._streams[end], data)
            self._close(end)

    @property
    def running(self) -> bool:
        return not self._exited.done()

    async def wait(self) -> int:
        code = await asyncio.shield(self._exited)
        await self._drained.wait()
        self.close_stdin()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        return code

    def terminate(self) -> None:
        if self.running and _handles(self.pid, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if not self.running:
            return
        left = descendants(self.pid)
        self._signal_group(signal.SIGKILL)
        for pid in (self.pid, *left):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    async def write_stdin(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._input is not None:
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                await self._writable(self._input)
            except OSError:
                # The program has closed its input: what comes after is lost, as in a shell's pipe.
                return

    async def _writable(self, end: int) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(end, _settle, ready)
        try:
            waiting: list[asyncio.Future[Any]] = [ready, self._exited]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_writer(end)

    def close_stdin(self) -> None:
        if self._input is not None and self._input != self._terminal:
            os.close(self._input)
        self._input = None

    def resize(self, columns: int, rows: int) -> None:
        if self._terminal is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
