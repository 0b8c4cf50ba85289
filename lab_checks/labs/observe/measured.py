"""Lab 06-observe: what the monitoring says, over the windows and at the moments at which a learner may have asked.

A number that was read a minute ago is held against what the same query gives now over several windows, and gave at other moments of the last minutes: what
is right lies between them, and a little around.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.metrics import Series
from lab_checks.engine.verdict import Seen, wait

LATENCY, FIRST_TOKEN = "model_request_duration_seconds", "model_time_to_first_token_seconds"
WINDOWS = ("30s", "1m", "2m", "5m")
# Seconds that a learner takes from a query to its check, and between the moments that are looked at.
_AGO, _STEP = 300.0, 10.0


@dataclass(frozen=True)
class Span:
    """What a query gave, from the least to the most."""

    least: float
    most: float

    def around(self, said: float, near: float = 0.2, slack: float = 0.0) -> bool:
        """Whether a number lies in it, or by a share of `near` or by `slack` beside it."""
        return self.least * (1 - near) - slack <= said <= self.most * (1 + near) + slack

    def __str__(self) -> str:
        return f"{self.least:.3g}" if math.isclose(self.least, self.most, rel_tol=0.05) else f"{self.least:.3g} to {self.most:.3g}"


def span(values: Iterable[float]) -> Span | None:
    """None where there is no number."""
    found = [each for each in values if math.isfinite(each)]
    return Span(min(found), max(found)) if found else None


def over_windows(ctx: Context, promql: str) -> Span:
    """A query that gives one value, with `{window}` in it, over each of the windows, and over a minute at earlier moments; not yet while it gives none."""
    now = [sample.value for window in WINDOWS for sample in ctx.query(promql.replace("{window}", window))]
    earlier = at_moments(ctx, promql.replace("{window}", "1m"))
    found = span([*now, *(value for series in earlier for _, value in series.points)])
    if found is None:
        raise wait("too little has been scraped yet", Seen("monitoring", promql.replace("{window}", "1m"), "no value"))
    return found


def at_moments(ctx: Context, promql: str) -> list[Series]:
    """What a query gave at the moments of the last minutes."""
    return ctx.query_range(promql, ctx.now - _AGO, ctx.now, _STEP)


def quantile(share: float, metric: str, labels: str = "") -> str:
    """The PromQL of a percentile, with `{window}` for its range."""
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{labels}[{{window}}])))"


def mean(metric: str, labels: str = "") -> str:
    return f"sum(rate({metric}_sum{labels}[{{window}}])) / sum(rate({metric}_count{labels}[{{window}}]))"


def one_of(pods: Iterable[Object]) -> str:
    """A matcher for the series of these Pods."""
    return 'pod=~"' + "|".join(sorted(each["metadata"]["name"] for each in pods)) + '"'
