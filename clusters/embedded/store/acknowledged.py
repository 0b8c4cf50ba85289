"""`state.acknowledged`: which revision was acknowledged last, known apart from the database and its log.

SQLite drops the frames of its write-ahead log after the first one whose checksum is wrong, and says nothing: a log that was cut, damaged or
deleted looks like a database in which less was ever written. So each commit, once SQLite has it, also writes a record of 68 bytes in place
here: the revision, the number of objects, the sum of their checksums (`files.sum_of`), the newest revision that is known to be synced to
the disk, and the boot of the machine in which the record was written. The write is one pwrite without fsync (about a microsecond); the
whole record lies in one sector, so it is there entirely or not at all.

What a start finds, after each way in which a server can end (D: revision in the database, A: acknowledged, S: synced):

`down`              The log is copied back, everything is synced, S = A. D = A is demanded from then on, whatever happens to the machine.
kill -9             The page cache outlives the process, so both writes of each acknowledged commit are there: D >= A is demanded. A kill
                    between the two writes, or a record that could not be written (a disk that copies on write and is full), leaves
                    D > A: a commit that was stored and that nobody was told of, which may stay.
power cut, panic    The two files reach the disk in any order. SQLite keeps what was synced and a prefix of what came after, so D >= S is
                    demanded, and D < A is no damage: the newest writes were never synced. The start says so, and goes on from revision A,
                    so that no resourceVersion is given out twice. Another boot than the record's is how a start knows that this may be so.
                    D > A is the same in the other order.
damage              D below what is demanded; or D = A with other objects than the record says; or a record whose checksum is wrong, or
                    that is missing. Within one boot every lost frame is found. After another boot, damage to frames that were never synced
                    cannot be told from a power cut; all else is found.

Where the system does not say which boot this is (neither Linux nor macOS), the rule for a power cut is used.

S rises with each checkpoint, after the database is synced and before the log is cut; the record is then synced too.

CRC-32 is enough: it finds every error of up to 32 bits in a row and all but one in 4 thousand million of others, at a gigabyte a second.
It is no guard against somebody who changes files on purpose, who could write a new checksum of any kind beside.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

_FORMAT = struct.Struct("<8sQQQQQ16s")
_CHECKSUM = struct.Struct("<I")
_MAGIC = b"ailb-ack"
_UNKNOWN = bytes(16)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was acknowledged last. Revision 0 says that nothing is known: the files were made anew and not opened since."""

    layout: int
    revision: int = 0
    objects: int = 0
    digest: int = 0
    synced: int = 0
    boot: bytes = _UNKNOWN

    def pack(self) -> bytes:
        body = _FORMAT.pack(_MAGIC, self.layout, self.revision, self.objects, self.digest, self.synced, self.boot)
        return body + _CHECKSUM.pack(zlib.crc32(body))

    def demanded(self) -> int:
        """The lowest revision that the database must hold."""
        return self.revision if self.boot == this_boot() != _UNKNOWN else self.synced


def read(path: Path) -> Acknowledged | None:
    """The record; None where there is no file. Raises ValueError where it is not whole, OSError where it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    body, checksum = content[: _FORMAT.size], content[_FORMAT.size :]
    if len(content) != _FORMAT.size + _CHECKSUM.size or _CHECKSUM.unpack(checksum)[0] != zlib.crc32(body):
        raise ValueError(f"{path.name} is empty" if not content else f"{path.name} was changed on the disk")
    magic, *fields = _FORMAT.unpack(body)
    if magic != _MAGIC:
        raise ValueError(f"{path.name} is another program's file")
    return Acknowledged(*fields)


def create(path: Path, record: Acknowledged) -> None:
    """Puts a new file in the place of whatever is there, synced. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, record.pack())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)


class AcknowledgedFile:
    """The record of a running store, written in place. The caller keeps writes from overlapping."""

    def __init__(self, path: Path, layout: int, synced: int):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self._layout = layout
        self._boot = this_boot()
        self.synced = synced

    def write(self, revision: int, objects: int, digest: int) -> bool:
        """Whether the record was written. What it said before then stays true: it only proves less."""
        record = Acknowledged(self._layout, revision, objects, digest, self.synced, self._boot)
        try:
            os.pwrite(self._descriptor, record.pack(), 0)
        except OSError:
            return False
        return True

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


_boot: bytes | None = None


def this_boot() -> bytes:
    """16 bytes that are the same until the machine starts anew; zeros where the system does not say."""
    global _boot
    if _boot is None:
        _boot = _ask_boot()
    return _boot


def _ask_boot() -> bytes:
    try:
        if sys.platform == "darwin":
            told = subprocess.run(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False).stdout
        else:
            told = Path("/proc/sys/kernel/random/boot_id").read_text()
        return uuid.UUID(told.strip()).bytes
    except (OSError, ValueError):
        return _UNKNOWN
