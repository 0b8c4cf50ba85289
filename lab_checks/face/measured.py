"""What monitoring says, in a notebook: a query's answer as a table, a query over time as a picture with its text beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lab_checks.engine.metrics import NAME, Metrics, Sample, Series
from lab_checks.face import pictures, tables

# A picture has about so many points, and no more lines than can be told apart.
_POINTS = 240
_MOST_LINES = len(pictures.LINES)
# What tells lines apart is looked for in this order.
_CALLED = ("pod", "exported_pod", "job", "namespace", "kind", "code", "reason", "node", "gpu", "le", "quantile")


def number(value: float) -> str:
    """Four digits that matter; as many as there are where the number is whole."""
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


class Answer(Sequence[Sample]):
    """The samples of a query, in the server's order. Shown as a table with a column for each label that tells them apart."""

    def __init__(self, query: str, samples: Sequence[Sample]):
        self.query = query
        self._samples = list(samples)

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __getitem__(self, place: Any) -> Any:
        return self._samples[place]

    @property
    def value(self) -> float:
        """The one value of a query that gives one. Raises ValueError where it gives none or several."""
        if len(self._samples) != 1:
            raise ValueError(f"{self.query} gives {len(self._samples)} values, not one")
        return self._samples[0].value

    def _rows(self) -> tuple[list[str], list[list[str]]]:
        names = _telling([sample.labels for sample in self._samples])
        shown = [(name, "metric" if name == NAME else name) for name in names]
        rows = [[*(sample.labels.get(name, "") for name, _ in shown), number(sample.value)] for sample in self._samples]
        return [*(title for _, title in shown), "value"], rows

    def __repr__(self) -> str:
        if not self._samples:
            return f"{self.query}\n  no series: nothing has these labels now"
        header, rows = self._rows()
        return "\n".join([self.query, *(f"  {line}" for line in tables.table(header, rows, 0))])

    def _repr_html_(self) -> str:
        if not self._samples:
            return pictures.table(f"{self.query}: no series: nothing has these labels now", (), ())
        return pictures.table(self.query, *self._rows())


def _telling(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """The labels that differ between samples, the name first; of a single sample all of them.

    An address tells no more than the Pod that has it.
    """
    names = sorted({name for each in labels for name in each}, key=lambda name: (name != NAME, name))
    if len(labels) == 1:
        return names
    found = [name for name in names if len({each.get(name, "") for each in labels}) > 1]
    return [name for name in found if name != "instance" or "pod" not in found or _apart(labels, ["pod"]) < _apart(labels, ["instance"])]


def _apart(labels: Sequence[Mapping[str, str]], names: Sequence[str]) -> int:
    """How many of the samples these labels tell apart."""
    return len({tuple(each.get(name, "") for name in names) for each in labels})


def _fewest(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """As few labels as name every line, those first that people call a thing by."""
    names = _telling(labels)
    chosen: list[str] = []
    for name in _CALLED:
        if name in names and _apart(labels, chosen) < _apart(labels, [*chosen, name]):
            chosen.append(name)
    while _apart(labels, chosen) < _apart(labels, names):
        chosen.append(max(names, key=lambda name: _apart(labels, [*chosen, name])))
    return chosen


class Plot:
    """Lines over time. As text: for each line its first, smallest, largest and last value."""

    def __init__(
        self, title: str, unit: str, lines: Mapping[str, Sequence[tuple[float, float]]], start: float, end: float, left_out: int = 0
    ):
        self.title, self.unit, self.lines = title, unit, dict(lines)
        self.start, self.end, self._left_out = start, end, left_out

    def _rows(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for name, points in self.lines.items():
            values = [value for _, value in points if math.isfinite(value)]
            if values:
                rows.append([name, *(number(each) for each in (values[0], min(values), max(values), values[-1]))])
            else:
                rows.append([name, "no value", "", "", ""])
        return ["line", "first", "smallest", "largest", "last"], rows

    @property
    def caption(self) -> str:
        of = f" ({self.unit})" if self.unit else ""
        more = f"; {self._left_out} more lines are left out: sum by (…) or topk(…) make fewer" if self._left_out else ""
        return f"{self.title}{of}, {_clock(self.start)} to {_clock(self.end)}{more}"

    def __repr__(self) -> str:
        if not self.lines:
            return f"{self.caption}\n  no series in this time"
        return "\n".join([self.caption, *(f"  {line}" for line in tables.table(*self._rows(), 0))])

    def _repr_html_(self) -> str:
        if not self.lines:
            return pictures.table(f"{self.caption}: no series in this time", (), ())
        picture = pictures.lines(self.caption, self.lines, self.start, self.end, self.unit, (_clock(self.start), _clock(self.end)))
        return f"<div style='max-width:640px'>{picture}{pictures.table(self.caption, *self._rows())}</div>"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).strftime("%H:%M:%S")


def query(metrics: Metrics, promql: str, at: float | None = None) -> Answer:
    return Answer(promql, metrics.query(promql, at))


def plot(
    metrics: Metrics, queries: str | Mapping[str, str], minutes: float, title: str, unit: str, end: float | None, step: float | None
) -> Plot:
    """The lines of one query, named by their labels, or of several, named by their keys."""
    until = time.time() if end is None else end
    since = until - 60 * minutes
    every = step or max(1.0, math.ceil((until - since) / _POINTS))
    asked = {"": queries} if isinstance(queries, str) else dict(queries)
    found: dict[str, Sequence[tuple[float, float]]] = {}
    for name, promql in asked.items():
        series = metrics.query_range(promql, since, until, every)
        telling = _fewest([each.labels for each in series])
        for each in series:
            found[_line_name(name, each, telling, len(series), promql)] = each.points
    shown = dict(list(found.items())[:_MOST_LINES])
    return Plot(title or " and ".join(asked.values()), unit, shown, since, until, len(found) - len(shown))


def _line_name(name: str, series: Series, telling: Sequence[str], count: int, promql: str) -> str:
    labels = ", ".join(series.labels.get(each, "") for each in telling) if count > 1 else ""
    return " ".join(filter(None, [name, labels])) or series.labels.get(NAME) or promql
