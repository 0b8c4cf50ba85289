"""`sum by (pod) (…)` and its kin: many samples to one of each group. https://prometheus.io/docs/prometheus/latest/querying/operators/#aggregation-operators"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from metrics_scraper.labels import NAME, Labels, make, only, without
from metrics_scraper.numbers import text
from metrics_scraper.promql.values import NAN, QueryError, Vector, Version, largest, mean, quantile, smallest, total, variance

# The values of a group, and the parameter where the aggregation has one.
_ONE: dict[str, Callable[[Sequence[float], float], float]] = {
    "sum": lambda values, _: total(values),
    "avg": lambda values, _: mean(values),
    "min": lambda values, _: smallest(values),
    "max": lambda values, _: largest(values),
    "count": lambda values, _: float(len(values)),
    "group": lambda values, _: 1.0,
    "stddev": lambda values, _: math.sqrt(variance(values)),
    "stdvar": lambda values, _: variance(values),
    "quantile": lambda values, share: quantile(share, values),
}
AGGREGATIONS = frozenset({*_ONE, "topk", "bottomk", "count_values"})


def aggregate(
    op: str, vector: Vector, labels: Collection[str], is_without: bool, parameter: float | str | None, version: Version
) -> Vector:
    """One sample a group; of `topk` and `bottomk` the chosen samples as they were, of `count_values` one a group and value. Raises QueryError."""
    groups: dict[Labels, Vector] = {}
    dropped = {*labels, NAME}
    for sample in vector:
        group = without(sample[0], dropped) if is_without else only(sample[0], labels)
        groups.setdefault(group, []).append(sample)
    if op in ("topk", "bottomk"):
        count = _whole(parameter)
        return [sample for group in groups.values() for sample in _most(group, count, op == "topk")]
    if op == "count_values":
        return _count_values(groups, str(parameter))
    if op in ("stddev", "stdvar") and version < (3, 0):
        # Until 3.0 a single sample was not looked at: it deviates from nothing, even where it is no number.
        groups = {group: samples if len(samples) > 1 else [(group, 0.0)] for group, samples in groups.items()}
    value = parameter if isinstance(parameter, float) else NAN
    return [(group, _ONE[op]([number for _, number in samples], value)) for group, samples in groups.items()]


def _whole(parameter: float | str | None) -> int:
    if not isinstance(parameter, float) or not math.isfinite(parameter):
        raise QueryError(f"Scalar value {text(parameter) if isinstance(parameter, float) else parameter} overflows int64")
    return int(parameter)


def _most(samples: Vector, count: int, is_top: bool) -> Vector:
    """The `count` largest or smallest, in that order; NaN is chosen last. Of equals the first stays."""
    ordered = sorted(samples, key=lambda sample: (sample[1] != sample[1], -sample[1] if is_top else sample[1]))
    return ordered[: max(0, count)]


def _count_values(groups: dict[Labels, Vector], label: str) -> Vector:
    found: dict[Labels, float] = {}
    for group, samples in groups.items():
        for _, value in samples:
            labels = make({**dict(group), label: text(value)})
            found[labels] = found.get(labels, 0.0) + 1
    return list(found.items())
