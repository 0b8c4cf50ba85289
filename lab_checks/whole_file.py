"""A file that is written whole or not at all: whoever reads it, also after a cut, finds the earlier content or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Puts a file with this content (text as UTF-8) in the place of the one at `path`; its folder is there already.

    `mode` holds whatever the umask is; left out: for the owner only. Raises OSError, and then `path` is as it was.
    """
    number, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(content.encode() if isinstance(content, str) else content)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
