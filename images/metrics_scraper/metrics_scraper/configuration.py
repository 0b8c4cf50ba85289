"""Reading prometheus.yml: the part of Prometheus' own file that this server understands. What it does not know it names, and goes on.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metrics_scraper.labels import InvalidPattern, pattern
from metrics_scraper.numbers import duration
from metrics_scraper.relabelling import ACTIONS, Rule


class ConfigurationError(Exception):
    """A file that cannot be used; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class PodDiscovery:
    """`kubernetes_sd_configs` with `role: pod`; without namespaces, all of them."""

    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class StaticTargets:
    targets: tuple[str, ...]
    labels: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True)
class Job:
    """One of `scrape_configs`. Times are milliseconds."""

    name: str
    interval: int
    timeout: int
    path: str = "/metrics"
    scheme: str = "http"
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    honor_labels: bool = False
    honor_timestamps: bool = True
    discoveries: tuple[PodDiscovery, ...] = ()
    static: tuple[StaticTargets, ...] = ()
    relabel: tuple[Rule, ...] = ()
    metric_relabel: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Configuration:
    """`told` are the fields that this server does not know; `text` is the file as it was read."""

    evaluation_interval: int
    external_labels: Mapping[str, str]
    rule_files: tuple[str, ...]
    jobs: tuple[Job, ...]
    told: tuple[str, ...]
    text: str

    def rule_paths(self, folder: Path) -> list[Path]:
        """The files that `rule_files` name, relative to the folder of prometheus.yml."""
        return sorted({Path(found) for each in self.rule_files for found in glob.glob(str(folder / each))})


def load(path: Path) -> Configuration:
    """Raises ConfigurationError."""
    try:
        text = path.read_text()
        data = yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return _Reader().configuration({} if data is None else data, text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


class _Reader:
    """Reads the parts and collects what it does not know."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def configuration(self, data: Any, text: str) -> Configuration:
        known = _mapping(data, "the file")
        common = _mapping(known.get("global") or {}, "global")
        self._unknown(known, "", {"global", "rule_files", "scrape_configs"})
        self._unknown(common, "global.", {"scrape_interval", "scrape_timeout", "evaluation_interval", "external_labels"})
        interval = _duration(common, "scrape_interval", "global", 60_000)
        timeout = _duration(common, "scrape_timeout", "global", 10_000)
        if interval and timeout > interval:
            if "scrape_timeout" in common:
                raise ConfigurationError("global.scrape_timeout is greater than global.scrape_interval")
            timeout = interval
        jobs = tuple(
            self._job(_mapping(row, f"scrape_configs[{place}]"), f"scrape_configs[{place}]", interval, timeout)
            for place, row in enumerate(_list(known.get("scrape_configs"), "scrape_configs"))
        )
        names = [job.name for job in jobs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f'found multiple scrape configs with job name "{twice[0]}"')
        return Configuration(
            evaluation_interval=_duration(common, "evaluation_interval", "global", 60_000),
            external_labels=_texts(common.get("external_labels"), "global.external_labels"),
            rule_files=tuple(str(each) for each in _list(known.get("rule_files"), "rule_files")),
            jobs=jobs,
            told=tuple(self.told),
            text=text,
        )

    def _unknown(self, found: Mapping[str, Any], where: str, known: set[str]) -> None:
        self.told += [f"{where}{name}" for name in found if name not in known]

    def _job(self, row: Mapping[str, Any], where: str, interval: int, timeout: int) -> Job:
        name = row.get("job_name")
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"{where}: job_name is empty")
        self._unknown(
            row,
            f"{where} ({name}): ",
            {
                "job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params", "honor_labels", "honor_timestamps",
                "static_configs", "kubernetes_sd_configs", "relabel_configs", "metric_relabel_configs",
            },
        )  # fmt: skip
        own = _duration(row, "scrape_interval", where, interval)
        waits = _duration(row, "scrape_timeout", where, min(timeout, own))
        if waits > own:
            raise ConfigurationError(f'scrape timeout greater than scrape interval for scrape config with job name "{name}"')
        return Job(
            name=name,
            interval=own,
            timeout=waits,
            path=str(row.get("metrics_path") or "/metrics"),
            scheme=str(row.get("scheme") or "http"),
            params={str(key): tuple(map(str, _list(each, f"{where}.params"))) for key, each in (row.get("params") or {}).items()},
            honor_labels=bool(row.get("honor_labels", False)),
            honor_timestamps=bool(row.get("honor_timestamps", True)),
            discoveries=tuple(
                discovery
                for each in _list(row.get("kubernetes_sd_configs"), f"{where}.kubernetes_sd_configs")
                if (discovery := self._discovery(_mapping(each, where), f"{where} ({name}): kubernetes_sd_configs"))
            ),
            static=tuple(
                StaticTargets(
                    tuple(map(str, _list(each.get("targets"), f"{where}.targets"))), _texts(each.get("labels"), f"{where}.labels")
                )
                for each in _list(row.get("static_configs"), f"{where}.static_configs")
            ),
            relabel=self._rules(row, "relabel_configs", where),
            metric_relabel=self._rules(row, "metric_relabel_configs", where),
        )

    def _discovery(self, row: Mapping[str, Any], where: str) -> PodDiscovery | None:
        if row.get("role") != "pod":
            self.told.append(f"{where} with role {row.get('role')}")
            return None
        namespaces = _mapping(row.get("namespaces") or {}, where)
        self._unknown(row, f"{where}.", {"role", "namespaces"})
        self._unknown(namespaces, f"{where}.namespaces.", {"names"})
        return PodDiscovery(tuple(map(str, _list(namespaces.get("names"), where))))

    def _rules(self, row: Mapping[str, Any], key: str, where: str) -> tuple[Rule, ...]:
        return tuple(
            self._rule(_mapping(each, f"{where}.{key}[{place}]"), f"{where}.{key}[{place}]")
            for place, each in enumerate(_list(row.get(key), f"{where}.{key}"))
        )

    def _rule(self, row: Mapping[str, Any], where: str) -> Rule:
        names = {"action", "source_labels", "separator", "target_label", "regex", "replacement", "modulus"}
        self._unknown(row, f"{where}.", names)
        action = str(row.get("action") or "replace").lower()
        if action not in ACTIONS:
            raise ConfigurationError(f'{where}: unknown relabel action "{action}"')
        rule = Rule(
            action=action,
            source_labels=tuple(map(str, _list(row.get("source_labels"), f"{where}.source_labels"))),
            separator=str(row.get("separator", ";")),
            target_label=str(row.get("target_label") or ""),
            regex=str(row.get("regex", "(.*)")),
            replacement=str(row.get("replacement", "$1")),
            modulus=int(row.get("modulus") or 0),
        )
        try:
            pattern(rule.regex)
        except InvalidPattern as error:
            raise ConfigurationError(f"{where}.regex: {error}") from None
        if action in ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal") and not rule.target_label:
            raise ConfigurationError(f"{where}: relabel configuration for {action} action requires 'target_label' value")
        if action == "hashmod" and not rule.modulus:
            raise ConfigurationError(f"{where}: relabel configuration for hashmod requires non-zero modulus")
        return rule


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is no mapping of names to values")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigurationError(f"{where} is no list")
    return value


def _texts(value: Any, where: str) -> dict[str, str]:
    return {str(name): str(each) for name, each in _mapping(value or {}, where).items()}


def _duration(row: Mapping[str, Any], name: str, where: str, default: int) -> int:
    if row.get(name) is None:
        return default
    try:
        return duration(str(row[name]))
    except ValueError as error:
        raise ConfigurationError(f"{where}.{name}: {error}") from None
