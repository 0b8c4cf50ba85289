"""Label sets, and the matchers that select them.

A label set is a tuple of (name, value) pairs, sorted by name and without empty values: it can be compared, hashed and kept.
https://prometheus.io/docs/concepts/data_model/
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

Labels = tuple[tuple[str, str], ...]

NAME = "__name__"
EMPTY: Labels = ()


def make(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """A label set of these pairs; one with an empty value is no label at all."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def get(labels: Labels, name: str) -> str:
    """The label's value; an empty text where it is not set."""
    for each, value in labels:
        if each == name:
            return value
    return ""


def only(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


def without(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def without_name(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)


def text(labels: Labels) -> str:
    """As Prometheus writes a series: `up{job="pods", pod="api-1"}`."""
    inside = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels if name != NAME)
    name = get(labels, NAME)
    return f"{name}{{{inside}}}" if inside or not name else name


class InvalidPattern(ValueError):
    """A regular expression that cannot be compiled; the message says what is wrong with it."""


@lru_cache(maxsize=512)
def pattern(expression: str) -> re.Pattern[str]:
    """The expression, to be used with `fullmatch`: Prometheus anchors all of its own at both ends. Raises InvalidPattern.

    Prometheus reads Go's RE2 (https://github.com/google/re2/wiki/Syntax), where `.` stands for line breaks too; what Python's `re` alone knows
    (looking around, back references) is refused as there.
    """
    if found := re.search(r"(?<!\\)(?:\\\\)*(\(\?(?:=|!|<=|<!|\(|P=)|\\[1-9])", expression):
        raise InvalidPattern(f"error parsing regexp: invalid or unsupported Perl syntax: `{found[1]}`")
    try:
        return re.compile(re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1\\Z", expression), re.S)
    except re.error as error:
        raise InvalidPattern(f"error parsing regexp: {error}") from None


_GROUP = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


def expand(template: str, found: re.Match[str]) -> str:
    """`$1`, `${1}`, `${name}` filled from a match, `$$` for a dollar; a group that is not there is nothing (Go's Regexp.Expand)."""

    def fill(place: re.Match[str]) -> str:
        name = place[1] or place[2]
        if name is None:
            return "$"
        try:
            return found[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _GROUP.sub(fill, template)


@dataclass(frozen=True)
class Matcher:
    """`name op value`, where `op` is one of `=`, `!=`, `=~`, `!~`. Raises InvalidPattern where the value is no expression."""

    name: str
    op: str
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            pattern(self.value)

    def matches(self, value: str) -> bool:
        """Whether a label's value (empty where the label is not set) is let through."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        return (pattern(self.value).fullmatch(value) is not None) == (self.op == "=~")
