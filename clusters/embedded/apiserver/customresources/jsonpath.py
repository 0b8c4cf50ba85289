"""JSONPath as printer columns use it (k8s.io/client-go/util/jsonpath, the part that a definition accepts): text in, found values out.

Fields, indexes, slices, wildcards, recursive descent, and filters that compare a field with a literal or ask whether it is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_FIELD = re.compile(r"\.?((?:\\.|[^.\[\]\\ ])+)")
_FILTER = re.compile(r"^\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*$")
_SLICE = re.compile(r"^(-?\d+)?:(-?\d+)?(?::(-?\d+))?$")


class PathError(ValueError):
    """A path that is none."""


def find(path: str, value: Any) -> list[Any]:
    """What is at `path`; nothing where a part of it is missing. Raises PathError."""
    found = [value]
    for step in _steps(path):
        found = [each for one in found for each in step(one)]
    return found


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while at < len(path):
        if path.startswith("..", at):
            steps.append(_everywhere)
            at += 1
        elif path[at] == "[":
            end = _closing(path, at)
            steps.append(_bracket(path[at + 1 : end]))
            at = end + 1
        elif path[at] == "." and path[at + 1 : at + 2] in ("", "["):
            at += 1
        elif found := _FIELD.match(path, at):
            steps.append(_all if found[1] == "*" else _named(re.sub(r"\\(.)", r"\1", found[1])))
            at = found.end()
        else:
            raise PathError(path)
    return tuple(steps)


def _closing(path: str, start: int) -> int:
    depth, quote = 0, ""
    for at in range(start, len(path)):
        character = path[at]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                return at
    raise PathError(path)


def _named(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield from value.values() if isinstance(value, dict) else value


def _everywhere(value: Any) -> Iterator[Any]:
    yield value
    for each in _all(value):
        yield from _everywhere(each)


def _bracket(text: str) -> Step:
    text = text.strip()
    if text == "*":
        return _all
    if text.startswith("?(") and text.endswith(")"):
        return _filter(text[2:-1])
    if text[:1] in "'\"" and text:
        return _named(text[1:-1])
    if re.fullmatch(r"-?\d+", text):
        return _sliced(slice(int(text), int(text) + 1 or None))
    if found := _SLICE.match(text):
        return _sliced(slice(*(int(part) if part else None for part in found.groups())))
    raise PathError(text)


def _sliced(chosen: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[chosen]

    return step


def _filter(text: str) -> Step:
    found = _FILTER.match(text)
    if found is None:
        raise PathError(text)
    path, operator = found["path"], found["operator"]
    wanted = _literal(found["value"]) if operator else None

    def step(value: Any) -> Iterator[Any]:
        for each in _all(value):
            at = find(path, each)
            if at and (operator is None or _compares(at[0], operator, wanted)):
                yield each

    return step


def _literal(text: str) -> Any:
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        raise PathError(text) from None


def _compares(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    try:
        found: bool = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
    except TypeError:
        return False
    return found
