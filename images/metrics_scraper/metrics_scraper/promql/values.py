"""What expressions give: vectors of samples, windows of a range; and arithmetic as IEEE 754 has it, where Python would raise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metrics_scraper.labels import Labels, text

NAN, INFINITY = math.nan, math.inf

# Of Prometheus: (3, 9) is 3.9.
Version = tuple[int, int]

Sample = tuple[Labels, float]
Vector = list[Sample]


@dataclass(frozen=True)
class Window:
    """The samples of one series in a range. `start` and `end` are the range's own, `now` is the step that is evaluated; all in milliseconds."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]
    start: int
    end: int
    now: int


class QueryError(Exception):
    """A query that cannot be answered from this data (the API's error type `execution`)."""


def unique(vector: Vector) -> Vector:
    """The vector itself. Raises QueryError where two of its samples have the same labels."""
    if len({labels for labels, _ in vector}) < len(vector):
        raise QueryError("vector cannot contain metrics with the same labelset")
    return vector


def total(values: Sequence[float]) -> float:
    """The sum, without the rounding of adding one by one."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def mean(values: Sequence[float]) -> float:
    whole = total(values)
    if math.isinf(whole) and not any(math.isinf(value) for value in values):
        return total([value / len(values) for value in values])
    return whole / len(values)


def variance(values: Sequence[float]) -> float:
    """Of the population, as stdvar has it."""
    middle = mean(values)
    return total([(value - middle) ** 2 for value in values]) / len(values)


def largest(values: Sequence[float]) -> float:
    """The largest; NaN only where there is nothing else."""
    return max((value for value in values if value == value), default=NAN)


def smallest(values: Sequence[float]) -> float:
    return min((value for value in values if value == value), default=NAN)


def quantile(share: float, values: Sequence[float]) -> float:
    """The value below which that share of the values lies, between the two nearest in proportion; NaN counts as the smallest."""
    if not values or share != share:
        return NAN
    if share < 0:
        return -INFINITY
    if share > 1:
        return INFINITY
    ordered = sorted(values, key=lambda value: (value == value, value))
    rank = share * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def divide(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or left != left or right != right:
        return NAN
    return math.copysign(INFINITY, left) * math.copysign(1, right)


def modulo(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return NAN


def power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -INFINITY if left < 0 and right % 2 == 1 else INFINITY
    except ValueError:
        # 0 to a negative power, or a negative number to a fraction.
        if left == 0:
            return math.copysign(INFINITY, left) if right % 2 == 1 else INFINITY
        return NAN


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divide,
    "%": modulo,
    "^": power,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}


def shown(labels: Labels) -> str:
    return text(labels) or "{}"
