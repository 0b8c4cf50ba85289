"""Asking the cluster's monitoring: Prometheus' HTTP API, through the API server's proxy, so that no port has to be forwarded.

Whoever answers behind the Service, Prometheus or the course's metrics scraper, answers the same.
https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab_checks.engine.api import Api

NAMESPACE = "monitoring"
SERVICE = "prometheus"
PORT = 9090
APPLY = 'kubectl apply -k "$AI_LAB_COURSE/manifests/base/monitoring"'
NAME = "__name__"


class MetricsError(Exception):
    """Monitoring did not answer a question; the message says why, `next` what to do about it."""

    def __init__(self, what: str, next: str = ""):
        super().__init__(what)
        self.next = next


class NoMonitoring(MetricsError):
    """There is no monitoring on the cluster."""


class NotAnswering(MetricsError):
    """Monitoring is there and does not answer, or not yet."""


class QueryRefused(MetricsError):
    """The query itself is at fault: it cannot be read, or not be evaluated on these series. The message is the server's own."""


@dataclass(frozen=True)
class Sample:
    """One value of an instant query. `time` is in seconds since 1970; `labels` has the metric's name under `__name__` where it has one."""

    labels: Mapping[str, str]
    value: float
    time: float

    @property
    def name(self) -> str:
        return self.labels.get(NAME, "")


@dataclass(frozen=True)
class Series:
    """One line of a range query: `points` are (seconds since 1970, value)."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Alert:
    """`state` is pending or firing; `active_at` is when it began, as the API writes times."""

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    active_at: str
    value: float


@dataclass(frozen=True)
class Rule:
    """A rule as it is loaded. `kind` is alerting or recording; `state` (inactive, pending, firing) and `hold` (seconds) are an alerting rule's."""

    name: str
    kind: str
    query: str
    group: str
    health: str
    error: str = ""
    state: str = ""
    hold: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class Metrics:
    """Questions to the monitoring in `namespace`. All of them raise MetricsError, and ApiUnreachable where the API server does not answer."""

    def __init__(self, api: Api, namespace: str = NAMESPACE, service: str = SERVICE, port: int = PORT):
        self._api = api
        self._namespace = namespace
        self._service = service
        self._port = port

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """The samples at one moment, `at` seconds since 1970, or now; a scalar is one sample without labels."""
        found = self._ask("query", {"query": promql, "time": at})
        kind, result = found["resultType"], found["result"]
        if kind == "scalar":
            return [Sample({}, float(result[1]), float(result[0]))]
        if kind != "vector":
            raise QueryRefused(
                f"{promql} gives a {'range of samples' if kind == 'matrix' else 'text'} and no single values",
                "put a function such as rate( ) around the range, or take the [ ] away",
            )
        return [Sample(each["metric"], float(each["value"][1]), float(each["value"][0])) for each in result]

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The values from `start` to `end` (seconds since 1970), one every `step` seconds."""
        found = self._ask("query_range", {"query": promql, "start": start, "end": end, "step": step})
        return [Series(each["metric"], [(float(when), float(value)) for when, value in each["values"]]) for each in found["result"]]

    def alerts(self) -> list[Alert]:
        """The alerts that are pending or firing."""
        return [
            Alert(
                each["labels"].get("alertname", ""),
                each["state"],
                each["labels"],
                each["annotations"],
                each["activeAt"],
                float(each["value"]),
            )
            for each in self._ask("alerts")["alerts"]
        ]

    def rules(self) -> list[Rule]:
        """The rules that are loaded. A rule file that is broken is not: the one before it still counts."""
        return [
            Rule(
                each["name"], each["type"], each["query"], group["name"], each["health"], each.get("lastError", ""), each.get("state", ""),
                float(each.get("duration", 0)), each.get("labels") or {}, each.get("annotations") or {},
            )
            for group in self._ask("rules")["groups"]
            for each in group["rules"]
        ]  # fmt: skip

    def reload_error(self) -> str:
        """What is wrong with the files that were read last; empty where they are in use. Prometheus says that something is, ours what."""
        found = self._ask("status/runtimeinfo")
        if found["reloadConfigSuccess"]:
            return ""
        return str(found.get("reloadConfigError") or f"its log says what: kubectl -n {self._namespace} logs deployment/{self._service}")

    def _ask(self, what: str, given: Mapping[str, str | float | None] | None = None) -> Any:
        query = [(name, str(value)) for name, value in (given or {}).items() if value is not None]
        status, body = self._api.answer("services", f"{self._service}:{self._port}", self._namespace, f"api/v1/{what}", query)
        try:
            found = json.loads(body)
        except ValueError:
            found = {}
        if found.get("status") == "success":
            return found["data"]
        if found.get("status") == "error":
            raise QueryRefused(str(found["error"]))
        raise self._nobody(status, found)

    def _nobody(self, status: int, found: Mapping[str, Any]) -> MetricsError:
        """Why it was not monitoring that answered. `found` is the API server's own Status."""
        service = f"service/{self._service} in namespace {self._namespace}"
        if status == 404:
            return NoMonitoring(f"there is no {service}: nothing on this cluster collects metrics", APPLY)
        if status == 403:
            return NotAnswering(f"you may not ask {service}: {found.get('message', 'forbidden')}", "kubectl auth can-i get services/proxy")
        return NotAnswering(f"{service} does not answer (yet)", f"kubectl -n {self._namespace} get pods,endpointslices")
