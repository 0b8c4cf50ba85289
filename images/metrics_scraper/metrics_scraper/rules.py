"""Rules: a rule file's groups, and their evaluation at every interval.

Recording rules keep what an expression gives under a new name. Alerting rules go from inactive to pending to firing, as long as their expression gives
samples. https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metrics_scraper import templating
from metrics_scraper.labels import NAME, Labels, make, text
from metrics_scraper.numbers import STALE, duration
from metrics_scraper.promql import Engine, ParseError, QueryError, QueryTimeout, parse
from metrics_scraper.storage import Storage

log = logging.getLogger("metrics_scraper.rules")

INACTIVE, PENDING, FIRING = "inactive", "pending", "firing"
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# How long an alert that is over is kept, as in Prometheus.
_RESOLVED_KEPT = 15 * 60_000


class RuleFileError(Exception):
    """A rule file that cannot be used; the message names the file, the group and the rule."""


@dataclass(frozen=True)
class Definition:
    """A rule as the file has it. `record` is empty for an alerting rule, `alert` for a recording one; times are milliseconds."""

    record: str
    alert: str
    expr: str
    hold: int = 0
    keep_firing: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.record or self.alert

    def same_alerts(self, other: Definition) -> bool:
        """Whether alerts of the other rule are this one's: Prometheus goes by name and labels when a file changes."""
        return (self.record, self.alert, dict(self.labels)) == (other.record, other.alert, dict(other.labels))


@dataclass(frozen=True)
class GroupDefinition:
    file: str
    name: str
    interval: int
    rules: tuple[Definition, ...]
    limit: int = 0


def read(path: Path, default_interval: int) -> list[GroupDefinition]:
    """The groups of a rule file. Raises RuleFileError."""
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RuleFileError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RuleFileError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    groups: list[GroupDefinition] = []
    for row in _rows(_fields({} if data is None else data, {"groups"}, f"{path}"), "groups", f"{path}"):
        group = _fields(row, {"name", "interval", "limit", "query_offset", "labels", "rules"}, f"{path}: group")
        name = str(group.get("name") or "")
        if not name:
            raise RuleFileError(f"{path}: Groupname must not be empty")
        where = f'{path}: group "{name}"'
        if name in (each.name for each in groups):
            raise RuleFileError(f'{path}: groupname: "{name}" is repeated in the same file')
        for unknown in ("query_offset", "labels"):
            if unknown in group:
                raise RuleFileError(f"{where}: {unknown} is not known to this server; Prometheus itself may know it")
        rules = tuple(_rule(each, f"{where}, rule {place}") for place, each in enumerate(_rows(group, "rules", where), 1))
        groups.append(
            GroupDefinition(str(path), name, _time(group, "interval", where) or default_interval, rules, int(group.get("limit") or 0))
        )
    return groups


def _rows(row: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = row.get(name) or []
    if not isinstance(found, list):
        raise RuleFileError(f"{where}: {name} is no list")
    return found


def _fields(row: Any, known: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise RuleFileError(f"{where}: is no mapping of names to values")
    if unknown := sorted(str(name) for name in row if name not in known):
        raise RuleFileError(f"{where}: field {unknown[0]} not found; there are {', '.join(sorted(known))}")
    return row


def _time(row: Mapping[str, Any], name: str, where: str) -> int:
    try:
        return duration(str(row[name])) if row.get(name) is not None else 0
    except ValueError as error:
        raise RuleFileError(f"{where}: {name}: {error}") from None


def _rule(row: Any, where: str) -> Definition:
    found = _fields(row, {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}, where)
    record, alert, expr = (str(found.get(name) or "") for name in ("record", "alert", "expr"))
    if record and alert:
        raise RuleFileError(f"{where}: only one of 'record' and 'alert' must be set")
    if not record and not alert:
        raise RuleFileError(f"{where}: one of 'record' or 'alert' must be set")
    where = f'{where}, "{record or alert}"'
    if not expr:
        raise RuleFileError(f"{where}: field 'expr' must be set in rule")
    try:
        parse(expr)
    except ParseError as error:
        raise RuleFileError(f"{where}: could not parse expression: {error}") from None
    if record and not _METRIC.fullmatch(record):
        raise RuleFileError(f"{where}: invalid recording rule name: {record}")
    for name in ("for", "keep_firing_for", "annotations"):
        if record and found.get(name):
            raise RuleFileError(f"{where}: invalid field '{name}' in recording rule")
    labels, annotations = _texts(found, "labels", where), _texts(found, "annotations", where)
    for label in labels:
        if not _LABEL.fullmatch(label) or label == NAME:
            raise RuleFileError(f"{where}: invalid label name: {label}")
    for template in (*labels.values(), *annotations.values()) if alert else ():
        try:
            templating.fill(template, {}, 0.0)
        except templating.TemplateError as error:
            raise RuleFileError(f"{where}: template {template!r}: {error}") from None
    return Definition(record, alert, expr, _time(found, "for", where), _time(found, "keep_firing_for", where), labels, annotations)


def _texts(row: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    found = row.get(name) or {}
    if not isinstance(found, dict):
        raise RuleFileError(f"{where}: {name} is no mapping of names to texts")
    return {str(key): str(value) for key, value in found.items()}


@dataclass
class Alert:
    """One label set of an alerting rule that is, or lately was, active. Times are milliseconds, 0 for never."""

    labels: Labels
    annotations: Mapping[str, str]
    value: float
    active_at: int
    state: str = PENDING
    resolved_at: int = 0
    keep_firing_since: int = 0


class Rule:
    """One rule with what became of it."""

    def __init__(self, definition: Definition):
        self.definition = definition
        self.alerts: dict[Labels, Alert] = {}
        self.health = "unknown"
        self.error = ""
        self.evaluated_at = 0
        self.seconds = 0.0
        # The series of the evaluation before: what is missing from the next gets a mark of its end.
        self.series: set[Labels] = set()

    @property
    def state(self) -> str:
        """The worst of its alerts'."""
        states = {alert.state for alert in self.alerts.values()}
        return FIRING if FIRING in states else PENDING if PENDING in states else INACTIVE

    @property
    def active(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.state != INACTIVE]

    def evaluate(self, engine: Engine, storage: Storage, now: int, external: Mapping[str, str], limit: int = 0) -> None:
        """One evaluation at `now`; what went wrong is kept in `error` and `health`."""
        began = time.monotonic()
        try:
            vector = engine.vector(self.definition.expr, now)
            samples = self._record(vector) if self.definition.record else self._alert(vector, now, external)
            count, what = (len(samples), "series") if self.definition.record else (len(self.active), "alerts")
            if limit and count > limit:
                self.alerts.clear()
                raise QueryError(f"exceeded limit of {limit} with {count} {what}")
            self.health, self.error = "ok", ""
        except (ParseError, QueryError, QueryTimeout, templating.TemplateError) as problem:
            if str(problem) != self.error:
                log.warning("rule failed rule=%s error=%s", self.definition.name, problem)
            samples, self.health, self.error = {}, "err", str(problem)
        self.seconds, self.evaluated_at = time.monotonic() - began, now
        for labels, value in samples.items():
            storage.append(labels, now, value)
        if self.health == "ok":
            self.end(storage, now, keep=samples.keys())
            self.series = set(samples)

    def end(self, storage: Storage, now: int, keep: Any = frozenset()) -> None:
        """Marks the end of the series that are not among `keep`."""
        for labels in self.series - set(keep):
            storage.append(labels, now, STALE)

    def _record(self, vector: Sequence[tuple[Labels, float]]) -> dict[Labels, float]:
        found = {make({**dict(labels), **self.definition.labels, NAME: self.definition.record}): value for labels, value in vector}
        if len(found) < len(vector):
            raise QueryError("vector contains metrics with the same labelset after applying rule labels")
        return found

    def _alert(self, vector: Sequence[tuple[Labels, float]], now: int, external: Mapping[str, str]) -> dict[Labels, float]:
        active: dict[Labels, Alert] = {}
        for sample_labels, value in vector:
            given = {name: each for name, each in sample_labels if name != NAME}
            own = {name: templating.fill(each, given, value, external) for name, each in self.definition.labels.items()}
            labels = make({**given, **own, "alertname": self.definition.alert})
            if labels in active:
                raise QueryError("vector contains metrics with the same labelset after applying alert labels")
            annotations = {name: templating.fill(each, given, value, external) for name, each in self.definition.annotations.items()}
            active[labels] = Alert(labels, annotations, value, now)
        for labels, alert in active.items():
            known = self.alerts.get(labels)
            if known is not None and known.state != INACTIVE:
                known.value, known.annotations, known.keep_firing_since = alert.value, alert.annotations, 0
            else:
                self.alerts[labels] = alert
        for labels, alert in list(self.alerts.items()):
            if labels not in active and not self._kept(alert, now):
                if alert.state == PENDING or (alert.resolved_at and now - alert.resolved_at > _RESOLVED_KEPT):
                    del self.alerts[labels]
                elif alert.state == FIRING:
                    alert.state, alert.resolved_at = INACTIVE, now
                continue
            if alert.state == PENDING and now - alert.active_at >= self.definition.hold:
                alert.state = FIRING
                log.info("alert fires %s", text(labels))
        samples: dict[Labels, float] = {}
        for alert in self.active:
            samples[make({**dict(alert.labels), NAME: "ALERTS", "alertstate": alert.state})] = 1.0
            samples[make({**dict(alert.labels), NAME: "ALERTS_FOR_STATE"})] = float(alert.active_at // 1000)
        return samples

    def _kept(self, alert: Alert, now: int) -> bool:
        """Whether an alert without a sample fires on, by keep_firing_for."""
        if alert.state != FIRING or not self.definition.keep_firing:
            return False
        alert.keep_firing_since = alert.keep_firing_since or now
        return now - alert.keep_firing_since < self.definition.keep_firing


class Group:
    """Rules that are evaluated one after the other, at every interval."""

    def __init__(self, definition: GroupDefinition):
        self.definition = definition
        self.rules = [Rule(each) for each in definition.rules]
        self.evaluated_at = 0
        self.seconds = 0.0

    def take_over(self, before: Group) -> list[Rule]:
        """Alerts that were active before a reload stay so; returns the rules of the old group that are none of this one's."""
        left = list(before.rules)
        for rule in self.rules:
            old = next((each for each in left if rule.definition.same_alerts(each.definition)), None)
            if old is not None:
                left.remove(old)
                rule.alerts, rule.series = old.alerts, old.series
                rule.health, rule.error, rule.evaluated_at, rule.seconds = old.health, old.error, old.evaluated_at, old.seconds
        return left

    def evaluate(self, engine: Engine, storage: Storage, now: int, external: Mapping[str, str]) -> None:
        began = time.monotonic()
        for rule in self.rules:
            rule.evaluate(engine, storage, now, external, self.definition.limit)
        self.evaluated_at, self.seconds = now, time.monotonic() - began


class Rules:
    """All groups with their loops."""

    def __init__(self, engine: Engine, storage: Storage, clock: Callable[[], float] = time.time):
        self.groups: list[Group] = []
        self._engine = engine
        self._storage = storage
        self._clock = clock
        self._loops: list[asyncio.Task[None]] = []

    def set(self, definitions: Sequence[GroupDefinition], external: Mapping[str, str]) -> None:
        """Evaluates these groups from now on. A group that is as it was goes on with its state."""
        before = {(group.definition.file, group.definition.name): group for group in self.groups}
        for loop in self._loops:
            loop.cancel()
        self.groups = []
        gone: list[Rule] = []
        for definition in definitions:
            group = Group(definition)
            old = before.pop((definition.file, definition.name), None)
            gone += group.take_over(old) if old is not None else []
            self.groups.append(group)
        for rule in [*gone, *(rule for old in before.values() for rule in old.rules)]:
            rule.end(self._storage, round(self._clock() * 1000))
        self._loops = [asyncio.create_task(self._run(group, external)) for group in self.groups]

    async def _run(self, group: Group, external: Mapping[str, str]) -> None:
        interval = group.definition.interval / 1000
        while True:
            group.evaluate(self._engine, self._storage, round(self._clock() * 1000), external)
            await asyncio.sleep(interval - self._clock() % interval)

    async def stop(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
