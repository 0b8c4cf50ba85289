"""The server as a whole: configuration, discovery, scraping, storage and rules, and what happens when a file changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metrics_scraper import configuration, rules
from metrics_scraper.configuration import Configuration, ConfigurationError
from metrics_scraper.discovery import ApiServer, Pods
from metrics_scraper.promql import LATEST, Engine, Version
from metrics_scraper.rules import GroupDefinition, RuleFileError, Rules
from metrics_scraper.scraping import Scraper
from metrics_scraper.storage import Storage

log = logging.getLogger("metrics_scraper")

_TRIM_EVERY = 15.0
# Changes of Pods come in bursts: targets are made anew once for all that come in this time.
_GATHER = 0.1


@dataclass(frozen=True)
class Settings:
    """The command line's flags, which have Prometheus' own names and meanings. Times are milliseconds, sizes bytes."""

    config_file: Path = Path("/etc/prometheus/prometheus.yml")
    listen: str = "0.0.0.0:9090"
    retention_time: int = 2 * 3_600_000
    retention_size: int = 64 * 1024**2
    lookback: int = 5 * 60_000
    query_timeout: int = 120_000
    lifecycle: bool = False
    reload_interval: int = 0


class Service:
    """`version` is the Prometheus whose answers are given; `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, version: Version = LATEST, clock: Callable[[], float] = time.time, api: ApiServer | None = None):
        self.settings = settings
        self.clock = clock
        self.storage = Storage(settings.retention_time, settings.retention_size)
        self.engine = Engine(self.storage, settings.lookback, timeout=settings.query_timeout, version=version)
        self.scraper = Scraper(self.storage, clock)
        self.rules = Rules(self.engine, self.storage, clock)
        self.started = clock()
        self.configuration: Configuration | None = None
        # What the last reload said; empty where it went well.
        self.reload_error = ""
        self.reloaded_at = 0.0
        self._api = api or ApiServer()
        self._pods: dict[str, Pods] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._targets_due: asyncio.TimerHandle | None = None
        # What the last reload read, and the configuration that named it, whether it could be used or not.
        self._read = ""
        self._last: Configuration | None = None

    async def start(self) -> None:
        """Raises ConfigurationError and RuleFileError where the files cannot be used: there is no old state to keep."""
        await self.scraper.start()
        self.reload()
        self._tasks.append(asyncio.create_task(self._trim()))
        if self.settings.reload_interval:
            self._tasks.append(asyncio.create_task(self._follow_files()))

    async def stop(self) -> None:
        for task in (*self._tasks, *self._followers.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._followers.values(), return_exceptions=True)
        await self.rules.stop()
        await self.scraper.stop()

    def reload(self) -> None:
        """Reads the files anew; all of them are used, or none. Raises ConfigurationError, RuleFileError."""
        self._last = self.configuration
        self._read = self._fingerprint(self._last)
        try:
            found = configuration.load(self.settings.config_file)
            # Taken before the rule files are read: a change in between is seen at the next look.
            self._last = found
            self._read = self._fingerprint(found)
            groups: list[GroupDefinition] = []
            for path in found.rule_paths(self.settings.config_file.parent):
                groups += rules.read(path, found.evaluation_interval)
        except (ConfigurationError, RuleFileError) as problem:
            self.reload_error = str(problem)
            raise
        for name in found.told:
            log.warning("%s: %s is not known to this server and has no effect", self.settings.config_file, name)
        self.reload_error, self.reloaded_at, self.configuration = "", self.clock(), found
        self.engine.subquery_step = found.evaluation_interval
        self._follow_pods(found)
        self._set_targets()
        self.rules.set(groups, found.external_labels)
        log.info("configuration loaded file=%s jobs=%d rule_groups=%d", self.settings.config_file, len(found.jobs), len(groups))

    def _follow_pods(self, found: Configuration) -> None:
        """Follows the Pods of the namespaces that jobs ask for, and no others any longer."""
        wanted = {name for job in found.jobs for each in job.discoveries for name in each.namespaces or ("",)}
        if wanted and not self._api.there:
            log.warning("kubernetes_sd_configs has no effect: this is no Pod with a ServiceAccount")
            wanted = set()
        for name in self._followers.keys() - wanted:
            self._followers.pop(name).cancel()
            del self._pods[name]
        for name in wanted - self._followers.keys():
            self._pods[name] = Pods(self._api, name, self._pods_changed)
            self._followers[name] = asyncio.create_task(self._pods[name].run())

    def _pods_changed(self) -> None:
        if self._targets_due is None:
            self._targets_due = asyncio.get_running_loop().call_later(_GATHER, self._set_targets)

    def _set_targets(self) -> None:
        self._targets_due = None
        if self.configuration is not None:
            self.scraper.set_targets(self.configuration.jobs, self._pods)

    def _fingerprint(self, found: Configuration | None) -> str:
        """The text of prometheus.yml and of the rule files that it names, as far as they can be read."""
        texts = []
        for path in (self.settings.config_file, *(found.rule_paths(self.settings.config_file.parent) if found else ())):
            try:
                texts.append(f"{path}\n{path.read_text()}")
            except (OSError, UnicodeDecodeError) as error:
                texts.append(f"{path}\n{error}")
        return "\n".join(texts)

    async def _follow_files(self) -> None:
        while True:
            await asyncio.sleep(self.settings.reload_interval / 1000)
            if self._fingerprint(self._last) == self._read:
                continue
            try:
                self.reload()
            except (ConfigurationError, RuleFileError) as problem:
                log.error("the files changed and cannot be used; what was loaded before goes on: %s", problem)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_EVERY)
            self.storage.trim(round(self.clock() * 1000))
