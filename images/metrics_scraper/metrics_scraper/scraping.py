"""Scraping: targets from discovery and relabelling, a loop for each, and what a scrape leaves in the storage.

Every scrape adds `up` and its kin; a series that is missing from a scrape, all series of a scrape that failed and of a target that went away get
a mark of their end, so that queries do not see them any longer. https://prometheus.io/docs/concepts/jobs_instances/
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp

from metrics_scraper import exposition
from metrics_scraper.configuration import Job
from metrics_scraper.discovery import Pods
from metrics_scraper.labels import NAME, Labels, make
from metrics_scraper.numbers import STALE, duration_text
from metrics_scraper.relabelling import relabel
from metrics_scraper.storage import Storage

log = logging.getLogger("metrics_scraper.scraping")

_LARGEST_PAGE = 16 * 1024**2
# Prometheus keeps this many of the targets that relabelling dropped, for /api/v1/targets.
_DROPPED_KEPT = 200

# What every scrape adds of its own.
REPORTS = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added")

Clock = Callable[[], float]


@dataclass(frozen=True)
class Target:
    """Where to scrape, and the labels that its samples get. Two that agree in both are one target."""

    job: Job
    url: str
    labels: Labels
    discovered: Labels = field(compare=False)
    interval: int = 0
    timeout: int = 0


def target_of(job: Job, discovered: Mapping[str, str]) -> Target | None:
    """The target that a job's relabelling makes of discovered labels; None where it drops it or leaves no address."""
    before = {
        "job": job.name, "__scheme__": job.scheme, "__metrics_path__": job.path, "__scrape_interval__": duration_text(job.interval),
        "__scrape_timeout__": duration_text(job.timeout), **{f"__param_{name}": values[0] for name, values in job.params.items() if values},
        **discovered,
    }  # fmt: skip
    after = relabel(before, job.relabel)
    if after is None or not (address := after.get("__address__", "")):
        return None
    query = {name: list(values) for name, values in job.params.items()}
    for name, value in after.items():
        if name.startswith("__param_"):
            query[name.removeprefix("__param_")] = [value, *query.get(name.removeprefix("__param_"), [])[1:]]
    scheme = after.get("__scheme__", "http")
    url = f"{scheme}://{address}{after.get('__metrics_path__', '')}"
    if query:
        url += "?" + urlencode(query, doseq=True)
    labels = {name: value for name, value in after.items() if not name.startswith("__")}
    labels.setdefault("instance", address)
    return Target(job, url, make(labels), make(before), job.interval, job.timeout)


class Scrape:
    """The loop of one target, and how its last scrape went."""

    def __init__(self, target: Target, storage: Storage, session: aiohttp.ClientSession, clock: Clock = time.time):
        self.target = target
        self.health = "unknown"
        self.error = ""
        self.last = 0.0
        self.seconds = 0.0
        self.metadata: dict[str, tuple[str, str]] = {}
        self._storage = storage
        self._session = session
        self._clock = clock
        self._own = dict(target.labels)
        # The series of the scrape before, without those whose page had times of its own.
        self._before: set[Labels] = set()
        # What relabelling makes of a line of the page, which is the same at every scrape.
        self._made: dict[tuple[str, tuple[tuple[str, str], ...]], Labels | None] = {}

    async def run(self) -> None:
        """Scrapes for ever, at whole intervals from a moment that is the target's own, so that not all are asked at once."""
        interval = self.target.interval / 1000
        digest = hashlib.blake2b(repr((self.target.url, self.target.labels)).encode(), digest_size=8).digest()
        offset = int.from_bytes(digest, "big") / 2**64 * interval
        # The first look comes at once: whoever starts to observe waits for no interval.
        await self.once(round(self._clock() * 1000))
        while True:
            due = self._clock() + (offset - self._clock()) % interval
            if due - self.last < 0.3 * interval:
                due += interval
            await asyncio.sleep(max(0.0, due - self._clock()))
            await self.once(round(due * 1000))

    async def once(self, moment: int) -> None:
        """One scrape, told under the time `moment` (milliseconds)."""
        began = time.monotonic()
        try:
            page, self.error = exposition.read(await self._page()), ""
        except (aiohttp.ClientError, OSError, TimeoutError, exposition.InvalidExposition, UnicodeDecodeError) as problem:
            page, self.error = None, _words(problem, self.target)
        self.seconds, self.last = time.monotonic() - began, moment / 1000
        health = "up" if page is not None else "down"
        if health != self.health:
            log.info("target is %s url=%s labels=%s %s", health, self.target.url, dict(self.target.labels), self.error)
        self.health = health
        self._keep(page, moment)

    async def _page(self) -> str:
        wait = aiohttp.ClientTimeout(total=self.target.timeout / 1000)
        headers = {
            "Accept": exposition.ACCEPT,
            "User-Agent": "metrics-scraper",
            "X-Prometheus-Scrape-Timeout-Seconds": str(self.target.timeout / 1000),
        }
        async with self._session.get(self.target.url, headers=headers, timeout=wait) as reply:
            if reply.status != 200:
                raise exposition.InvalidExposition(f"server returned HTTP status {reply.status} {reply.reason}")
            body = bytearray()
            async for part in reply.content.iter_any():
                body += part
                if len(body) > _LARGEST_PAGE:
                    raise exposition.InvalidExposition(f"the page is larger than {_LARGEST_PAGE // 1024**2} MiB")
            return body.decode()

    def _keep(self, page: exposition.Page | None, moment: int) -> None:
        now: set[Labels] = set()
        added = kept = 0
        for name, labels, value, own_time in page.samples if page else ():
            series = self._labels(name, labels)
            if series is None:
                continue
            kept += 1
            when = own_time if own_time is not None and self.target.job.honor_timestamps else moment
            if own_time is None or not self.target.job.honor_timestamps:
                added += series not in self._before and series not in now
                now.add(series)
            self._storage.append(series, when, value)
        self._end(self._before - now, moment)
        self._before = now
        if page:
            self.metadata = page.metadata
        if len(self._made) > 4 * len(now) + 100:
            self._made.clear()
        report = (float(page is not None), self.seconds, float(len(page.samples) if page else 0), float(kept), float(added))
        for name, value in zip(REPORTS, report, strict=True):
            self._storage.append(make({**self._own, NAME: name}), moment, value)

    def _labels(self, name: str, labels: Mapping[str, str]) -> Labels | None:
        """A sample's labels together with its target's; one that both have is renamed, `exported_…`, unless the page is to be believed."""
        key = (name, tuple(labels.items()))
        if key in self._made:
            return self._made[key]
        found = {NAME: name, **{each: value for each, value in labels.items() if value}}
        for each, value in self._own.items():
            if each in found and self.target.job.honor_labels:
                continue
            if each in found:
                renamed = f"exported_{each}"
                while renamed in found or renamed in self._own:
                    renamed = f"exported_{renamed}"
                found[renamed] = found[each]
            found[each] = value
        after = relabel(found, self.target.job.metric_relabel) if self.target.job.metric_relabel else found
        self._made[key] = make(after) if after and after.get(NAME) else None
        return self._made[key]

    def _end(self, series: Iterable[Labels], moment: int) -> None:
        for each in series:
            self._storage.append(each, moment, STALE)

    def end(self, moment: int) -> None:
        """The target is gone: nothing of it is seen after `moment`."""
        self._end(self._before, moment)
        if self.last:
            self._end((make({**self._own, NAME: name}) for name in REPORTS), moment)
        self._before = set()


def _words(problem: Exception, target: Target) -> str:
    if isinstance(problem, TimeoutError):
        return f'Get "{target.url}": context deadline exceeded: no whole answer within {duration_text(target.timeout)}'
    if isinstance(problem, aiohttp.ClientConnectorError):
        why = os.strerror(problem.os_error.errno).lower() if problem.os_error.errno else str(problem.os_error)
        return f'Get "{target.url}": dial tcp {problem.host}:{problem.port}: connect: {why}'
    if isinstance(problem, exposition.InvalidExposition):
        return str(problem)
    return f'Get "{target.url}": {problem or type(problem).__name__}'


class Scraper:
    """All targets of all jobs: starts a loop for one that appears and ends that of one that goes."""

    def __init__(self, storage: Storage, clock: Clock = time.time):
        self.storage = storage
        self.scrapes: dict[Target, Scrape] = {}
        self.dropped: dict[str, list[Labels]] = {}
        self._clock = clock
        self._loops: dict[Target, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=False), auto_decompress=True)

    def set_targets(self, jobs: Iterable[Job], pods: Mapping[str, Pods]) -> None:
        """What there is to scrape from now on. `pods` are what each namespace's discovery has found."""
        assert self._session is not None
        wanted: dict[Target, None] = {}
        self.dropped = {}
        for job in jobs:
            for discovered in _discovered(job, pods):
                target = target_of(job, discovered)
                if target is None:
                    self.dropped.setdefault(job.name, []).append(make(discovered))
                else:
                    wanted.setdefault(target)
        for target in [each for each in self.scrapes if each not in wanted]:
            self._loops.pop(target).cancel()
            self.scrapes.pop(target).end(round(self._clock() * 1000))
            log.info("target is gone url=%s labels=%s", target.url, dict(target.labels))
        for target in wanted:
            if target not in self.scrapes:
                scrape = self.scrapes[target] = Scrape(target, self.storage, self._session, self._clock)
                self._loops[target] = asyncio.create_task(scrape.run(), name=target.url)
                self._loops[target].add_done_callback(_told)

    async def stop(self) -> None:
        for loop in self._loops.values():
            loop.cancel()
        await asyncio.gather(*self._loops.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def dropped_shown(self) -> list[tuple[str, Labels]]:
        return [(job, labels) for job, found in self.dropped.items() for labels in found][:_DROPPED_KEPT]


def _told(loop: asyncio.Task[None]) -> None:
    if not loop.cancelled() and (problem := loop.exception()) is not None:
        log.error("a scrape loop ended url=%s", loop.get_name(), exc_info=problem)


def _discovered(job: Job, pods: Mapping[str, Pods]) -> Iterable[Mapping[str, str]]:
    for static in job.static:
        for address in static.targets:
            yield {"__address__": address, **static.labels}
    for discovery in job.discoveries:
        for namespace in discovery.namespaces or ("",):
            for group in pods[namespace].groups.values() if namespace in pods else ():
                yield from group
