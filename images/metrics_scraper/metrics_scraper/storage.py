"""Series in memory: times (milliseconds) and values in two arrays a series, 16 bytes a sample, in the order in which they came.

Bounded twice, as Prometheus is: samples older than `retention` go, and where all of them together need more than `size` bytes, the oldest go earlier.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from metrics_scraper import labels as label_sets
from metrics_scraper.labels import NAME, Labels, Matcher
from metrics_scraper.numbers import is_stale

_SAMPLE_BYTES = 16
# A series without samples: its labels, its arrays, its place in the index.
_SERIES_BYTES = 1024


class Series:
    """One series: `times` and `values` have the same length, and times grow."""

    __slots__ = ("_nans", "labels", "times", "values")

    def __init__(self, labels: Labels):
        self.labels = labels
        self.times = array("q")
        self.values = array("d")
        # Whether any value is none: most series have no end yet, and need not be looked through for it.
        self._nans = False

    def append(self, time: int, value: float) -> bool:
        """Keeps a sample; False where the series already has one of that time or a later one."""
        if self.times and time <= self.times[-1]:
            return False
        self.times.append(time)
        self.values.append(value)
        self._nans = self._nans or value != value
        return True

    def at(self, earliest: int, time: int) -> tuple[int, float] | None:
        """The newest sample from `earliest` to `time`, both included; None where there is none or the series had ended."""
        place = bisect_right(self.times, time) - 1
        if place < 0 or self.times[place] < earliest:
            return None
        value = self.values[place]
        return None if is_stale(value) else (self.times[place], value)

    def between(self, earliest: int, latest: int) -> tuple[Sequence[int], Sequence[float]]:
        """The samples from `earliest` to `latest`, both included, without marks of an end."""
        first, last = bisect_left(self.times, earliest), bisect_right(self.times, latest)
        times, values = self.times[first:last], self.values[first:last]
        if self._nans and any(value != value for value in values):
            kept = [(time, value) for time, value in zip(times, values, strict=True) if not is_stale(value)]
            return [time for time, _ in kept], [value for _, value in kept]
        return times, values


class Storage:
    """All series, found by labels."""

    def __init__(self, retention: int = 2 * 3_600_000, size: int = 64 * 1024**2):
        self.retention = retention
        self.size = size
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}
        # What was dropped to stay within `size`, for /metrics.
        self.dropped_by_size = 0

    def __len__(self) -> int:
        return len(self._series)

    @property
    def samples(self) -> int:
        return sum(len(series.times) for series in self._series.values())

    def series(self, labels: Labels) -> Series:
        """The series of these labels, made where it is not there."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Series(labels)
            self._by_name.setdefault(label_sets.get(labels, NAME), {})[labels] = found
        return found

    def append(self, labels: Labels, time: int, value: float) -> bool:
        """Keeps a sample; False where it is no newer than what the series has."""
        return self.series(labels).append(time, value)

    def select(self, matchers: Iterable[Matcher]) -> list[Series]:
        """The series that all matchers let through, sorted by their labels."""
        rest = [each for each in matchers if not (each.name == NAME and each.op == "=")]
        names = {each.value for each in matchers if each.name == NAME and each.op == "="}
        if len(names) > 1:
            return []
        pool: Iterator[Series] = iter(self._by_name.get(names.pop(), {}).values() if names else self._series.values())
        return sorted(
            (series for series in pool if all(each.matches(label_sets.get(series.labels, each.name)) for each in rest)),
            key=lambda series: series.labels,
        )

    def all(self) -> Iterable[Series]:
        return self._series.values()

    def trim(self, now: int) -> None:
        """Drops what is older than the retention, and the oldest of the rest while there is too much."""
        self._drop_before(now - self.retention)
        while (used := len(self._series) * _SERIES_BYTES + self.samples * _SAMPLE_BYTES) > self.size and self._series:
            oldest = min(series.times[0] for series in self._series.values())
            newest = max(series.times[-1] for series in self._series.values())
            before = self.samples
            # The share of the time that is too much, and at least a twentieth: a few rounds, not one a sample.
            self._drop_before(oldest + 1 + int((newest - oldest) * max(0.05, 1 - self.size / used)))
            self.dropped_by_size += before - self.samples

    def _drop_before(self, time: int) -> None:
        for series in list(self._series.values()):
            place = bisect_left(series.times, time)
            if place:
                del series.times[:place]
                del series.values[:place]
            if not series.times:
                self._forget(series)

    def _forget(self, series: Series) -> None:
        """A scrape that still holds a forgotten series asks for it anew: `series` is called once a scrape and sample."""
        del self._series[series.labels]
        name = label_sets.get(series.labels, NAME)
        del self._by_name[name][series.labels]
        if not self._by_name[name]:
            del self._by_name[name]
