"""Says what of damaged files is whole, and goes on with it where a person asks for that.

The pages of the database and of its log are put together into one image, without regard to the log's checksums: SQLite stops at the first
frame that is damaged, and most that comes after it is whole. What SQLite then reads from the image is held against each object's own
checksum. The keys are read from the index as well, so that objects whose page is damaged are known by name.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from clusters.embedded.store import acknowledged, pages
from clusters.embedded.store.errors import UNREADABLE, StoreError
from clusters.embedded.store.files import PAGE, Files, Key, counter_of, replace, sum_of, write_database
from clusters.embedded.store.loading import parsed

_LOG_HEADER = 32
_FRAME_HEADER = struct.Struct(">II8s8s")
_SHOWN = 10
# Where nothing says which revision was acknowledged last: no run of a lab writes as often between two checkpoints.
_LEAP = 1_000_000


@dataclass
class Salvage:
    """What damaged files still hold. `lost` are the objects that are known by name, `unnamed` is the number of the others.

    `acknowledged` is 0 where that is not known.
    """

    files: Files
    problems: tuple[str, ...]
    whole: dict[Key, bytes] = field(default_factory=dict)
    lost: list[Key] = field(default_factory=list)
    unnamed: int = 0
    revision: int = 0
    acknowledged: int = 0

    def refusal(self) -> StoreError:
        """Why the store does not open, and what can be done."""
        go_on = f"ai-lab up --recover (goes on with the {len(self.whole)} whole objects and keeps the damaged files)" if self.whole else ""
        wipe = "ai-lab down --wipe (deletes everything; the cluster then begins empty)"
        return StoreError(
            f"the cluster's state in {self.files.folder} is damaged: {'; '.join(self.problems)}. {self.told()}",
            "; or, as the last resort: ".join(filter(None, [go_on, wipe])),
        )

    def told(self) -> str:
        """What is whole and what is lost, in words."""
        gone = len(self.lost) + self.unnamed
        if not self.whole:
            return "No object can be saved."
        if not gone and self.revision >= self.acknowledged:
            return f"All {len(self.whole)} objects are whole."
        whole = f"{len(self.whole)} {'object is' if len(self.whole) == 1 else 'objects are'} whole"
        said = [f"{whole}, {gone} {'is' if gone == 1 else 'are'} lost" if gone else whole]
        if self.lost:
            names = [f"{resource} {f'{namespace}/' if namespace else ''}{name}" for resource, namespace, name in self.lost[:_SHOWN]]
            more = len(self.lost) - _SHOWN
            said[0] += f": {', '.join(names)}{f' and {more} more' if more > 0 else ''}"
        if self.unnamed and self.lost:
            said[0] += f", and {self.unnamed} whose names cannot be read"
        elif self.unnamed:
            said[0] += " (the names cannot be read)"
        if self.revision < self.acknowledged:
            said.append(
                f"The newest changes are lost, those of revisions {self.revision + 1} to {self.acknowledged}: "
                "what they changed or deleted is as it was before"
            )
        return ". ".join(said) + "."


def examine(files: Files, problems: tuple[str, ...]) -> Salvage:
    """Reads what can be read, and changes nothing. Raises OSError."""
    found = Salvage(files, problems)
    objects = 0
    try:
        record = acknowledged.read(files.acknowledged)
    except ValueError:
        record = None
    if record is not None:
        found.acknowledged, objects = record.revision, record.objects
    image = _image(files)
    with tempfile.TemporaryDirectory(prefix="ai-lab-state-") as folder:
        template = Path(folder) / "empty.db"
        write_database(template, (), 0)
        # Every database of this layout is made by write_database: the tables begin at the same pages.
        first_page = template.read_bytes()[:PAGE]
        best = _Reading()
        for page in (bytes(image[:PAGE]), first_page):
            reading = _read(Path(folder) / "image.db", _with_header(page, first_page, len(image) // PAGE) + image[PAGE:])
            if len(reading.whole) > len(best.whole):
                best = reading
    found.whole = {key: value for key, (_, value) in best.whole.items()}
    newest = max((version for version, _ in best.whole.values()), default=0)
    found.revision = max(best.revision, newest)
    found.lost = sorted(set(best.lost) - set(found.whole))
    found.unnamed = max(0, (objects or best.objects) - len(found.whole) - len(found.lost))
    return found


def recover(files: Files, salvage: Salvage) -> str:
    """Goes on with what is whole; the damaged files are kept in a folder of their own. Returns what was done, in words.

    Raises OSError or sqlite3.Error; everything is then as before.
    """
    keep = files.folder / f"damaged-{datetime.now():%Y-%m-%d-%H%M%S}"
    # No resourceVersion may be given out twice: clients would take another object for one that they know.
    revision = max(salvage.revision, salvage.acknowledged) + (1 if salvage.acknowledged else _LEAP)
    replace(files, salvage.whole.items(), revision, keep)
    return f"The state was damaged: {'; '.join(salvage.problems)}. {salvage.told()} The damaged files are kept in {keep}"


def _image(files: Files) -> bytearray:
    """The database with the pages of its log put over it, as far as they belong to it."""
    image = bytearray(files.database.read_bytes()) if files.database.exists() else bytearray()
    image.extend(bytes(-len(image) % PAGE))
    for number, content in _committed(files.log.read_bytes() if files.log.exists() else b"", len(image) // PAGE):
        start = (number - 1) * PAGE
        if len(image) < start + PAGE:
            image.extend(bytes(start + PAGE - len(image)))
        image[start : start + PAGE] = content
    return image or bytearray(PAGE)


def _committed(log: bytes, pages: int) -> Iterator[tuple[int, bytes]]:
    """(page, content) of the log's frames, oldest first, up to the last one that ends a commit."""
    frames = []
    for start in range(_LOG_HEADER, len(log) - _FRAME_HEADER.size - PAGE + 1, _FRAME_HEADER.size + PAGE):
        number, commit, salt, _ = _FRAME_HEADER.unpack_from(log, start)
        frames.append((number, commit, salt, start + _FRAME_HEADER.size))
    if not frames:
        return
    # After a restart of the log, older frames follow that have another salt.
    current = log[16:24] if any(salt == log[16:24] for _, _, salt, _ in frames) else frames[0][2]
    frames = [each for each in frames if each[2] == current]
    while frames and not frames[-1][1]:
        frames.pop()
    for number, _, _, start in frames:
        if 1 <= number <= pages + len(frames):
            yield number, log[start : start + PAGE]


def _with_header(page: bytes, template: bytes, pages: int) -> bytes:
    """A first page whose header says what is known of it: no log, this many pages, and that this number is to be believed."""
    header = bytearray(template[:100])
    header[18:20] = b"\1\1"
    struct.pack_into(">I", header, 28, pages)
    header[92:96] = header[24:28]
    return bytes(header) + page[100:PAGE]


@dataclass
class _Reading:
    """`whole`: key to (resourceVersion, JSON)."""

    whole: dict[Key, tuple[int, bytes]] = field(default_factory=dict)
    lost: list[Key] = field(default_factory=list)
    revision: int = 0
    objects: int = 0

    def take(self, key: Key, value: Any, checksum: Any) -> bool:
        """Whether the object is whole. `checksum` is None where the layout has none."""
        if not isinstance(value, bytes) or (checksum is not None and sum_of(key, value) != checksum):
            return False
        obj = parsed(key, value)
        version = str((obj or {}).get("metadata", {}).get("resourceVersion", ""))
        if obj is None or not version.isdigit():
            return False
        if key not in self.whole or self.whole[key][0] < int(version):
            self.whole[key] = int(version), value
        return True


def _rows(database: sqlite3.Connection, statement: str, *values: Any) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows up to the first one that cannot be read, and whether that was all."""
    found: list[tuple[Any, ...]] = []
    try:
        for row in database.execute(statement, values):
            found.append(row)
    except UNREADABLE:
        return found, False
    return found, True


def _key(parts: tuple[Any, ...]) -> Key:
    resource, namespace, name = (part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in parts)
    return resource, namespace, name


def _read(path: Path, image: bytes) -> _Reading:
    path.write_bytes(image)
    reading = _Reading()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        database.text_factory = bytes
        columns, _ = _rows(database, "SELECT name FROM pragma_table_info('objects')")
        if (b"sum",) in columns:
            _read_2(database, image, reading)
        else:
            _read_1(database, reading)
    return reading


def _read_2(database: sqlite3.Connection, image: bytes, reading: _Reading) -> None:
    # From both ends, so that one damaged page hides no more than itself; then one by one what the index knows and neither scan met; then
    # page by page what the index knows and SQLite cannot reach.
    met: dict[int, bool] = {}
    damaged: dict[int, Key] = {}
    index: dict[int, Key] = {}
    complete = True
    for order in ("ASC", "DESC"):
        keys, ended = _rows(
            database,
            f"SELECT id, resource, namespace, name FROM objects INDEXED BY keys ORDER BY resource {order}, namespace {order}, name {order}",
        )
        index.update((number, _key(tuple(names))) for number, *names in keys)
        complete = complete and ended
    selected = "SELECT id, resource, namespace, name, value, sum FROM objects NOT INDEXED"
    rows = [row for order in ("ASC", "DESC") for row in _rows(database, f"{selected} ORDER BY id {order}")[0]]
    rows += [row for number in index.keys() - {row[0] for row in rows} for row in _rows(database, f"{selected} WHERE id = ?", number)[0]]
    for number, *names, value, checksum in rows:
        key = _key(tuple(names))
        met[number] = reading.take(key, value, checksum if checksum is not None else -1)
        if not met[number]:
            damaged[number] = key
    if not all(met.get(number) for number in index):
        for number, cell in pages.rows(image):
            if number in index and not met.get(number) and len(cell) == 6 and _key(tuple(cell[1:4])) == index[number]:
                # A freed page may hold an older version: the newest is kept.
                reading.take(index[number], cell[4], cell[5] if cell[5] is not None else -1)
        met.update((number, True) for number, key in index.items() if key in reading.whole)
    reading.lost = [key for number, key in index.items() if not met.get(number)]
    if not complete:
        reading.lost += [key for number, key in damaged.items() if number not in index]
    for row in _rows(database, "SELECT revision, objects, digest, sum FROM counter")[0]:
        if row == counter_of(*row[:3]):
            reading.revision, reading.objects = row[:2]


def _read_1(database: sqlite3.Connection, reading: _Reading) -> None:
    for order in ("ASC", "DESC"):
        rows, _ = _rows(
            database, f"SELECT resource, namespace, name, value FROM objects ORDER BY resource {order}, namespace {order}, name {order}"
        )
        for *names, value in rows:
            key = _key(tuple(names))
            if not reading.take(key, value, None):
                reading.lost.append(key)
    for (revision,) in _rows(database, "SELECT revision FROM counter")[0]:
        reading.revision = revision if isinstance(revision, int) else 0
