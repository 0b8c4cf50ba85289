"""An expression as a tree. Times and durations are milliseconds. https://prometheus.io/docs/prometheus/latest/querying/basics/"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from metrics_scraper.labels import Matcher

SCALAR, VECTOR, MATRIX, STRING = "scalar", "vector", "matrix", "string"

# When a selector looks: at a fixed time, or at the first or last step of the query.
At = int | str | None
START, END = "start", "end"


@dataclass(frozen=True)
class Number:
    value: float
    type = SCALAR


@dataclass(frozen=True)
class Text:
    value: str
    type = STRING


@dataclass(frozen=True)
class Selector:
    """`up{job="x"} offset 5m @ end()`."""

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: At = None
    type = VECTOR


@dataclass(frozen=True)
class Range:
    """`up[5m]`."""

    selector: Selector
    range: int
    type = MATRIX


@dataclass(frozen=True)
class Subquery:
    """`expr[5m:10s]`; a step of 0 is the evaluation interval of the configuration."""

    inside: Node
    range: int
    step: int
    offset: int = 0
    at: At = None
    type = MATRIX


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node, ...]
    type: str


@dataclass(frozen=True)
class Aggregate:
    """`op by (labels) (parameter, inside)`; `without` turns the labels round."""

    op: str
    inside: Node
    parameter: Node | None
    labels: tuple[str, ...]
    without: bool
    type = VECTOR


@dataclass(frozen=True)
class Matching:
    """Which samples of two vectors belong together. `many` is the side of which several may match one: "", "left" or "right"."""

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    op: str
    left: Node
    right: Node
    as_bool: bool
    matching: Matching
    type: str


@dataclass(frozen=True)
class Negative:
    inside: Node
    type: str


Node = Number | Text | Selector | Range | Subquery | Call | Aggregate | Binary | Negative


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for field in fields(node):
        below = getattr(node, field.name)
        for each in below if isinstance(below, tuple) else (below,):
            if isinstance(each, Node):
                yield from walk(each)
