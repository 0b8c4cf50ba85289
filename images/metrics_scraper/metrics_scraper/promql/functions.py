"""PromQL's functions, by their names. https://prometheus.io/docs/prometheus/latest/querying/functions/

Three tables by what a function is given: a window of samples, a single value, a whole vector. Scalar arguments follow in the order of the call.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

from metrics_scraper.promql.values import INFINITY, NAN, Vector, Version, Window, largest, mean, quantile, smallest, total, variance

# Of a window


def _increase(window: Window, is_counter: bool, version: Version, per_second: bool = False) -> float | None:
    """By how much the value grew in the window, extrapolated to its borders; None where there are fewer than two samples.

    The samples seldom stand at the borders. Where the first or last is nearer to its border than 1.1 average intervals, the growth is carried on
    to it, otherwise by half an interval; and a counter never back to below zero. Before 2.51 zero was looked for first, since then last.
    """
    times, values = window.times, window.values
    if len(values) < 2:
        return None
    growth = values[-1] - values[0]
    if is_counter and (lost := [before for before, after in pairwise(values) if after < before]):
        growth += total(lost)
    to_start, to_end = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(values) - 1)
    near = average * 1.1
    to_zero = sampled * (values[0] / growth) if is_counter and growth > 0 and values[0] >= 0 else INFINITY
    if version < (2, 51):
        to_start = min(to_start, to_zero)
    # Written so that a NaN, which is larger and smaller than nothing, goes the same way as in the server.
    if not to_start < near:
        to_start = average / 2
    if to_zero < to_start:
        to_start = to_zero
    if not to_end < near:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    # Divided before it is multiplied, as there: a rate of rates takes the last bit of difference for a reset.
    return growth * (factor / ((window.end - window.start) / 1000) if per_second else factor)


def _last_two(window: Window, is_counter: bool) -> tuple[float, float] | None:
    """The difference of the last two samples and the seconds between them."""
    if len(window.values) < 2:
        return None
    before, after = window.values[-2], window.values[-1]
    seconds = (window.times[-1] - window.times[-2]) / 1000
    return (after if is_counter and after < before else after - before), seconds


def _irate(window: Window) -> float | None:
    found = _last_two(window, True)
    return found[0] / found[1] if found else None


def _idelta(window: Window) -> float | None:
    found = _last_two(window, False)
    return found[0] if found else None


def _line(window: Window, zero: int) -> tuple[float, float] | None:
    """Slope a second and height at time `zero` of the straight line through the samples, by least squares."""
    if len(window.values) < 2:
        return None
    if all(value == window.values[0] for value in window.values):
        return (NAN, NAN) if math.isinf(window.values[0]) else (0.0, window.values[0])
    count = len(window.values)
    x = [(time - zero) / 1000 for time in window.times]
    sum_x, sum_y = total(x), total(window.values)
    covariance = total([a * b for a, b in zip(x, window.values, strict=True)]) - sum_x * sum_y / count
    slope = covariance / (total([a * a for a in x]) - sum_x * sum_x / count)
    return slope, sum_y / count - slope * sum_x / count


def _deriv(window: Window) -> float | None:
    found = _line(window, window.times[0])
    return found[0] if found else None


def _predict_linear(window: Window, seconds: float) -> float | None:
    found = _line(window, window.now)
    return found[0] * seconds + found[1] if found else None


def _changes(window: Window) -> float:
    return sum(1.0 for before, after in pairwise(window.values) if after != before and not (after != after and before != before))


# What is not the same in all versions of Prometheus.
VERSIONED: dict[str, Callable[[Window, Version], float | None]] = {
    "rate": lambda window, version: _increase(window, True, version, per_second=True),
    "increase": lambda window, version: _increase(window, True, version),
    "delta": lambda window, version: _increase(window, False, version),
}
WINDOWS: dict[str, Callable[..., float | None]] = {
    "irate": _irate,
    "idelta": _idelta,
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "changes": _changes,
    "resets": lambda window: sum(1.0 for before, after in pairwise(window.values) if after < before),
    "avg_over_time": lambda window: mean(window.values),
    "min_over_time": lambda window: smallest(window.values),
    "max_over_time": lambda window: largest(window.values),
    "sum_over_time": lambda window: total(window.values),
    "count_over_time": lambda window: float(len(window.values)),
    "quantile_over_time": lambda window, share: quantile(share, window.values),
    "stddev_over_time": lambda window: math.sqrt(variance(window.values)),
    "stdvar_over_time": lambda window: variance(window.values),
    "last_over_time": lambda window: window.values[-1],
    "present_over_time": lambda window: 1.0,
}
# The one window function whose result is a sample of the series itself.
KEEPS_NAME = frozenset({"last_over_time"})

# Of a value


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    def rounded(value: float) -> float:
        return float(function(value)) if math.isfinite(value) else value

    return rounded


def _round(value: float, nearest: float = 1.0) -> float:
    """Ties go up."""
    if not nearest:
        return NAN
    inverse = 1 / nearest
    return _whole(math.floor)(value * inverse + 0.5) / inverse if inverse else NAN


def _logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    def checked(value: float) -> float:
        if value == 0:
            return -INFINITY
        return function(value) if value > 0 or value != value else NAN

    return checked


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return INFINITY


def _max(left: float, right: float) -> float:
    return NAN if left != left or right != right else max(left, right)


def _min(left: float, right: float) -> float:
    return NAN if left != left or right != right else min(left, right)


VALUES: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "round": _round,
    "exp": _exp,
    "ln": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "sqrt": lambda value: NAN if value < 0 else math.sqrt(value),
    "sgn": lambda value: math.copysign(1, value) if value < 0 or value > 0 else value,
    "deg": lambda value: value * 180 / math.pi,
    "rad": lambda value: value * math.pi / 180,
    "clamp_min": _max,
    "clamp_max": _min,
    "clamp": lambda value, least, most: _max(least, _min(most, value)),
}


def _date(read: Callable[[datetime], int]) -> Callable[[float], float]:
    def of(value: float) -> float:
        try:
            return float(read(datetime.fromtimestamp(math.trunc(value), UTC)))
        except (OverflowError, ValueError, OSError):
            return NAN

    return of


# Of a value that is a time in seconds; without an argument, of the step that is evaluated.
DATES: dict[str, Callable[[float], float]] = {
    "minute": _date(lambda when: when.minute),
    "hour": _date(lambda when: when.hour),
    "day_of_week": _date(lambda when: (when.weekday() + 1) % 7),
    "day_of_month": _date(lambda when: when.day),
    "day_of_year": _date(lambda when: when.timetuple().tm_yday),
    "days_in_month": _date(lambda when: calendar.monthrange(when.year, when.month)[1]),
    "month": _date(lambda when: when.month),
    "year": _date(lambda when: when.year),
}

# Of a vector


def _sort(vector: Vector) -> Vector:
    """NaN comes last, in both directions."""
    return sorted(vector, key=lambda sample: (sample[1] != sample[1], sample[1]))


def _sort_desc(vector: Vector) -> Vector:
    return sorted(vector, key=lambda sample: (sample[1] != sample[1], -sample[1]))


VECTORS: dict[str, Callable[..., Vector]] = {"sort": _sort, "sort_desc": _sort_desc}

FUNCTIONS = frozenset({*VERSIONED, *WINDOWS, *VALUES, *DATES, *VECTORS})
