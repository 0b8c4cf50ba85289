"""A file of JSON that somebody else replaces as a whole: read again when it has changed, and not otherwise."""

from __future__ import annotations

import os
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class JsonFile:
    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._content: Any = None

    def content(self) -> Any:
        """What stands in it now; None where there is no such file."""
        try:
            state = posix.stat(self._path)
            seen = (state.st_mtime_ns, state.st_ino, state.st_size)
            if seen != self._seen:
                import json

                self._content, self._seen = json.loads(_read(self._path)), seen
        except FileNotFoundError:
            self._content = self._seen = None
        except OSError:
            pass
        return self._content


def _read(path: str) -> bytes:
    fd = posix.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := posix.read(fd, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        posix.close(fd)
