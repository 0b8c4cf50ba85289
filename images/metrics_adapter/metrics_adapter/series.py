"""What an autoscaler can use of the samples of one Pod: gauges as they are, and what counts up as a rate.

Two readings of a page flow in, metrics by their names come out. A counter's own value only says how long a Pod has run, so that
`model_tokens_total` becomes `model_tokens_per_second`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from metrics_adapter.exposition import Sample

_RATE = "_per_second"


@dataclass(frozen=True)
class Value:
    """`seconds` is the time that a rate was measured over, None for what is true at one moment."""

    labels: dict[str, str] = field(hash=False)
    value: float
    seconds: float | None = None


@dataclass(frozen=True)
class Reading:
    """A page as it was at `time` (seconds of a clock that only goes forward)."""

    time: float
    samples: tuple[Sample, ...]


def metrics(now: Reading, before: Reading | None) -> dict[str, list[Value]]:
    """Metric → its series. Without an earlier reading there are no rates yet."""
    earlier = {} if before is None else {_key(each): each.value for each in before.samples}
    found: dict[str, list[Value]] = {}
    for sample in now.samples:
        if sample.name.endswith(("_bucket", "_created")) and sample.kind in ("histogram", "counter", "summary"):
            continue
        if not math.isfinite(sample.value):
            continue
        if not counts_up(sample):
            found.setdefault(sample.name, []).append(Value(sample.labels, sample.value))
            continue
        had = earlier.get(_key(sample))
        if before is None or had is None or now.time <= before.time:
            continue
        # A counter that fell has begun anew: its Pod's program was restarted.
        grown = sample.value - had if sample.value >= had else sample.value
        seconds = now.time - before.time
        found.setdefault(rate_name(sample.name), []).append(Value(sample.labels, grown / seconds, seconds))
    return found


def counts_up(sample: Sample) -> bool:
    """Counters, and the counts and sums of histograms and summaries; a summary's quantiles are values of their own."""
    if sample.kind == "counter":
        return True
    return sample.kind in ("histogram", "summary") and sample.name.endswith(("_count", "_sum"))


def rate_name(name: str) -> str:
    return name.removesuffix("_total") + _RATE


def _key(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))
