"""Where a value that follows a name begins and ends, and whether it can be a secret at all."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache

from lab_checks.redact import rules

OPENS = re.compile(r"(?:[bruBRU]{1,2}(?=[\"']))?(?P<quote>\\{0,15}[\"'])")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*(?:#[^\n]*)?$", re.MULTILINE)
# What ends a word that is not quoted: white space or a quote, the next `name=value`, or a bracket or comma behind its last character.
_WORD_ENDS = re.compile(
    r"""[\s"'`]|[,;&](?=[\w.\[\]-]{1,100}=)|[,;.:)\]}]{1,8}(?=[\s"'`]|\Z)|[,}\])](?=[},\]])|\\{1,15}[nrt]?(?=[\s"'`]|\Z)"""
)
# A longer path, count or reference does not stand where a secret would.
_LONGEST_INNOCENT = 1024
_ENVIRONMENT = re.compile(r"(?:export )?[A-Za-z_]\w*=")


def innocent(value: str, name: str = "") -> bool:
    """Whether the value stands for no secret: a truth, a path, a reference, a count, something that was masked already."""
    if len(value) > _LONGEST_INNOCENT:
        return False
    bare = value.strip()
    if not bare or rules.innocent_value().fullmatch(bare):
        return True
    # `token: 512` and `secrets: "20"` are counts; a password may be all digits.
    return bool(re.fullmatch(r"[\d.,]+", bare)) and ("token" in name.lower() or len(bare) < 6)


def prose(value: str) -> bool:
    """Whether the words that follow a name go on with its sentence, as in `token: signature is invalid`."""
    first, _, rest = value.strip().partition(" ")
    if first.strip(",.;:").lower() in rules.words("values", "prose"):
        return True
    return bool(rest.strip()) and not (re.search(r"\d", first) and re.search(r"[A-Za-z]", first))


@lru_cache(maxsize=4)
def _line_ends(text: str) -> list[int]:
    """Where the lines end. Looking for an end anew from each place would be slow in a text that is one long line."""
    return [*(found.start() for found in re.finditer("\n", text)), len(text)]


def line_end(text: str, at: int) -> int:
    """Where the line of this place ends; the end of the text where `at` is behind it."""
    ends = _line_ends(text)
    return ends[min(bisect_left(ends, at), len(ends) - 1)]


def line_start(text: str, at: int) -> int:
    ends = _line_ends(text)
    number = bisect_left(ends, at)
    return ends[number - 1] + 1 if number else 0


def closing(text: str, at: int, quote: str, limit: int) -> int:
    """Where the quote that opened just before `at` closes: the same quote with as many backslashes. `limit` when it does not close before."""
    slashes, mark = len(quote) - 1, quote[-1]
    found = text.find(mark, at, limit)
    while found >= 0:
        before = found
        while before > at and text[before - 1] == "\\":
            before -= 1
        count = found - before
        if count == slashes or (not slashes and count % 2 == 0):
            doubled = mark == "'" and not slashes and text[found + 1 : found + 2] == "'" and found > at
            if not doubled:
                return before
            found += 1
        elif count < slashes:
            # The text around this one ends here.
            return before
        found = text.find(mark, found + 1, limit)
    return limit


def quoted(text: str, at: int) -> tuple[int, int] | None:
    """The inside of the quoted value at this place, or None where no quote stands."""
    opened = OPENS.match(text, at)
    if opened is None:
        return None
    begin = opened.end()
    return begin, closing(text, begin, opened["quote"], line_end(text, begin))


def word(text: str, at: int) -> tuple[int, int]:
    """The word at this place, without what closes a list or begins the next `name=value`."""
    if at >= len(text) or text[at] in " \t\r\n\"'`":
        return at, at
    ends = _WORD_ENDS.search(text, at + 1)
    return at, ends.start() if ends else len(text)


def rest_of_line(text: str, at: int) -> tuple[int, int]:
    end = line_end(text, at)
    value = text[at:end].rstrip()
    return at, at + len(value)


def block(text: str, at: int, indent: int) -> tuple[int, int] | None:
    """The lines of a YAML block scalar whose mark (`|`, `>-`) stands at `at`, under a key that is indented by `indent` characters."""
    if not _BLOCK.match(text, at):
        return None
    begin = min(line_end(text, at) + 1, len(text))
    end = begin
    while end < len(text):
        stop = line_end(text, end)
        line = text[end:stop]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        end = min(stop + 1, len(text))
    inside = text[begin:end]
    return begin + len(inside) - len(inside.lstrip()), begin + len(inside.rstrip())


def in_environment(text: str, at: int) -> bool:
    """Whether the line of this place and one beside it are `NAME=value`, as `env` prints them: such a value ends with its line."""
    begin, end = line_start(text, at), line_end(text, at)
    before = line_start(text, begin - 1) if begin else None
    return bool(
        (before is not None and _ENVIRONMENT.match(text, before)) or (end < len(text) and _ENVIRONMENT.match(text, end + 1))
    ) and bool(_ENVIRONMENT.match(text, begin))
