"""Container logs in the format of the container runtime interface, one file for each instance of a container.

A line is `2026-11-23T05:16:13.123456789Z stdout F text`; `P` instead of `F` marks a piece of a line that goes on in the next.
`LogWriter` is fed by the process, `read` serves `kubectl logs`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clusters.embedded.kubelet import beneath
from clusters.embedded.nodes import LogOptions
from kubeobjects import meta

log = logging.getLogger(__name__)

# The kubelet's containerLogMaxSize: a larger file is put aside once.
MAX_BYTES = 10 * 1024 * 1024
# A longer line is cut into pieces (containerd's maxContainerLogLineSize).
_LONGEST_LINE = 16 * 1024
_NAMES = {1: b" stdout ", 2: b" stderr "}
_BLOCK = 65536
# Time, stream and kind of an entry take fewer bytes.
_HEAD = 64


def _stamp() -> bytes:
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % rest


class LogWriter:
    """Appends to one log file and wakes those who follow it. What cannot be written (a full disk) is lost and nothing else.

    The file is open only while something is written: a container that is silent takes no open file. Raises OSError where it cannot be made.
    """

    def __init__(self, path: Path):
        # A container that mounts the node's /var/log may have put links there.
        beneath.make_folder(Path("/"), path.parent, 0o700)
        self.path = path
        with self._opened() as file:
            self._size = os.fstat(file).st_size
        self._rest = {1: b"", 2: b""}
        self._followers: set[asyncio.Future[None]] = set()
        # The disk was full in the middle of an entry: the next one begins on a line of its own.
        self._cut = False
        self.closed = False

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        file = beneath.open_exact(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            yield file
        finally:
            os.close(file)

    def write(self, stream: int, data: bytes) -> None:
        """What the program wrote to stdout (1) or stderr (2); unfinished lines wait for their end."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        head = _stamp() + _NAMES[stream]
        out: list[bytes] = []
        for line in lines:
            while len(line) > _LONGEST_LINE:
                out.append(head + b"P " + line[:_LONGEST_LINE] + b"\n")
                line = line[_LONGEST_LINE:]
            out.append(head + b"F " + line + b"\n")
        while len(rest) > _LONGEST_LINE:
            out.append(head + b"P " + rest[:_LONGEST_LINE] + b"\n")
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest
        if out:
            self._append(b"".join(out))

    def _append(self, text: bytes) -> None:
        try:
            if self._size + len(text) > MAX_BYTES:
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))
                self._size = 0
            if self._cut:
                text = b"\n" + text
            with self._opened() as file:
                written = os.write(file, text)
            self._size += written
            self._cut = written < len(text)
        except OSError as error:
            log.warning("%s: what the container writes is lost: %s", self.path, error.strerror)
        self._wake()

    def close(self) -> None:
        """The program is over: a last line without an end is kept as a piece."""
        for stream, rest in self._rest.items():
            if rest:
                self._rest[stream] = b""
                self._append(_stamp() + _NAMES[stream] + b"P " + rest + b"\n")
        if not self.closed:
            self.closed = True
            self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            if not follower.done():
                follower.set_result(None)
        self._followers.clear()

    async def changed(self) -> None:
        """Returns when more was written or the log was closed."""
        if self.closed:
            return
        follower = asyncio.get_running_loop().create_future()
        self._followers.add(follower)
        try:
            await follower
        finally:
            self._followers.discard(follower)


def tail_offset(file: int, lines: int) -> int:
    """Where the last `lines` whole lines of an open log begin; each block is looked at once, however many lines are asked for."""
    end = following = os.fstat(file).st_size
    seen = 0
    for start, whole in _entries_backwards(file, end):
        # A piece at the very end is a line of its own; any other piece belongs to the whole entry after it.
        if whole or following == end:
            seen += 1
        if seen > lines:
            return following
        following = start
    return 0 if lines > 0 else end


def _entries_backwards(file: int, end: int) -> Iterator[tuple[int, bool]]:
    """(offset, whole) of each entry before `end`, the last one first."""
    position = end
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        # With what tells the kind of an entry that begins in the last bytes of the block.
        block = os.pread(file, size + _HEAD, position)
        newline = size
        while (newline := block.rfind(b"\n", 0, newline)) >= 0:
            if position + newline + 1 < end:
                yield position + newline + 1, _is_full(block, newline + 1)
    if end > 0:
        yield 0, _is_full(os.pread(file, _HEAD, 0), 0)


def _is_full(block: bytes, start: int) -> bool:
    return block[start : start + _HEAD].split(b" ", 3)[2:3] == [b"F"]


def _since(options: LogOptions) -> str:
    if options.since_time:
        return meta.parse_time(options.since_time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if options.since_seconds is not None:
        return (datetime.now(UTC) - timedelta(seconds=options.since_seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return ""


def _shown(entry: bytes, since: bytes, timestamps: bool) -> bytes:
    """What `kubectl logs` prints of one entry."""
    stamp, _, rest = entry.partition(b" ")
    if since and stamp < since:
        return b""
    _, _, rest = rest.partition(b" ")
    kind, _, text = rest.partition(b" ")
    ending = b"\n" if kind == b"F" else b""
    return (stamp + b" " if timestamps else b"") + text + ending


def _is_rotated(file: int, path: Path) -> bool:
    """Whether the open file is no longer the one at `path`."""
    return path.exists() and not os.path.samestat(os.fstat(file), os.stat(path))


async def read(path: Path, options: LogOptions, writer: LogWriter | None) -> AsyncIterator[bytes]:
    """The log at `path` as asked; follows it until `writer` is closed. A file that is not there is an empty log."""
    try:
        file = beneath.open_exact(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    left = options.limit_bytes
    since = _since(options).encode()
    try:
        if options.tail_lines is not None:
            os.lseek(file, tail_offset(file, options.tail_lines), os.SEEK_SET)
        rest = b""
        while True:
            data = os.read(file, _BLOCK)
            if not data:
                if not options.follow or writer is None or writer.closed:
                    return
                await writer.changed()
                if _is_rotated(file, path):
                    # What is left of the old file comes first.
                    remaining = os.read(file, MAX_BYTES)
                    rest += remaining
                    os.close(file)
                    file = beneath.open_exact(path, os.O_RDONLY)
                continue
            *entries, rest = (rest + data).split(b"\n")
            out = b"".join(_shown(entry, since, options.timestamps) for entry in entries)
            if left is not None:
                out, left = out[:left], left - len(out)
            if out:
                yield out
            if left is not None and left <= 0:
                return
            await asyncio.sleep(0)
    finally:
        os.close(file)
