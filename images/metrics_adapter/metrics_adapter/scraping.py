"""The pages of Pods: found, read side by side, and kept so that rates can be told.

A Pod is read where its annotations say so (`prometheus.io/scrape`, `/port`, `/path`, `/scheme`), or else at a port that it calls
`metrics` or `http`. It is read when somebody asks about it, and then every few seconds as long as somebody asks now and then.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from metrics_adapter import exposition, series
from metrics_adapter.cluster import Cluster, ClusterError, Object
from metrics_adapter.selectors import Matcher
from metrics_adapter.series import Reading, Value

log = logging.getLogger("metrics_adapter.scraping")

_SECONDS = 3.0
_LARGEST_PAGE = 8 * 1024 * 1024
# A page that is this young is taken as it is; Pods that were asked about are read again this often, for so long after the last question.
FRESH, INTERVAL, FOLLOWED = 2.0, 5.0, 300.0
# A rate is measured over at least this long, and at most that long.
SHORTEST, LONGEST = 4.0, 30.0
_PORTS = ("metrics", "http-metrics", "http")


def address(pod: Object) -> str | None:
    """The URL of the Pod's metrics; None where it has none, or does not run."""
    status = pod.get("status") or {}
    if status.get("phase") != "Running" or not status.get("podIP") or pod["metadata"].get("deletionTimestamp"):
        return None
    notes = pod["metadata"].get("annotations") or {}
    if notes.get("prometheus.io/scrape") == "false":
        return None
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or []]
    port: Any = notes.get("prometheus.io/port")
    if port is None:
        named = {each.get("name"): each["containerPort"] for each in ports}
        port = next((named[name] for name in _PORTS if name in named), None)
    if port is None and notes.get("prometheus.io/scrape") == "true" and ports:
        port = ports[0]["containerPort"]
    if port is None:
        return None
    host = f"[{status['podIP']}]" if ":" in status["podIP"] else status["podIP"]
    path = notes.get("prometheus.io/path", "/metrics")
    return f"{notes.get('prometheus.io/scheme', 'http')}://{host}:{port}/{path.lstrip('/')}"


@dataclass
class Followed:
    """What is known of one Pod."""

    url: str
    asked: float
    readings: list[Reading] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def metrics(self) -> dict[str, list[Value]]:
        if not self.readings:
            return {}
        now = self.readings[-1]
        older = [each for each in self.readings if SHORTEST <= now.time - each.time <= LONGEST]
        return series.metrics(now, older[0] if older else None)


class Scraper:
    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._pods: dict[str, Followed] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="scrape")
        # The address is a Pod's: never by a proxy.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def of(self, namespace: str, matching: Matcher) -> list[tuple[Object, dict[str, list[Value]]]]:
        """(Pod, its metrics) of the namespace's Pods whose labels match, read now. Pods that do not answer have none. Raises ClusterError."""
        listed = self._cluster.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        pods = [each for each in listed if matching(each["metadata"].get("labels") or {})]
        followed = [(pod, self._follow(pod)) for pod in pods]
        list(self._workers.map(self._refresh, [each for _, each in followed if each is not None]))
        return [(pod, each.metrics()) for pod, each in followed if each is not None]

    def known(self) -> set[str]:
        """The names of all metrics that were seen."""
        with self._lock:
            every = list(self._pods.values())
        return {name for each in every for name in each.metrics()}

    def run(self, stop: threading.Event) -> None:
        """Reads the Pods that were asked about again and again, until `stop`."""
        while not stop.wait(INTERVAL):
            now = time.monotonic()
            with self._lock:
                self._pods = {uid: each for uid, each in self._pods.items() if now - each.asked < FOLLOWED}
                every = list(self._pods.values())
            list(self._workers.map(self._refresh, every))

    def _follow(self, pod: Object) -> Followed | None:
        url, uid = address(pod), pod["metadata"]["uid"]
        if url is None:
            return None
        with self._lock:
            found = self._pods.get(uid)
            if found is None or found.url != url:
                found = self._pods[uid] = Followed(url, 0.0)
            found.asked = time.monotonic()
            return found

    def _refresh(self, of: Followed) -> None:
        with of.lock:
            now = time.monotonic()
            if of.readings and now - of.readings[-1].time < FRESH:
                return
            samples = self._read(of.url)
            if samples is None:
                of.readings = []
                return
            of.readings = [*(each for each in of.readings if now - each.time <= LONGEST), Reading(now, tuple(samples))]

    def _read(self, url: str) -> list[exposition.Sample] | None:
        try:
            with self._opener.open(urllib.request.Request(url, headers={"User-Agent": "metrics-adapter"}), timeout=_SECONDS) as response:
                page = response.read(_LARGEST_PAGE)
        except (OSError, ValueError, urllib.error.URLError) as error:
            log.info("%s: %s", url, error)
            return None
        return exposition.parse(page.decode("utf-8", "replace"))


__all__ = ["ClusterError", "Followed", "Scraper", "address"]
