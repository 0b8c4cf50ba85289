"""Prometheus' HTTP API: the paths, the JSON, the error types and status codes. https://prometheus.io/docs/prometheus/latest/querying/api/"""

from __future__ import annotations

import json
import logging
import resource
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from metrics_scraper import numbers
from metrics_scraper.configuration import ConfigurationError
from metrics_scraper.labels import Labels, get
from metrics_scraper.promql import InvalidType, ParseError, QueryError, QueryTimeout, Result, nodes, parse
from metrics_scraper.rules import Alert, Group, Rule, RuleFileError
from metrics_scraper.service import Service

log = logging.getLogger("metrics_scraper.web")

_SERVICE = web.AppKey("service", Service)
_MOST_POINTS = 11_000
_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "internal": 500, "not_found": 404}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An answer with an error: `kind` is one of Prometheus' error types."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class _Parameters:
    """The parameters of a request, from its address and, for POST, its form."""

    def __init__(self, pairs: Iterable[tuple[str, str]]):
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    @classmethod
    async def of(cls, request: web.Request) -> _Parameters:
        form = await request.post() if request.method == "POST" else {}
        return cls([*((name, str(value)) for name, value in form.items()), *request.query.items()])

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def first(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]

    def read(self, name: str, reader: Callable[[str], int], default: int | None = None) -> int:
        """A time, step or number; the default where it is not given. Raises ApiError, as for one that must be given."""
        value = self.first(name)
        if not value and default is not None:
            return default
        try:
            return reader(value)
        except ValueError as error:
            raise ApiError("bad_data", f'invalid parameter "{name}": {error}') from None


def _json(data: Any, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = warnings
    return web.Response(text=json.dumps(body, ensure_ascii=False, separators=(",", ":")), status=status, content_type="application/json")


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        kind, said = error.kind, str(error)
    except QueryError as error:
        kind, said = "execution", str(error)
    except QueryTimeout as error:
        kind, said = "timeout", str(error)
    except web.HTTPException as error:
        return web.Response(text=f"{error.status} {error.reason}\n", status=error.status)
    except Exception as error:
        log.exception("request failed path=%s", request.path_qs)
        kind, said = "internal", f"{type(error).__name__}: {error}"
    body = {"status": "error", "errorType": kind, "error": said}
    return web.Response(text=json.dumps(body, ensure_ascii=False), status=_STATUS[kind], content_type="application/json")


def _point(time: int, value: float) -> list[Any]:
    return [numbers.seconds(time), numbers.text(value)]


def _result(result: Result, limit: int = 0) -> Any:
    """`{"resultType": …, "result": …}`, with no more than `limit` series where one is given."""
    value: Any = result.value
    if result.type in (nodes.VECTOR, nodes.MATRIX) and limit:
        value = value[:limit]
    if result.type == nodes.VECTOR:
        shown: Any = [{"metric": dict(labels), "value": _point(result.time, number)} for labels, number in value]
    elif result.type == nodes.MATRIX:
        shown = [{"metric": dict(labels), "values": [_point(*point) for point in points]} for labels, points in value]
    elif result.type == nodes.STRING:
        shown = [numbers.seconds(result.time), value]
    else:
        shown = _point(result.time, value)
    return {"resultType": result.type, "result": shown}


def _now(service: Service) -> int:
    return round(service.clock() * 1000)


async def query(request: web.Request) -> web.StreamResponse:
    service, given = request.app[_SERVICE], await _Parameters.of(request)
    time = given.read("time", numbers.time, _now(service))
    limit = given.read("limit", int, 0)
    result = _answered(lambda: service.engine.instant(given.first("query"), time))
    return _json(_result(result, limit))


async def query_range(request: web.Request) -> web.StreamResponse:
    service, given = request.app[_SERVICE], await _Parameters.of(request)
    start, end, step = given.read("start", numbers.time), given.read("end", numbers.time), given.read("step", numbers.step)
    limit = given.read("limit", int, 0)
    if end < start:
        raise ApiError("bad_data", 'invalid parameter "end": end timestamp must not be before start time')
    if step <= 0:
        raise ApiError(
            "bad_data", 'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'
        )
    if (end - start) // step > _MOST_POINTS:
        raise ApiError(
            "bad_data", "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
        )
    result = _answered(lambda: service.engine.range(given.first("query"), start, end, step))
    return _json(_result(result, limit))


def _answered(evaluate: Callable[[], Result]) -> Result:
    try:
        return evaluate()
    except (ParseError, InvalidType) as error:
        raise ApiError("bad_data", f'invalid parameter "query": {error}') from None


def _selected(service: Service, given: _Parameters, required: bool) -> list[Labels]:
    """The label sets of all series that the request's selectors name and that have a sample in its time."""
    start, end = given.read("start", numbers.time, 0), given.read("end", numbers.time, _now(service) + 60_000)
    if end < start:
        raise ApiError("bad_data", 'invalid parameter "end": end timestamp must not be before start timestamp')
    if required and not given.all("match[]"):
        raise ApiError("bad_data", "no match[] parameter provided")
    found: dict[Labels, None] = {}
    for text in given.all("match[]"):
        try:
            node = parse(text)
        except ParseError as error:
            raise ApiError("bad_data", f'invalid parameter "match[]": {error}') from None
        if not isinstance(node, nodes.Selector):
            raise ApiError("bad_data", f'invalid parameter "match[]": parse error: expected type vector selector, got {node.type}')
        found |= {series.labels: None for series in service.storage.select(node.matchers) if len(series.between(start, end)[0])}
    if not given.all("match[]"):
        found = {series.labels: None for series in service.storage.all() if len(series.between(start, end)[0])}
    return list(found)


def _limited(found: list[Any], given: _Parameters) -> web.Response:
    limit = given.read("limit", int, 0)
    if limit and len(found) > limit:
        return _json(found[:limit], warnings=["results truncated due to limit"])
    return _json(found)


async def series(request: web.Request) -> web.StreamResponse:
    given = await _Parameters.of(request)
    return _limited([dict(labels) for labels in sorted(_selected(request.app[_SERVICE], given, required=True))], given)


async def label_names(request: web.Request) -> web.StreamResponse:
    given = await _Parameters.of(request)
    return _limited(sorted({name for labels in _selected(request.app[_SERVICE], given, required=False) for name, _ in labels}), given)


async def label_values(request: web.Request) -> web.StreamResponse:
    given, name = await _Parameters.of(request), request.match_info["name"]
    if not name.isidentifier() or not name.isascii():
        raise ApiError("bad_data", f'invalid label name: "{name}"')
    found = {get(labels, name) for labels in _selected(request.app[_SERVICE], given, required=False)}
    return _limited(sorted(found - {""}), given)


def _rfc3339(milliseconds: float) -> str:
    if not milliseconds:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def targets(request: web.Request) -> web.StreamResponse:
    service, given = request.app[_SERVICE], await _Parameters.of(request)
    state, pool = given.first("state", "any").lower(), given.first("scrapePool")
    active = [
        {
            "discoveredLabels": dict(target.discovered),
            "labels": dict(target.labels),
            "scrapePool": target.job.name,
            "scrapeUrl": target.url,
            "globalUrl": target.url,
            "lastError": scrape.error,
            "lastScrape": _rfc3339(scrape.last * 1000),
            "lastScrapeDuration": scrape.seconds,
            "health": scrape.health,
            "scrapeInterval": numbers.duration_text(target.interval),
            "scrapeTimeout": numbers.duration_text(target.timeout),
        }
        for target, scrape in sorted(service.scraper.scrapes.items(), key=lambda each: (each[0].job.name, each[0].labels))
        if state in ("any", "active") and pool in ("", target.job.name)
    ]
    dropped = [
        {"discoveredLabels": dict(labels), "scrapePool": job}
        for job, labels in service.scraper.dropped_shown()
        if state in ("any", "dropped") and pool in ("", job)
    ]
    counts = (
        {job.name: len(service.scraper.dropped.get(job.name, [])) for job in service.configuration.jobs} if service.configuration else {}
    )
    return _json({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})


async def metadata(request: web.Request) -> web.StreamResponse:
    service, given = request.app[_SERVICE], await _Parameters.of(request)
    wanted = given.first("metric")
    found: dict[str, list[dict[str, str]]] = {}
    for scrape in service.scraper.scrapes.values():
        for name, (kind, words) in scrape.metadata.items():
            entry = {"type": kind, "help": words, "unit": ""}
            if wanted in ("", name) and entry not in found.setdefault(name, []):
                found[name].append(entry)
    return _json({name: entries for name, entries in found.items() if entries})


def _scientific(value: float) -> str:
    """A number as alerts show it: `2.5e+01`."""
    if value != value or value in (float("inf"), float("-inf")):
        return numbers.text(value)
    digits, _, exponent = f"{value:.17e}".partition("e")
    for places in range(18):
        digits, _, exponent = f"{value:.{places}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    return f"{digits}e{exponent}"


def _alert(alert: Alert) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": _rfc3339(alert.active_at),
        "value": _scientific(alert.value),
    }
    if alert.keep_firing_since:
        shown["keepFiringSince"] = _rfc3339(alert.keep_firing_since)
    return shown


def _rule(rule: Rule) -> dict[str, Any]:
    about = rule.definition
    common = {
        "health": rule.health,
        "evaluationTime": rule.seconds,
        "lastEvaluation": _rfc3339(rule.evaluated_at),
        **({"lastError": rule.error} if rule.error else {}),
    }
    if about.record:
        labels = {"labels": dict(about.labels)} if about.labels else {}
        return {"name": about.record, "query": about.expr, **labels, **common, "type": "recording"}
    return {
        "state": rule.state,
        "name": about.alert,
        "query": about.expr,
        "duration": numbers.seconds(about.hold),
        "keepFiringFor": numbers.seconds(about.keep_firing),
        "labels": dict(about.labels),
        "annotations": dict(about.annotations),
        "alerts": [_alert(alert) for alert in rule.active],
        **common,
        "type": "alerting",
    }


def _group(group: Group, kind: str) -> dict[str, Any]:
    rules = [rule for rule in group.rules if not kind or (kind == "alert") == bool(rule.definition.alert)]
    return {
        "name": group.definition.name,
        "file": group.definition.file,
        "rules": [_rule(rule) for rule in rules],
        "interval": numbers.seconds(group.definition.interval),
        "limit": group.definition.limit,
        "evaluationTime": group.seconds,
        "lastEvaluation": _rfc3339(group.evaluated_at),
    }


async def rules(request: web.Request) -> web.StreamResponse:
    service, given = request.app[_SERVICE], await _Parameters.of(request)
    kind = given.first("type").lower()
    if kind not in ("", "alert", "record"):
        raise ApiError("bad_data", f'invalid parameter "type": not supported value "{kind}"')
    groups = [_group(group, kind) for group in service.rules.groups]
    return _json({"groups": [group for group in groups if group["rules"] or not kind]})


async def alerts(request: web.Request) -> web.StreamResponse:
    service = request.app[_SERVICE]
    found = [alert for group in service.rules.groups for rule in group.rules if rule.definition.alert for alert in rule.active]
    return _json({"alerts": [_alert(alert) for alert in found]})


async def status_config(request: web.Request) -> web.StreamResponse:
    found = request.app[_SERVICE].configuration
    return _json({"yaml": found.text if found else ""})


async def status_runtime(request: web.Request) -> web.StreamResponse:
    service = request.app[_SERVICE]
    return _json(
        {
            "startTime": _rfc3339(service.started * 1000),
            "reloadConfigSuccess": not service.reload_error,
            "reloadConfigError": service.reload_error,
            "lastConfigTime": _rfc3339(service.reloaded_at * 1000),
            "storageRetention": f"{numbers.duration_text(service.settings.retention_time)} or {service.settings.retention_size // 1024**2}MiB",
        }
    )


async def status_build(request: web.Request) -> web.StreamResponse:
    return _json({"version": "metrics-scraper", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""})


async def ready(request: web.Request) -> web.StreamResponse:
    return web.Response(text="metrics_scraper is Ready.\n")


async def healthy(request: web.Request) -> web.StreamResponse:
    return web.Response(text="metrics_scraper is Healthy.\n")


async def reload(request: web.Request) -> web.StreamResponse:
    service = request.app[_SERVICE]
    if not service.settings.lifecycle:
        return web.Response(text="Lifecycle API is not enabled.", status=403)
    try:
        service.reload()
    except (ConfigurationError, RuleFileError) as problem:
        return web.Response(text=f"failed to reload config: {problem}\n", status=500)
    return web.Response(text="")


async def own_metrics(request: web.Request) -> web.StreamResponse:
    """What this server tells of itself, under the names that Prometheus has for it."""
    service = request.app[_SERVICE]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gauges: Mapping[str, tuple[str, float]] = {
        "prometheus_tsdb_head_series": ("Series in memory.", len(service.storage)),
        "prometheus_config_last_reload_successful": (
            "1 where the files that are there are the ones that are used.",
            float(not service.reload_error),
        ),
        "metrics_scraper_samples": ("Samples in memory.", service.storage.samples),
        "metrics_scraper_samples_dropped": (
            "Samples that went before their time, to stay within the size.",
            service.storage.dropped_by_size,
        ),
        "process_start_time_seconds": ("When the process began.", service.started),
        "process_cpu_seconds_total": ("CPU time used.", usage.ru_utime + usage.ru_stime),
        "process_peak_resident_memory_bytes": ("The most memory that was resident at once.", peak),
    }
    lines = []
    for name, (words, value) in gauges.items():
        lines += [
            f"# HELP {name} {words}",
            f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}",
            f"{name} {numbers.text(value)}",
        ]
    return web.Response(text="\n".join([*lines, ""]), content_type="text/plain", charset="utf-8")


async def about(request: web.Request) -> web.StreamResponse:
    served = sorted({route.resource.canonical for route in request.app.router.routes() if route.resource is not None} - {"/"})
    return web.Response(text="metrics_scraper: Prometheus' HTTP API for the course, without its pages.\n\n" + "\n".join(served) + "\n")


def application(service: Service) -> web.Application:
    app = web.Application(middlewares=[_errors], client_max_size=4 * 1024**2)
    app[_SERVICE] = service
    for path, handler in (("query", query), ("query_range", query_range), ("series", series), ("labels", label_names)):
        app.router.add_route("GET", f"/api/v1/{path}", handler)
        app.router.add_route("POST", f"/api/v1/{path}", handler)
    for path, handler in (
        ("/api/v1/label/{name}/values", label_values), ("/api/v1/targets", targets), ("/api/v1/metadata", metadata), ("/api/v1/rules", rules),
        ("/api/v1/alerts", alerts), ("/api/v1/status/config", status_config), ("/api/v1/status/runtimeinfo", status_runtime),
        ("/api/v1/status/buildinfo", status_build), ("/-/ready", ready), ("/-/healthy", healthy), ("/metrics", own_metrics), ("/", about),
    ):  # fmt: skip
        app.router.add_get(path, handler)
    app.router.add_route("POST", "/-/reload", reload)
    app.router.add_route("PUT", "/-/reload", reload)
    return app
