"""Tables for a terminal: what is typed again is never cut off, and what has no room is left out or goes below.

Where the output is no terminal, each row is one line, as long as it is.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence

# A column that may be shortened is left out where less than this is there for it.
_LEAST = 12
_GAP = "  "


def width(err: bool = False) -> int:
    """The columns of the terminal; 0 where the output (with `err`, that of errors) goes elsewhere."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return 0
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def table(header: Sequence[str], rows: Sequence[Sequence[str]], terminal_width: int, *, keep: int = 1) -> list[str]:
    """The lines of a table in `terminal_width` columns (0: no limit). The first `keep` columns are always whole; of the others, the last is shortened, and
    left out where that does not help, and so on."""
    cells = [list(header), *[list(row) for row in rows]]
    count = len(header)
    while True:
        widths = [max(len(row[column]) for row in cells) for column in range(count)]
        over = sum(widths) + len(_GAP) * (count - 1) - terminal_width if terminal_width else 0
        if over <= 0:
            break
        if count == len(header) and count > keep and widths[-1] - over >= _LEAST:
            widths[-1] -= over
            break
        if count <= keep:
            break
        count -= 1
    return [_GAP.join(_cell(row[column], widths[column]) for column in range(count)).rstrip() for row in cells]


def _cell(text: str, size: int) -> str:
    return text.ljust(size) if len(text) <= size else text[: size - 1].rstrip() + "…"


def wrapped(text: str, terminal_width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """`text` broken at words to `terminal_width` columns (0: not broken), its lines indented; the first begins with `indent`, the others with `hanging`."""
    if not terminal_width:
        return [indent + text]
    after = indent if hanging is None else hanging
    lines = textwrap.wrap(
        text,
        max(terminal_width, len(after) + 10),
        initial_indent=indent,
        subsequent_indent=after,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [indent.rstrip()]
