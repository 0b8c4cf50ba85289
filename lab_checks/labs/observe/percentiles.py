"""Lab 06-observe: a histogram read right. Where a percentile lies, what it is by interpolation, and which share is exact."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import answers, sheet
from lab_checks.judging.sheet import Blank
from lab_checks.labs.observe import measured
from lab_checks.labs.observe.measured import FIRST_TOKEN, LATENCY, WINDOWS, Span

# Seconds within which most requests are to be answered: the bound of a bucket, so that the share is known exactly.
GOAL = 0.5
Bucket = tuple[float, float]


def blanks(ctx: Context) -> list[Blank]:
    now = [_buckets(ctx, window) for window in WINDOWS]
    holding = {holding_bucket(each, 0.95) for each in (*now, *_earlier(ctx))}
    bounds = sorted(now[0])
    share = measured.over_windows(
        ctx, f'100 * sum(rate({LATENCY}_bucket{{le="{GOAL}"}}[{{window}}])) / sum(rate({LATENCY}_count[{{window}}]))'
    )
    return [
        sheet.number(
            "within_half_second", lambda said: share.around(said, 0, 6), "requests answered within 0.5 s, in percent of all",
            f'lab.query(\'sum by (le) (rate({LATENCY}_bucket[1m]))\'): le="0.5" and le="+Inf"', reads=answers.percent,
            told=lambda said: "that is what was not answered in time" if share.around(100 - said, 0, 6) else "the share is another",
        ),
        Blank(
            "p95_between", pair, lambda said: said in holding, "the bounds of the bucket in which the 95th percentile lies, in seconds",
            "the first bucket that holds 95 % of all requests, and the bound of the one before it", _told_bounds(bounds, holding),
            form="two numbers are asked for: where the bucket begins, and where it ends",
        ),
        _percentile(ctx, "p95_seconds", LATENCY, bounds),
        _percentile(ctx, "first_token_p95_seconds", FIRST_TOKEN, bounds),
    ]  # fmt: skip


def facts(ctx: Context) -> tuple[Seen, ...]:
    return tuple(
        Seen("monitoring", name, str(measured.over_windows(ctx, query)))
        for name, query in (
            ("mean, in seconds", measured.mean(LATENCY)),
            ("95th percentile by histogram_quantile, in seconds", measured.quantile(0.95, LATENCY)),
        )
    )


def _buckets(ctx: Context, window: str) -> dict[float, float]:
    """How many requests a second took no longer than each bound; the last bound is infinity."""
    found = {float(each.labels["le"]): each.value for each in ctx.query(f"sum by (le) (rate({LATENCY}_bucket[{window}]))")}
    if not found or not found[max(found)]:
        raise wait("no requests have been scraped yet", Seen("monitoring", f"{LATENCY}_bucket", "no series"))
    return found


def _earlier(ctx: Context) -> list[dict[float, float]]:
    """The buckets of a minute at the moments at which a learner may have read them."""
    moments: dict[float, dict[float, float]] = defaultdict(dict)
    for series in measured.at_moments(ctx, f"sum by (le) (rate({LATENCY}_bucket[1m]))"):
        for moment, value in series.points:
            moments[moment][float(series.labels["le"])] = value
    return [each for each in moments.values() if each.get(math.inf)]


def holding_bucket(buckets: dict[float, float], share: float) -> Bucket:
    """The bounds of the bucket in which that share of the requests is reached."""
    bounds = sorted(buckets)
    place = next(place for place, bound in enumerate(bounds) if buckets[bound] >= share * buckets[bounds[-1]])
    return (bounds[place - 1] if place else 0.0, bounds[place])


def pair(said: object) -> Bucket | None:
    """Two bounds out of `1 and 2.5`, (1, 2.5), `le 1.0 to 2.5 s`."""
    parts = said if isinstance(said, list | tuple) else re.findall(r"\d+(?:\.\d+)?|\+?Inf", str(said))
    try:
        found = sorted(float(str(each).strip(" s")) for each in parts)
    except ValueError:
        return None
    return (found[0], found[1]) if len(found) == 2 else None


def _told_bounds(bounds: list[float], holding: set[Bucket]) -> Callable[[Bucket], str]:
    def told(said: Bucket) -> str:
        if any(each not in (0.0, *bounds) for each in said):
            return "these are not bounds of this histogram: its buckets end at the values of the label le"
        if bounds.index(said[1]) - (bounds.index(said[0]) if said[0] else -1) != 1:
            return "there is another bound between these two"
        return "95 % are reached in a later bucket" if said < min(holding) else "95 % are reached in an earlier bucket"

    return told


def _percentile(ctx: Context, name: str, metric: str, bounds: list[float]) -> Blank:
    right = measured.over_windows(ctx, measured.quantile(0.95, metric))
    others: dict[str, Span] = {
        "the mean: it says what all requests took together": measured.over_windows(ctx, measured.mean(metric)),
        "the median: half of the requests take longer": measured.over_windows(ctx, measured.quantile(0.5, metric)),
    }

    def told(said: float) -> str:
        if said in bounds:
            return "that is the bound of a bucket: what is counted there took no longer, and nobody knows how long exactly"
        if right.around(said / 1000):
            return "seconds are asked for, and those are milliseconds"
        if other := next((words for words, each in others.items() if each.around(said, 0.1)), ""):
            return f"that is {other}"
        return "the 95th percentile is shorter" if said > right.most else "the 95th percentile is longer"

    asks = "the time from a request to its answer" if metric == LATENCY else "the time from a request to the first piece of its answer"
    return sheet.number(
        name, lambda said: said not in bounds and right.around(said), f"the 95th percentile of {asks}, in seconds, by histogram_quantile",
        f"lab.query('histogram_quantile(0.95, sum by (le) (rate({metric}_bucket[1m])))')", reads=answers.seconds, told=told, called=("p95",),
    )  # fmt: skip
