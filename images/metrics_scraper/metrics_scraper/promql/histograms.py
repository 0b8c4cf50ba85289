"""`histogram_quantile` over buckets with `le`. https://prometheus.io/docs/practices/histograms/"""

from __future__ import annotations

import math
from bisect import bisect_left

from metrics_scraper.labels import Labels, get, without, without_name
from metrics_scraper.numbers import value
from metrics_scraper.promql.values import INFINITY, NAN, Vector, unique

# Counts that differ by less than this share are the same count, off by rounding.
_ROUNDING = 1e-12


def quantiles(vector: Vector, share: float) -> Vector:
    """The quantile of every histogram in the vector; series without a bound that is a number are none of its buckets.

    Buckets of two names are two histograms, and where nothing else tells them apart there is no answer. Raises QueryError.
    """
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in vector:
        try:
            bound = value(get(labels, "le"))
        except ValueError:
            continue
        histograms.setdefault(without(labels, ("le",)), []).append((bound, count))
    return unique([(without_name(labels), quantile(share, buckets)) for labels, buckets in histograms.items()])


def quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    """The value below which that share of the observations lies; `buckets` are (upper bound, observations up to it).

    Inside a bucket observations are taken to be spread evenly, from 0 in the lowest. In the last one, which ends at +Inf, the lower bound is
    the answer.
    """
    if share != share:
        return NAN
    if share < 0:
        return -INFINITY
    if share > 1:
        return INFINITY
    merged: dict[float, float] = {}
    for bound, count in sorted(buckets, key=lambda bucket: bucket[0]):
        merged[bound] = merged.get(bound, 0) + count
    bounds, counts = list(merged), list(merged.values())
    if not math.isinf(bounds[-1]) or bounds[-1] < 0 or len(bounds) < 2:
        return NAN
    # Buckets are read one after the other while the target counts: one may be behind the one below it.
    for place in range(1, len(counts)):
        before, count = counts[place - 1], counts[place]
        if count < before or (count != before and abs(count - before) <= _ROUNDING * abs(count + before)):
            counts[place] = before
    if not counts[-1]:
        return NAN
    rank = share * counts[-1]
    # NaN is told apart first: nothing is found among counts that are none.
    place = bisect_left(counts, rank, 0, len(counts) - 1) if rank == rank else len(counts) - 1
    if place == len(counts) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    return lower + (bounds[place] - lower) * ((rank - below) / inside) if inside else NAN
