"""Lab 06-observe: a recorded hour, on which alert rules are tried by the engine that the course's monitoring runs.

`hour.om.gz` was recorded from a real model server (tools/record_hour.py). A rule comes in as the rule file has it, the times at which it fires come out.
"""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.engine import paths

HOUR = Path(__file__).with_name("hour.om.gz")
STEP = 5.0
# What happened, in seconds since the beginning.
REPLACED, BURST, FAULT, END = 720.0, 1560.0, 2400.0, 3600.0
_SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+) (\d+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
# What a scrape adds to the labels of every series.
_TARGET = {"job": "ai-log-summary-api", "instance": "10.244.2.7:8080", "node": "ai-lab-worker2"}


@dataclass(frozen=True)
class Firing:
    """A time in which a rule fires, in seconds since the beginning of the hour; `until` is END where it still fires then."""

    since: float
    until: float


class RuleProblem(Exception):
    """A rule file that cannot be read, or a rule that cannot be evaluated; the message says which and why."""


def _programs() -> Any:
    """The modules of `images/metrics_scraper`: an image's program is no part of this package, and is run here as it is in its container."""
    folder = str(paths.root() / "images/metrics_scraper")
    if folder not in sys.path:
        sys.path.append(folder)
    import metrics_scraper.rules
    import metrics_scraper.storage

    return metrics_scraper


@cache
def hour() -> tuple[Any, int]:
    """(the storage with all samples, its first moment in milliseconds)."""
    scraper = _programs()
    from metrics_scraper.labels import NAME, make
    from metrics_scraper.numbers import STALE

    storage = scraper.storage.Storage(retention=10**12)
    newest = first = 0
    for line in gzip.decompress(HOUR.read_bytes()).decode().splitlines():
        if match := _SAMPLE.match(line):
            name, labels, value, second = match.groups()
            moment = int(second) * 1000
            first, newest = min(first or moment, moment), max(newest, moment)
            storage.append(make({NAME: name, **_TARGET, **dict(_LABEL.findall(labels))}), moment, float(value))
    for series in storage.all():
        # A Pod that is gone is told by the scraper with the next scrape.
        if series.times[-1] < newest:
            series.append(series.times[-1] + round(STEP * 1000), STALE)
    return storage, first


def rules_of(name: str, text: str, folder: Path) -> list[Any]:
    """The alerting rules of a rule file's text. Raises RuleProblem."""
    rules = _programs().rules
    path = folder / name
    path.write_text(text)
    try:
        groups = rules.read(path, round(STEP * 1000))
    except rules.RuleFileError as problem:
        raise RuleProblem(str(problem).replace(f"{folder}/", "")) from None
    return [each for group in groups for each in group.rules if each.alert]


# What was found of a rule already: a check that waits for the cluster asks again and again.
_found: dict[str, list[Firing]] = {}


def firings(definition: Any) -> list[Firing]:
    """When an alerting rule fires in the recorded hour, evaluated every five seconds. Raises RuleProblem."""
    key = repr(definition)
    if key not in _found:
        _found[key] = _evaluate(definition)
    return _found[key]


def _evaluate(definition: Any) -> list[Firing]:
    rules = _programs().rules
    from metrics_scraper.promql import Engine

    storage, first = hour()
    # What a rule writes down while it is tried is no part of the recorded hour.
    scratch = _programs().storage.Storage()
    engine, rule = Engine(storage), rules.Rule(definition)
    found: list[Firing] = []
    for number in range(round(END / STEP) + 1):
        rule.evaluate(engine, scratch, first + round(number * STEP * 1000), {})
        if rule.error:
            raise RuleProblem(f'"{definition.alert}": {rule.error}')
        second = number * STEP
        if rule.state != rules.FIRING:
            continue
        if found and found[-1].until == second - STEP:
            found[-1] = Firing(found[-1].since, second)
        else:
            found.append(Firing(second, second))
    return found


def evaluated(promql: str) -> tuple[float, float, dict[str, list[tuple[float, float]]]]:
    """(first moment, last moment, points of each series by its labels) of an expression; moments in seconds since 1970. Raises ValueError."""
    _programs()
    from metrics_scraper.labels import text
    from metrics_scraper.promql import Engine, ParseError, QueryError

    storage, first = hour()
    last = first + round(END * 1000)
    try:
        result = Engine(storage).range(promql, first, last, round(2 * STEP * 1000))
    except (ParseError, QueryError) as problem:
        raise ValueError(f"{promql}: {problem}") from None
    lines = {text(labels) or promql: [(moment / 1000, value) for moment, value in points] for labels, points in result.value}  # type: ignore[attr-defined]
    return first / 1000, last / 1000, lines


def clock(second: float) -> str:
    """750 as 02:12:30: the hour began at two."""
    return f"02:{int(second) // 60:02}:{int(second) % 60:02}" if second < END else "03:00:00"
