"""The data of Secrets, whatever their keys are called: in YAML and JSON over several lines, and in JSON on one line, at any depth of escaping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab_checks.redact import values
from lab_checks.redact.spans import SECRET, Span

_KIND_LINE = re.compile(r"^(?P<indent>[ \t]*)(?P<dash>- )?[\"']?kind[\"']?:[ \t]*[\"']?Secret[\"']?,?[ \t]*$", re.MULTILINE)
_KIND_INLINE = re.compile(r"(?P<quote>\\{0,15}[\"'])kind(?P=quote)\s*:\s*(?P=quote)Secret(?P=quote)")
_DATA = ("data", "stringData", "binaryData", "string_data", "binary_data")
_KEY = re.compile(r"[ \t]*(?:- )?[\"']?(?P<key>[\w./-]+)[\"']?:[ \t]*")
_TOKEN = re.compile(r"\\{0,15}[\"']|[{}\[\],:]")


def find(text: str) -> Iterator[Span]:
    if "Secret" in text:
        yield from _in_lines(text)
        yield from _inline(text)


# Over several lines


@dataclass(frozen=True)
class _Line:
    start: int
    text: str

    @property
    def column(self) -> int:
        """Where its key begins: after the indentation and the dash of a list."""
        bare = self.text.lstrip(" \t")
        column = len(self.text) - len(bare)
        return column + 2 if bare.startswith("- ") else column

    @property
    def in_list(self) -> bool:
        return self.text.lstrip(" \t").startswith("- ")


def _in_lines(text: str) -> Iterator[Span]:
    marks = [found.start() for found in _KIND_LINE.finditer(text)]
    if not marks:
        return
    lines, at = [], 0
    for each in text.split("\n"):
        lines.append(_Line(at, each))
        at += len(each) + 1
    numbers = {line.start: number for number, line in enumerate(lines)}
    done: dict[int, int] = {}
    for mark in marks:
        number = numbers[mark]
        column = lines[number].column
        if number < done.get(column, 0):
            continue
        first, end = _object(lines, number, column, done.get(column, 0))
        done[column] = end
        yield from _data(lines[first:end], column)


def _object(lines: list[_Line], number: int, column: int, floor: int) -> tuple[int, int]:
    """The first line and the end of the object whose keys stand in this column around this line."""
    first = number
    while first > floor and not (lines[first].in_list and lines[first].column == column):
        above = lines[first - 1]
        if above.text.startswith("---") or (above.text.strip() and above.column < column):
            break
        first -= 1
    end = number + 1
    while end < len(lines):
        below = lines[end]
        if below.text.startswith("---") or (below.text.strip() and (below.column < column or (below.in_list and below.column == column))):
            break
        end += 1
    return first, end


def _data(lines: list[_Line], column: int) -> Iterator[Span]:
    inside, inner = False, 0
    for line in lines:
        if not line.text.strip():
            continue
        key = _KEY.match(line.text)
        if line.column <= column:
            inside = line.column == column and key is not None and key["key"] in _DATA
            inner = 0
            # `data: {a: eA==}` on one line.
            if inside and key is not None and line.text[key.end() :].startswith("{") and not line.text.rstrip().endswith("{"):
                yield Span(line.start + key.end() + 1, line.start + len(line.text.rstrip("}, \t")), SECRET)
        elif inside:
            inner = inner or line.column
            if line.text.strip(" \t},") and (span := _entry(line, key if line.column == inner else None)):
                yield span


def _entry(line: _Line, key: re.Match[str] | None) -> Span | None:
    """The value of a key, or a line of a block of text."""
    begin = key.end() if key else len(line.text) - len(line.text.lstrip())
    value = values.quoted(line.text, begin) or (begin, len(line.text.rstrip(", \t")))
    bare = line.text[value[0] : value[1]]
    if not bare or (key and re.fullmatch(r"[|>][+-]?\d?", bare)) or values.innocent(bare):
        return None
    return Span(line.start + value[0], line.start + value[1], SECRET)


# On one line


@dataclass
class _Open:
    """An object or a list that has not ended yet. `entries` are the strings in it; `found` those under `data`."""

    is_list: bool
    under: str = ""
    key: str = ""
    is_secret: bool = False
    entries: list[tuple[int, int]] = field(default_factory=list)
    found: list[tuple[int, int]] = field(default_factory=list)


def _inline(text: str) -> Iterator[Span]:
    done: set[tuple[int, str]] = set()
    for found in _KIND_INLINE.finditer(text):
        begin = values.line_start(text, found.start())
        if (begin, found["quote"]) not in done:
            done.add((begin, found["quote"]))
            yield from _walk(text, begin, values.line_end(text, begin), found["quote"])


def _walk(text: str, begin: int, end: int, quote: str) -> Iterator[Span]:
    """The strings under `data` of the Secrets on one line, whose strings are enclosed by this quote. What is cut short counts as closed."""
    stack: list[_Open] = []
    opened, waits_for_value = -1, False
    for token in _TOKEN.finditer(text, begin, end):
        mark = token.group()
        if opened >= 0:
            if mark == quote or (len(quote) == 1 and mark[-1] == quote and len(mark) % 2 == 1):
                _string(stack, text, opened, token.end() - len(quote), waits_for_value)
                opened = -1
            elif mark[-1] == quote[-1] and len(mark) < len(quote):
                # The string around all this has ended.
                _string(stack, text, opened, token.start(), waits_for_value)
                opened = -1
                yield from _close(stack, len(stack))
        elif mark == quote:
            opened = token.end()
        elif mark in "{[":
            stack.append(_Open(mark == "[", stack[-1].key if stack and waits_for_value else ""))
            waits_for_value = mark == "["
        elif mark in "}]":
            yield from _close(stack, 1)
            waits_for_value = False
        elif mark == ":":
            waits_for_value = True
        elif mark == ",":
            waits_for_value = bool(stack) and stack[-1].is_list
    if opened >= 0:
        _string(stack, text, opened, end, waits_for_value)
    yield from _close(stack, len(stack))


def _string(stack: list[_Open], text: str, begin: int, end: int, is_value: bool) -> None:
    if not stack:
        return
    if not is_value:
        stack[-1].key = text[begin:end]
    elif stack[-1].key == "kind" and text[begin:end] == "Secret":
        stack[-1].is_secret = True
    else:
        stack[-1].entries.append((begin, end))


def _close(stack: list[_Open], count: int) -> Iterator[Span]:
    for _ in range(min(count, len(stack))):
        closed = stack.pop()
        if stack and closed.under in _DATA:
            stack[-1].found += closed.entries
        if closed.is_secret:
            yield from (Span(begin, end, SECRET) for begin, end in closed.found if begin < end)
