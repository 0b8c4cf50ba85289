"""An API server's audit log (audit.k8s.io/v1, one JSON event a line), read from its end: a check asks for minutes of a log of many hours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from kubeobjects import Object

_BLOCK = 256 * 1024
_STAMP = re.compile(rb'"stageTimestamp":\s*"([^"]+)"')


def written(line: bytes) -> float:
    """When a line was written, in seconds since the epoch; infinity where it does not say."""
    found = _STAMP.search(line)
    try:
        return datetime.fromisoformat(found.group(1).decode()).timestamp() if found else float("inf")
    except ValueError:
        return float("inf")


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, the last one first; nothing where there is no such file. Raises PermissionError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        position = file.seek(0, 2)
        rest = b""
        while position:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            first, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
            rest = first
        yield rest


def read(paths: Iterable[Path], since: float = 0.0) -> list[Object]:
    """The events that were written at or after `since` (seconds since the epoch), oldest first; `paths` go from the oldest file to the newest.

    Lines are in the order in which they were written, so the first one that is too old ends the reading. Raises PermissionError.
    """
    found: list[Object] = []
    for path in reversed(list(paths)):
        for line in _backwards(path):
            if since and written(line) < since:
                return found[::-1]
            found += parse(line)
    return found[::-1]


def parse(line: bytes) -> list[Object]:
    """The event of a line; none where it is half written, or where rotation cut it."""
    try:
        event = json.loads(line)
    except ValueError:
        return []
    return [event] if isinstance(event, dict) else []
