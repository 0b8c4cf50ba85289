"""Queries that nobody thought of: put together at random from what `series.yaml` has, the same ones for the same seed."""

from __future__ import annotations

import random

_NAMES = (
    "requests_total", "gappy_total", "queue_depth", "memory_bytes", "latency_seconds_bucket", "latency_seconds_count", "up", "pod_info",
    "capacity_bytes", "sometimes_nan", "missing", "started_total",
)  # fmt: skip
_LABELS = ("pod", "code", "le", "node", "team", "job")
_OVER_RANGES = (
    "rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "avg_over_time", "max_over_time", "min_over_time",
    "sum_over_time", "count_over_time", "last_over_time", "stddev_over_time", "present_over_time",
)  # fmt: skip
_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev")
_FUNCTIONS = ("abs", "ceil", "floor", "sqrt", "sgn", "absent", "-", "timestamp")


class Maker:
    """Vector expressions, `depth` operations deep at most."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def _some(self) -> str:
        return ", ".join(self._random.sample(_LABELS, self._random.randint(0, 3)))

    def _selector(self) -> str:
        one = self._random
        matcher = f'{one.choice(_LABELS)}{one.choice(("=", "!=", "=~", "!~"))}"{one.choice(("a", "b", "a|b", "200", "n1", ".*", ""))}"'
        return one.choice(_NAMES) + (f"{{{matcher}}}" if one.random() < 0.4 else "")

    def _shift(self) -> str:
        one = self._random
        offset = f" offset {one.choice(('1m', '90s', '-30s'))}" if one.random() < 0.15 else ""
        return offset + (f" @ {one.choice(('start()', 'end()', '1767226500'))}" if one.random() < 0.1 else "")

    def vector(self, depth: int = 3) -> str:
        one = self._random
        below = depth - 1
        kinds = ("selector", "range", "aggregation", "function", "histogram", "subquery", "scalar", "labels", "vectors")
        kind = one.choices(kinds, (3, 4, 5, 2, 1, 1, 1, 1, 3))[0] if depth > 0 else "selector"
        match kind:
            case "range":
                return f"{one.choice(_OVER_RANGES)}({self._selector()}[{one.choice(('30s', '1m', '95s', '5m', '17m'))}]{self._shift()})"
            case "aggregation":
                grouping = one.choice(("", f"by ({self._some()})", f"without ({self._some()})"))
                return f"{one.choice(_AGGREGATIONS)} {grouping} ({self.vector(below)})"
            case "function":
                return f"{one.choice(_FUNCTIONS)}({self.vector(below)})"
            case "histogram":
                return f"histogram_quantile({one.choice(('.5', '.9', '.99'))}, {self.vector(below)})"
            case "subquery":
                function = one.choice(("rate", "max_over_time", "avg_over_time", "last_over_time", "count_over_time"))
                return f"{function}(({self.vector(below)})[{one.choice(('1m', '4m'))}:{one.choice(('10s', '30s', ''))}])"
            case "scalar":
                operator = one.choice(("+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "!="))
                return f"({self.vector(below)}) {operator} {one.choice(('2', '0.5', '-3', 'scalar(up)', 'time()'))}"
            case "labels":
                source, expression = one.choice(_LABELS), one.choice(("(.*)", "(.)", "a|b", ""))
                return f'label_replace({self.vector(below)}, "{one.choice(("pod", "new"))}", "{one.choice(("$1", "x"))}", "{source}", "{expression}")'
            case "vectors":
                return self._vectors(below)
        return self._selector() + self._shift()

    def _vectors(self, below: int) -> str:
        one = self._random
        operator = one.choice(("+", "-", "*", "/", ">", "<", "== bool", "and", "or", "unless"))
        matching = ""
        if one.random() < 0.6:
            matching = f"{one.choice(('on', 'ignoring'))} ({self._some()})"
            if operator not in ("and", "or", "unless") and one.random() < 0.5:
                matching += f" {one.choice(('group_left', 'group_right'))} ({one.choice(('', 'team', 'version'))})"
        return f"({self.vector(below)}) {operator} {matching} ({self.vector(below)})"
