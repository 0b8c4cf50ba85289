"""Evaluation: an expression at one moment, or at every step from a start to an end.

Answers are those of LATEST. Older versions of Prometheus answer some queries differently, and `version` asks for theirs: since 3.0 a range leaves
out its first moment, and so does the look back for the newest sample (https://prometheus.io/docs/prometheus/latest/migration/).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from metrics_scraper import labels as label_sets
from metrics_scraper.labels import NAME, Labels, get, make, without_name
from metrics_scraper.promql import histograms, nodes
from metrics_scraper.promql.aggregations import aggregate
from metrics_scraper.promql.functions import DATES, KEEPS_NAME, VALUES, VECTORS, VERSIONED, WINDOWS
from metrics_scraper.promql.matching import combine, combine_sets, scalar_result
from metrics_scraper.promql.nodes import Node
from metrics_scraper.promql.parsing import parse
from metrics_scraper.promql.values import ARITHMETIC, COMPARISONS, NAN, QueryError, Sample, Vector, Version, Window, unique
from metrics_scraper.storage import Series, Storage

LOOKBACK = 5 * 60_000
# The Prometheus whose answers these are.
LATEST: Version = (3, 9)


class QueryTimeout(Exception):
    """A query that took longer than it may (the API's error type `timeout`)."""


@dataclass(frozen=True)
class Result:
    """`type` is scalar, string, vector or matrix. Of a matrix, `value` is a list of (labels, [(time, value), …])."""

    type: str
    value: object
    time: int


class Engine:
    """Answers queries from a storage. `lookback`, `subquery_step` and `timeout` are Prometheus' settings of the kind, in milliseconds."""

    def __init__(
        self, storage: Storage, lookback: int = LOOKBACK, subquery_step: int = 60_000, timeout: int = 120_000, version: Version = LATEST
    ):
        self.storage = storage
        self.lookback = lookback
        self.subquery_step = subquery_step
        self.timeout = timeout
        self.version = version

    def instant(self, query: str, time: int) -> Result:
        """The value at `time`. Raises ParseError, QueryError, QueryTimeout."""
        node = parse(query)
        evaluation = _Evaluation(self, time, time)
        if node.type == nodes.MATRIX:
            windows = sorted(evaluation.windows(node, time), key=lambda window: window.labels)
            return Result(
                nodes.MATRIX, [(each.labels, list(zip(each.times, each.values, strict=True))) for each in windows if each.times], time
            )
        value = evaluation.value(node, time)
        return Result(node.type, unique(value) if isinstance(value, list) else value, time)

    def vector(self, query: str, time: int) -> Vector:
        """The samples at `time`, a scalar as one without labels: what rules are made of."""
        result = self.instant(query, time)
        if result.type == nodes.VECTOR:
            assert isinstance(result.value, list)
            return result.value
        if result.type == nodes.SCALAR:
            assert isinstance(result.value, float)
            return [(label_sets.EMPTY, result.value)]
        raise QueryError("rule result is not a vector or scalar")

    def range(self, query: str, start: int, end: int, step: int) -> Result:
        """The value at every step; a scalar becomes a series without labels. Raises ParseError, QueryError, QueryTimeout."""
        node = parse(query)
        if node.type not in (nodes.VECTOR, nodes.SCALAR):
            told = {nodes.MATRIX: "range vector", nodes.STRING: "string"}[node.type]
            raise InvalidType(f'invalid expression type "{told}" for range query, must be Scalar or instant Vector')
        evaluation = _Evaluation(self, start, end)
        series: dict[Labels, list[tuple[int, float]]] = {}
        for moment in range(start, end + 1, step):
            value = evaluation.value(node, moment)
            samples: Vector = unique(value) if isinstance(value, list) else [(label_sets.EMPTY, value)]  # type: ignore[list-item]
            for labels, number in samples:
                series.setdefault(labels, []).append((moment, number))
        return Result(nodes.MATRIX, sorted(series.items()), end)


class InvalidType(ValueError):
    """A query of a type that has no range form."""


class _Evaluation:
    """One query. What was looked up once is kept: the series of each selector, and what subqueries gave at a moment."""

    def __init__(self, engine: Engine, start: int, end: int):
        self._engine = engine
        self._bounds = {nodes.START: start, nodes.END: end}
        self._until = time.monotonic() + engine.timeout / 1000
        self._selected: dict[tuple[label_sets.Matcher, ...], list[Series]] = {}
        self._inner: dict[tuple[int, int], Vector] = {}
        # What a sample from the very first moment of a range is moved by, to be left out.
        self._open = 1 if engine.version >= (3, 0) else 0

    def value(self, node: Node, now: int) -> float | str | Vector:
        """A number, a text or a vector, as `node.type` says."""
        if time.monotonic() > self._until:
            raise QueryTimeout("query timed out in expression evaluation")
        match node:
            case nodes.Number() | nodes.Text():
                return node.value
            case nodes.Selector():
                return [(series.labels, found[1]) for series, found in self._newest(node, now)]
            case nodes.Negative():
                inside = self.value(node.inside, now)
                return [(without_name(labels), -value) for labels, value in inside] if isinstance(inside, list) else -self._number(inside)
            case nodes.Aggregate():
                parameter = self.value(node.parameter, now) if node.parameter is not None else None
                assert not isinstance(parameter, list)
                return aggregate(node.op, self.vector(node.inside, now), node.labels, node.without, parameter, self._engine.version)
            case nodes.Binary():
                return self._binary(node, now)
            case nodes.Call():
                return self._call(node, now)
        raise QueryError(f"a {node.type} cannot stand here")

    def vector(self, node: Node, now: int) -> Vector:
        value = self.value(node, now)
        assert isinstance(value, list)
        return value

    def scalar(self, node: Node, now: int) -> float:
        return self._number(self.value(node, now))

    @staticmethod
    def _number(value: float | str | Vector) -> float:
        assert isinstance(value, float)
        return value

    # Selectors

    def _series(self, selector: nodes.Selector) -> list[Series]:
        found = self._selected.get(selector.matchers)
        if found is None:
            found = self._selected[selector.matchers] = self._engine.storage.select(selector.matchers)
        return found

    def _moment(self, at: nodes.At, offset: int, now: int) -> int:
        base = now if at is None else self._bounds[at] if isinstance(at, str) else at
        return base - offset

    def _newest(self, selector: nodes.Selector, now: int) -> list[tuple[Series, tuple[int, float]]]:
        moment = self._moment(selector.at, selector.offset, now)
        earliest = moment - self._engine.lookback + self._open
        return [(series, found) for series in self._series(selector) if (found := series.at(earliest, moment))]

    def windows(self, node: Node, now: int) -> list[Window]:
        """The samples of each series in a range; series without any are left out."""
        if isinstance(node, nodes.Subquery):
            return self._subquery(node, now)
        assert isinstance(node, nodes.Range)
        end = self._moment(node.selector.at, node.selector.offset, now)
        start = end - node.range
        found = []
        for series in self._series(node.selector):
            times, values = series.between(start + self._open, end)
            if len(times):
                found.append(Window(series.labels, times, values, start, end, now))
        return found

    def _subquery(self, node: nodes.Subquery, now: int) -> list[Window]:
        """Steps stand at whole multiples of the step, so that later moments of a query meet the same ones."""
        end = self._moment(node.at, node.offset, now)
        start = end - node.range
        step = node.step or self._engine.subquery_step
        series: dict[Labels, tuple[list[int], list[float]]] = {}
        for moment in range(-((-(start + self._open)) // step) * step, end + 1, step):
            key = (id(node), moment)
            if key not in self._inner:
                value = self.value(node.inside, moment)
                self._inner[key] = unique(value) if isinstance(value, list) else [(label_sets.EMPTY, self._number(value))]
            for labels, value in self._inner[key]:
                times, values = series.setdefault(labels, ([], []))
                times.append(moment)
                values.append(value)
        return [Window(labels, times, values, start, end, now) for labels, (times, values) in series.items()]

    # Operators

    def _binary(self, node: nodes.Binary, now: int) -> float | Vector:
        left, right = self.value(node.left, now), self.value(node.right, now)
        if isinstance(left, list) and isinstance(right, list):
            if node.op in ("and", "or", "unless"):
                return combine_sets(node.op, left, right, node.matching)
            return combine(node.op, left, right, node.matching, node.as_bool, self._engine.version)
        if isinstance(left, list):
            other = self._number(right)
            return [made for sample in left if (made := self._with_scalar(node, sample, sample[1], other))]
        if isinstance(right, list):
            other = self._number(left)
            return [made for sample in right if (made := self._with_scalar(node, sample, other, sample[1]))]
        result, holds = scalar_result(node.op, self._number(left), self._number(right))
        return float(holds) if node.op in COMPARISONS else result

    @staticmethod
    def _with_scalar(node: nodes.Binary, sample: Sample, left: float, right: float) -> Sample | None:
        """A comparison lets the vector's sample through as it is, on whichever side it stands."""
        result, holds = scalar_result(node.op, left, right)
        if node.as_bool:
            return without_name(sample[0]), float(holds)
        if node.op in ARITHMETIC:
            return without_name(sample[0]), result
        return sample if holds else None

    # Functions

    def _call(self, node: nodes.Call, now: int) -> float | Vector:
        name, arguments = node.function, node.arguments
        own: Callable[[tuple[Node, ...], int], float | Vector] | None = getattr(self, f"_call_{name}", None)
        if own is not None:
            return own(arguments, now)
        if name in WINDOWS or name in VERSIONED:
            return self._over_windows(name, arguments, now)
        if name in DATES:
            of_date = DATES[name]
            if not arguments:
                return [(label_sets.EMPTY, of_date(now / 1000))]
            return unique([(without_name(labels), of_date(value)) for labels, value in self.vector(arguments[0], now)])
        vector = next(self.vector(each, now) for each in arguments if each.type == nodes.VECTOR)
        scalars = [self.scalar(each, now) for each in arguments if each.type == nodes.SCALAR]
        if name in VECTORS:
            return VECTORS[name](vector, *scalars)
        if name == "clamp" and scalars[1] < scalars[0]:
            return []
        of_value = VALUES[name]
        return unique([(without_name(labels), of_value(value, *scalars)) for labels, value in vector])

    def _over_windows(self, name: str, arguments: tuple[Node, ...], now: int) -> Vector:
        windows = self.windows(next(each for each in arguments if each.type == nodes.MATRIX), now)
        scalars = [self.scalar(each, now) for each in arguments if each.type == nodes.SCALAR]
        found: Vector = []
        for window in windows:
            value = VERSIONED[name](window, self._engine.version) if name in VERSIONED else WINDOWS[name](window, *scalars)
            if value is not None:
                found.append((window.labels if name in KEEPS_NAME else without_name(window.labels), value))
        return unique(found)

    def _call_time(self, arguments: tuple[Node, ...], now: int) -> float:
        return now / 1000

    def _call_pi(self, arguments: tuple[Node, ...], now: int) -> float:
        return 3.141592653589793

    def _call_vector(self, arguments: tuple[Node, ...], now: int) -> Vector:
        return [(label_sets.EMPTY, self.scalar(arguments[0], now))]

    def _call_scalar(self, arguments: tuple[Node, ...], now: int) -> float:
        vector = self.vector(arguments[0], now)
        return vector[0][1] if len(vector) == 1 else NAN

    def _call_timestamp(self, arguments: tuple[Node, ...], now: int) -> Vector:
        """Of a selector, when the sample was taken; of anything else, the moment of evaluation."""
        if isinstance(arguments[0], nodes.Selector):
            return unique([(without_name(series.labels), found[0] / 1000) for series, found in self._newest(arguments[0], now)])
        return unique([(without_name(labels), now / 1000) for labels, _ in self.vector(arguments[0], now)])

    def _call_absent(self, arguments: tuple[Node, ...], now: int) -> Vector:
        return [] if self.vector(arguments[0], now) else [(_absent_labels(arguments[0]), 1.0)]

    def _call_absent_over_time(self, arguments: tuple[Node, ...], now: int) -> Vector:
        return [] if self.windows(arguments[0], now) else [(_absent_labels(arguments[0]), 1.0)]

    def _call_histogram_quantile(self, arguments: tuple[Node, ...], now: int) -> Vector:
        return histograms.quantiles(self.vector(arguments[1], now), self.scalar(arguments[0], now))

    def _call_label_replace(self, arguments: tuple[Node, ...], now: int) -> Vector:
        target, replacement, source, expression = (str(self.value(each, now)) for each in arguments[1:])
        try:
            pattern = label_sets.pattern(expression)
        except label_sets.InvalidPattern:
            raise QueryError(f"invalid regular expression in label_replace(): {expression}") from None

        def changed(labels: Labels) -> Labels:
            found = pattern.fullmatch(get(labels, source))
            return labels if found is None else make({**dict(labels), target: label_sets.expand(replacement, found)})

        return unique([(changed(labels), value) for labels, value in self.vector(arguments[0], now)])

    def _call_label_join(self, arguments: tuple[Node, ...], now: int) -> Vector:
        target, separator, *sources = (str(self.value(each, now)) for each in arguments[1:])
        return unique(
            [
                (make({**dict(labels), target: separator.join(get(labels, each) for each in sources)}), value)
                for labels, value in self.vector(arguments[0], now)
            ]
        )


def _absent_labels(node: Node) -> Labels:
    """What can be said of a series that is not there: the labels that its selector asks for once and exactly."""
    selector = node.selector if isinstance(node, nodes.Range) else node
    if not isinstance(selector, nodes.Selector):
        return label_sets.EMPTY
    named = [each for each in selector.matchers if each.name != NAME]
    counts = {each.name: sum(1 for other in named if other.name == each.name) for each in named}
    return make((each.name, each.value) for each in named if each.op == "=" and counts[each.name] == 1)
