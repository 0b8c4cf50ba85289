"""`Object.spec{replicas: 3}` and `JSONPatch{op: "add"}`: messages of the request's own type, which the engine cannot know.

Written out as maps with the name of their type in them, before an expression is compiled; taken apart again in what it gives.
"""

from __future__ import annotations

import json
import re
from typing import Any

# No field has this name.
_TYPE = "@type"
_SKIPPED = re.compile(r"""//[^\n]*|[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")""", re.DOTALL)
_LITERAL = re.compile(r"(Object(?:\s*\.\s*[A-Za-z_]\w*)*|JSONPatch)\s*\{")
_NAME = re.compile(r"[A-Za-z_]\w*")
_FIELD = re.compile(r"(\??\s*)(?:`([^`]*)`|([A-Za-z_]\w*))(\s*:)")
# One complaint of the compiler.
_PLACE = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<why>.*)\n \| .*\n \| \.*\^")
# How names of fields are written that CEL could not read (k8s.io/apiserver/pkg/cel Escape).
_ESCAPED = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_KEYWORD = re.compile(r"__([a-z]+)__")


class Written:
    """An expression with its messages as maps (`text`), which knows where each part of it comes from."""

    def __init__(self, original: str):
        self.original = original
        self._parts: list[str] = []
        # Where each part starts, here and in the original.
        self._starts: list[tuple[int, int]] = []
        self._length = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, part: str, origin: int) -> None:
        self._starts.append((self._length, origin))
        self._parts.append(part)
        self._length += len(part)

    def in_original(self, complaint: str) -> str:
        """What the compiler says of `text`, said of the original: places, quoted lines and the marks under them."""
        return _PLACE.sub(self._moved, complaint)

    def _moved(self, found: re.Match[str]) -> str:
        lines = self.text.split("\n")
        here = sum(len(line) + 1 for line in lines[: int(found["line"]) - 1]) + int(found["column"]) - 1
        start, origin = max(each for each in self._starts if each[0] <= here)
        there = min(origin + here - start, len(self.original))
        before = self.original[:there].split("\n")
        source = self.original.split("\n")[len(before) - 1]
        column = len(before[-1])
        return f"ERROR: <input>:{len(before)}:{column + 1}: {found['why']}\n | {source}\n | {'.' * column}^"


def as_maps(text: str) -> Written:
    """The expression with its messages as maps."""
    done = Written(text)
    # What closes each bracket that is open: "})" ends a message.
    open_: list[str] = []
    at = 0
    while at < len(text):
        if found := _SKIPPED.match(text, at):
            done.add(found[0], at)
            at = found.end()
        elif (found := _LITERAL.match(text, at)) and not _continues(text, at):
            name = re.sub(r"\s", "", found[1])
            done.add(f"dyn({{{json.dumps(_TYPE)}: {json.dumps(name)}", at)
            at = found.end()
            open_.append("})")
            # An empty message needs no comma after its type.
            if not text[at:].lstrip().startswith("}"):
                done.add(", ", at)
            at = _field(text, at, done)
        elif found := _NAME.match(text, at):
            done.add(found[0], at)
            at = found.end()
        else:
            mark = text[at]
            if mark in "([{":
                open_.append({"(": ")", "[": "]", "{": "}"}[mark])
            elif mark in ")]}" and open_:
                mark = open_.pop()
            done.add(mark, at)
            at += 1
            if mark == "," and open_ and open_[-1] == "})":
                at = _field(text, at, done)
    return done


def _continues(text: str, at: int) -> bool:
    """Whether what comes before makes this a part of a longer name."""
    before = text[:at].rstrip()
    return before.endswith(".") or (at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_"))


def _field(text: str, at: int, done: Written) -> int:
    """Writes a field's name as a key, and says where its colon ends."""
    space = len(text[at:]) - len(text[at:].lstrip())
    done.add(text[at : at + space], at)
    at += space
    if found := _FIELD.match(text, at):
        done.add(f"{found[1]}{json.dumps(found[2] or _unescaped(found[3]))}", at)
        done.add(found[4], found.start(4))
        return found.end()
    return at


def _unescaped(name: str) -> str:
    for written, meant in _ESCAPED.items():
        name = name.replace(written, meant)
    return found[1] if (found := _KEYWORD.fullmatch(name)) else name


class WrongType(ValueError):
    """A message of another type than its place asks for, in the words of the API server."""


def type_of(value: Any) -> str:
    """The name of a message's type; "" for anything else."""
    return str(value.get(_TYPE, "")) if isinstance(value, dict) else ""


def plain(value: Any) -> Any:
    """The value without the names of types. Raises WrongType where a message inside of one is not named after the path to it."""
    problems: list[str] = []
    found = _plain(value, [type_of(value)] if type_of(value) else [], problems)
    if problems:
        raise WrongType("\n".join(problems))
    return found


def _plain(value: Any, path: list[str], problems: list[str]) -> Any:
    if isinstance(value, list):
        return [_plain(each, path, problems) for each in value]
    if not isinstance(value, dict):
        return value
    name, expected = type_of(value), ".".join(path)
    if name and path and name != expected:
        problems.append(
            f"unexpected type name {json.dumps(name)}, expected {json.dumps(expected)}, which matches field name path from root Object type"
        )
    inner = (lambda key: [*path, key]) if name else (lambda key: path)
    return {key: _plain(each, inner(key), problems) for key, each in value.items() if key != _TYPE}
