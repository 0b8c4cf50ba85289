"""The metrics scraper by its parts: relabelling, prometheus.yml, discovery, scraping, rules, storage; and as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from metrics_scraper import configuration, discovery, exposition, rules, templating
from metrics_scraper.configuration import ConfigurationError, Job
from metrics_scraper.discovery import Pods
from metrics_scraper.labels import make, pattern
from metrics_scraper.numbers import STALE, duration, duration_text, is_stale, text
from metrics_scraper.promql import Engine, ParseError, QueryTimeout, parse
from metrics_scraper.relabelling import Rule as Relabel
from metrics_scraper.relabelling import relabel
from metrics_scraper.rules import Definition, Group, GroupDefinition, Rule, RuleFileError
from metrics_scraper.scraping import Scrape, target_of
from metrics_scraper.service import Service, Settings
from metrics_scraper.storage import Storage

from tests.images.conftest import IMAGES, Start
from tests.images.prometheus import Running
from tests.images.target import serving

MONITORING = IMAGES.parent / "manifests" / "base" / "monitoring"
UP = {"__name__": "up", "pod": "a"}

# Numbers


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (2.5, "2.5"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"),
        (1e-7, "1e-07"), (123456.789, "123456.789"), (float("nan"), "NaN"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (STALE, "NaN"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_the_http_api_writes_them(number: float, written: str) -> None:
    assert text(number) == written


@pytest.mark.parametrize(("words", "milliseconds"), [("15s", 15_000), ("1h30m", 5_400_000), ("500ms", 500), ("1d", 86_400_000), ("0", 0)])
def test_durations_are_read(words: str, milliseconds: int) -> None:
    assert duration(words) == milliseconds
    assert duration(duration_text(milliseconds)) == milliseconds


@pytest.mark.parametrize("words", ["", "5", "1m1h", "-5s", "5 s", "1.5h"])
def test_what_is_no_duration_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="not a valid duration"):
        duration(words)


def test_the_mark_of_an_end_is_told_from_a_measured_nan() -> None:
    storage = Storage()
    storage.append(make(UP), 1000, float("nan"))
    storage.append(make(UP), 2000, STALE)
    (series,) = storage.all()
    assert [is_stale(value) for value in series.values] == [False, True]
    assert list(series.between(0, 3000)[0]) == [1000]


# Relabelling


@pytest.mark.parametrize(
    ("rule", "after"),
    [
        (Relabel(source_labels=("a",), target_label="new"), {"a": "x", "b": "y/z", "new": "x"}),
        (Relabel(source_labels=("a", "b"), separator="-", regex="(.)-(.*)/.*", replacement="${2}$1", target_label="a"), {"a": "yx", "b": "y/z"}),
        (Relabel(source_labels=("a",), regex="nothing", target_label="b"), {"a": "x", "b": "y/z"}),
        (Relabel(target_label="b", replacement=""), {"a": "x"}),
        (Relabel(action="keep", source_labels=("a",), regex="x|y"), {"a": "x", "b": "y/z"}),
        (Relabel(action="keep", source_labels=("missing",), regex="x"), None),
        (Relabel(action="drop", source_labels=("a",), regex="x"), None),
        (Relabel(action="keepequal", source_labels=("a",), target_label="b"), None),
        (Relabel(action="dropequal", source_labels=("a",), target_label="a"), None),
        (Relabel(action="labelmap", regex="(a)", replacement="from_$1"), {"a": "x", "b": "y/z", "from_a": "x"}),
        (Relabel(action="labeldrop", regex="a"), {"b": "y/z"}),
        (Relabel(action="labelkeep", regex="a"), {"a": "x"}),
        (Relabel(action="uppercase", source_labels=("b",), target_label="b"), {"a": "x", "b": "Y/Z"}),
        (Relabel(action="lowercase", source_labels=("missing",), target_label="b"), {"a": "x"}),
        # What Prometheus makes of it: the last eight bytes of the MD5 sum of "x".
        (Relabel(action="hashmod", source_labels=("a",), target_label="shard", modulus=10), {"a": "x", "b": "y/z", "shard": "6"}),
    ],
    ids=lambda value: f"{value.action}-{value.source_labels}-{value.target_label}" if isinstance(value, Relabel) else "",
)  # fmt: skip
def test_a_relabelling_rule_does_what_prometheus_does(rule: Relabel, after: dict[str, str] | None) -> None:
    assert relabel({"a": "x", "b": "y/z"}, [rule]) == after


def test_a_pod_that_asks_for_it_is_scraped_by_the_courses_configuration() -> None:
    (job,) = configuration.load(MONITORING / "prometheus.yml").jobs
    pod: dict[str, Any] = {
        "metadata": {
            "name": "api-1",
            "namespace": "ai-platform",
            "uid": "1",
            "labels": {"app": "api", "app.kubernetes.io/part-of": "x"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/m"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "api", "controller": True}],
        },
        "spec": {
            "nodeName": "worker",
            "containers": [
                {"name": "server", "image": "api:v1", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 8081}]},
                {"name": "helper", "image": "helper:v1"},
            ],
        },
        "status": {
            "podIP": "10.244.1.5",
            "hostIP": "172.18.0.3",
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "server", "containerID": "containerd://1"}],
        },
    }
    found = discovery.targets(pod)
    assert [each["__address__"] for each in found] == ["10.244.1.5:8080", "10.244.1.5:8081", "10.244.1.5"]
    assert found[0]["__meta_kubernetes_pod_label_app_kubernetes_io_part_of"] == "x"
    assert found[0]["__meta_kubernetes_pod_controller_name"] == "api"
    targets = {target_of(job, each) for each in found}
    # Three ports, and the annotation names one: it is one target.
    assert [(target.url, dict(target.labels)) for target in targets if target] == [
        (
            "http://10.244.1.5:9000/m",
            {"job": "api", "instance": "10.244.1.5:9000", "namespace": "ai-platform", "node": "worker", "pod": "api-1"},
        )
    ]
    del pod["metadata"]["annotations"]["prometheus.io/scrape"]
    assert {target_of(job, each) for each in discovery.targets(pod)} == {None}
    del pod["status"]["podIP"]
    assert discovery.targets(pod) == []


# prometheus.yml


def test_fields_that_are_not_known_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "5s", "query_log_file": "x"},
                "remote_write": [],
                "scrape_configs": [
                    {"job_name": "a", "sample_limit": 5, "kubernetes_sd_configs": [{"role": "node"}, {"role": "pod", "selectors": []}]}
                ],
            }
        )
    )
    found = configuration.load(file)
    assert (found.jobs[0].interval, found.jobs[0].timeout) == (5000, 5000)
    assert found.told == (
        "remote_write",
        "global.query_log_file",
        "scrape_configs[0] (a): sample_limit",
        "scrape_configs[0] (a): kubernetes_sd_configs with role node",
        "scrape_configs[0] (a): kubernetes_sd_configs.selectors",
    )


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("a: [", "not YAML"),
        ("[]", "is no mapping"),
        ("global: {scrape_interval: often}", 'global.scrape_interval: not a valid duration string: "often"'),
        ("scrape_configs: [{}]", "job_name is empty"),
        ("scrape_configs: [{job_name: a}, {job_name: a}]", 'multiple scrape configs with job name "a"'),
        ("scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]", "timeout greater than scrape interval"),
        ("scrape_configs: [{job_name: a, relabel_configs: [{action: move}]}]", 'unknown relabel action "move"'),
        (
            "scrape_configs: [{job_name: a, relabel_configs: [{target_label: b, regex: '('}]}]",
            r"relabel_configs\[0\].regex: .*parsing regexp",
        ),
        ("scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [b]}]}]", "requires 'target_label'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_what_is_wrong(tmp_path: Path, written: str, says: str) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(written)
    with pytest.raises(ConfigurationError, match=says) as raised:
        configuration.load(file)
    assert str(file) in str(raised.value)


# Discovery


class _Api:
    """A small API server: what it lists, and the events that it sends to a watch."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.lists = 0
        self.url = ""
        self.refuse = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            self.refuse = False
            return web.json_response({"message": "pods is forbidden"}, status=403)
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response({"metadata": {"resourceVersion": str(self.lists)}, "items": self.pods})
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    def connect(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    def headers(self) -> dict[str, str]:
        return {}


def _pod(name: str, address: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team", "resourceVersion": "5"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"podIP": address},
    }


@pytest.fixture
async def api() -> AsyncIterator[_Api]:
    found = _Api()
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/team/pods", found.answer)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found
        found.events.put_nowait(None)


async def test_pods_are_listed_followed_and_listed_anew_when_a_watch_is_too_old(api: _Api) -> None:
    changed = asyncio.Event()
    api.pods = [_pod("a", "10.0.0.1")]
    api.refuse = True
    pods = Pods(api, "team", changed.set)  # type: ignore[arg-type]
    following = asyncio.create_task(pods.run())

    async def shows(*names: str) -> None:
        while sorted(pods.groups) != sorted(f"team/{name}" for name in names):
            await asyncio.wait_for(changed.wait(), 10)
            changed.clear()

    try:
        # Refused at first: told, and asked again.
        await shows("a")
        api.events.put_nowait({"type": "ADDED", "object": _pod("b", "10.0.0.2")})
        await shows("a", "b")
        api.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}})
        api.events.put_nowait({"type": "DELETED", "object": _pod("a", "10.0.0.1")})
        await shows("b")
        # A Pod that lost its address is no target, though it is still there.
        api.events.put_nowait({"type": "MODIFIED", "object": _pod("b", "")})
        await shows()
        api.pods = [_pod("c", "10.0.0.3")]
        api.events.put_nowait({"type": "ERROR", "object": {"kind": "Status", "code": 410}})
        api.events.put_nowait(None)
        await shows("c")
        assert api.lists == 2
    finally:
        following.cancel()


# Scraping


def test_a_page_is_read_with_its_names_as_they_stand_there() -> None:
    page = exposition.read(
        '# TYPE a_total counter\n# HELP a_total Says.\na_total 1\n# TYPE h histogram\nh_bucket{le="+Inf"} 2 1500\nh_sum 3\nh_count 2\nb +Inf\n'
    )
    assert [(name, dict(labels), value, when) for name, labels, value, when in page.samples] == [
        ("a_total", {}, 1.0, None),
        ("h_bucket", {"le": "+Inf"}, 2.0, 1500),
        ("h_sum", {}, 3.0, None),
        ("h_count", {}, 2.0, None),
        ("b", {}, float("inf"), None),
    ]
    assert page.metadata == {"a_total": ("counter", "Says."), "h": ("histogram", "")}


@pytest.mark.parametrize("page", ["a{", "<html>no metrics here</html>", "a one", 'a{b="c} 1'])
def test_a_page_that_is_no_exposition_is_told(page: str) -> None:
    with pytest.raises(exposition.InvalidExposition, match="not in Prometheus' text format"):
        exposition.read(page)


async def _scraped(page: str, **job: Any) -> dict[str, float]:
    """The samples that one scrape of a page leaves, by their text."""
    storage = Storage()
    with serving(page) as target:
        made = target_of(Job("j", 1000, 1000, **job), {"__address__": target.address, "pod": "p"})
        assert made
        async with aiohttp.ClientSession() as session:
            await Scrape(made, storage, session).once(1000)
    return {
        " ".join(f"{name}={value}" for name, value in series.labels if name != "instance"): series.values[-1] for series in storage.all()
    }


async def test_a_label_that_page_and_target_have_is_renamed_unless_the_page_is_believed() -> None:
    page = 'a{pod="own",job="x",exported_pod="e"} 1\n'
    assert "__name__=a exported_exported_pod=own exported_job=x exported_pod=e job=j pod=p" in await _scraped(page)
    assert "__name__=a exported_pod=e job=x pod=own" in await _scraped(page, honor_labels=True)


async def test_metric_relabelling_drops_and_renames_samples() -> None:
    drop = Relabel(action="drop", source_labels=("__name__",), regex="b")
    rename = Relabel(source_labels=("__name__",), regex="a", target_label="__name__", replacement="renamed")
    found = await _scraped("a 1\nb 2\n", metric_relabel=(drop, rename))
    assert found["__name__=renamed job=j pod=p"] == 1
    assert not any("__name__=b " in name for name in found)
    assert found["__name__=scrape_samples_scraped job=j pod=p"] == 2
    assert found["__name__=scrape_samples_post_metric_relabeling job=j pod=p"] == 1
    assert found["__name__=scrape_series_added job=j pod=p"] == 1


async def test_a_target_that_says_too_little_in_time_is_down() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/metrics", slow)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        target = target_of(Job("j", 1000, 50), {"__address__": f"127.0.0.1:{server.port}"})
        assert target
        storage = Storage()
        scrape = Scrape(target, storage, session)
        await scrape.once(1000)
        assert scrape.health == "down"
        assert "context deadline exceeded" in scrape.error
        assert Engine(storage).vector("up", 1000)[0][1] == 0


# Queries


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("double_exponential_smoothing(up[5m], 0.5, 0.5)", r"function double_exponential_smoothing\(\) is not evaluated by this server"),
        ("histogram_fraction(0, 1, up)", r"function histogram_fraction\(\) is not evaluated"),
        ("sin(up)", r"function sin\(\) is not evaluated"),
        ("up atan2 up", "operator atan2 is not evaluated"),
        ('{job="a" or job="b"}', '"or" between matchers is not evaluated'),
        ('label_replace(up, "no-name", "", "a", "b")', "invalid destination label name"),
        ('up{pod=~"(?=a)"}', "illegal regex"),
        (r'up{pod=~"(a)\\1"}', "illegal regex"),
    ],
)
def test_what_is_not_evaluated_is_refused_by_name(query: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        parse(query)


def test_a_range_leaves_out_its_first_moment_as_in_prometheus_3() -> None:
    storage = Storage()
    for second in (0, 10, 20):
        storage.append(make(UP), 1000 * second, 1.0)
    counts = [
        Engine(storage, lookback=10_000, version=version).vector("count_over_time(up[20s])", 20_000)[0][1] for version in ((2, 42), (3, 0))
    ]
    assert counts == [3, 2]
    seen = [len(Engine(storage, lookback=10_000, version=version).vector("up", 30_000)) for version in ((2, 42), (3, 0))]
    assert seen == [1, 0]


def test_a_query_that_takes_too_long_is_ended() -> None:
    storage = Storage()
    storage.append(make(UP), 0, 1.0)
    with pytest.raises(QueryTimeout):
        Engine(storage, timeout=-1).vector("up", 0)


def test_a_dot_stands_for_a_line_break_too() -> None:
    assert pattern("a.b").fullmatch("a\nb")


# Storage


def test_storage_is_bounded_by_time_and_by_size() -> None:
    storage = Storage(retention=60_000, size=1024**2)
    for second in range(100):
        storage.append(make(UP), 1000 * second, 1.0)
    storage.append(make({"__name__": "old"}), 1000, 1.0)
    storage.trim(100_000)
    (series,) = storage.all()
    assert series.times[0] == 40_000
    assert not storage.select(parse("old").matchers)  # type: ignore[union-attr]
    storage.size = 1024 + 16 * 20
    storage.trim(100_000)
    assert 5 <= storage.samples <= 20
    assert series.times[-1] == 99_000
    assert storage.dropped_by_size == 60 - storage.samples


def test_a_sample_that_is_no_newer_than_the_last_is_not_kept() -> None:
    storage = Storage()
    assert storage.append(make(UP), 1000, 1.0)
    assert not storage.append(make(UP), 1000, 2.0)
    assert not storage.append(make(UP), 500, 2.0)
    assert storage.samples == 1


# Rules


class _World:
    """An alerting rule on `depth > 5` over a storage, second by second."""

    def __init__(self, **definition: Any):
        self.storage = Storage()
        self.engine = Engine(self.storage)
        self.rule = Rule(Definition("", "Deep", "depth > 5", **definition))

    def at(self, second: int, *values: float) -> list[str]:
        """Evaluates; answers the states of the alerts."""
        for place, value in enumerate(values):
            self.storage.append(make({"__name__": "depth", "pod": "abc"[place]}), 1000 * second, value)
        self.rule.evaluate(self.engine, self.storage, 1000 * second, {})
        return [alert.state for alert in self.rule.alerts.values()]

    def series(self, query: str, second: int) -> int:
        return len(self.engine.vector(query, 1000 * second))


def test_an_alert_waits_for_its_duration_and_is_over_when_its_sample_is() -> None:
    world = _World(hold=10_000)
    assert world.at(0, 3) == []
    assert world.at(2, 7) == ["pending"]
    assert world.at(11, 8) == ["pending"]
    assert world.at(12, 9) == ["firing"]
    assert world.rule.state == "firing"
    assert world.series('ALERTS{alertstate="firing"}', 12) == 1
    assert world.series('ALERTS{alertstate="pending"}', 12) == 0
    assert world.at(14, 2) == ["inactive"]
    assert world.rule.active == []
    assert world.series("ALERTS", 14) == 0
    # Back again it is a new alert, with a new wait.
    assert world.at(16, 8) == ["pending"]
    assert world.rule.active[0].active_at == 16_000


def test_a_spike_that_is_shorter_than_the_duration_fires_nothing() -> None:
    world = _World(hold=10_000)
    assert world.at(0, 9) == ["pending"]
    assert world.at(5, 1) == []
    assert world.at(10, 9) == ["pending"]


def test_an_alert_fires_on_as_long_as_it_is_told_to() -> None:
    world = _World(keep_firing=10_000)
    assert world.at(0, 9) == ["firing"]
    assert world.at(5, 1) == ["firing"]
    assert world.rule.active[0].keep_firing_since == 5_000
    assert world.at(14, 1) == ["firing"]
    assert world.at(15, 1) == ["inactive"]


def test_labels_and_annotations_are_filled_and_what_an_expression_cannot_give_is_told() -> None:
    world = _World(labels={"severity": "page"}, annotations={"summary": "{{ $labels.pod }} is {{ $value }} deep"})
    world.at(0, 7, 8)
    assert [alert.annotations["summary"] for alert in world.rule.active] == ["a is 7 deep", "b is 8 deep"]
    assert {dict(alert.labels)["severity"] for alert in world.rule.active} == {"page"}
    broken = Rule(Definition("", "Same", "depth > 5", labels={"pod": "all"}))
    broken.evaluate(world.engine, world.storage, 0, {})
    assert (broken.health, broken.error) == ("err", "vector contains metrics with the same labelset after applying alert labels")
    limited = Rule(Definition("", "Many", "depth > 5"))
    limited.evaluate(world.engine, world.storage, 0, {}, limit=1)
    assert (limited.health, limited.error) == ("err", "exceeded limit of 1 with 2 alerts")
    assert limited.alerts == {}


def test_a_recording_rule_keeps_its_expression_under_its_own_name_until_it_gives_nothing() -> None:
    world = _World()
    rule = Rule(Definition("pods:depth:max", "", "max by (kind) (depth) > 5", labels={"team": "red"}))
    world.at(0, 7, 8)
    rule.evaluate(world.engine, world.storage, 0, {})
    assert world.engine.vector("pods:depth:max", 0) == [(make({"__name__": "pods:depth:max", "team": "red"}), 8.0)]
    world.at(1, 1, 2)
    rule.evaluate(world.engine, world.storage, 1000, {})
    assert world.engine.vector("pods:depth:max", 1000) == []


def test_a_group_that_is_loaded_anew_goes_on_with_its_alerts() -> None:
    world = _World(hold=10_000)
    world.at(0, 9)
    before = Group(GroupDefinition("f", "g", 1000, (world.rule.definition, Definition("", "Other", "depth"))))
    before.rules[0] = world.rule
    after = Group(GroupDefinition("f", "g", 1000, (Definition("", "Deep", "depth > 6", hold=5_000),)))
    assert [rule.definition.name for rule in after.take_over(before)] == ["Other"]
    after.evaluate(world.engine, world.storage, 6000, {})
    assert [alert.state for alert in after.rules[0].active] == ["firing"]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("groups: [{name: g, rules: [{alert: A}]}]", "field 'expr' must be set"),
        ("groups: [{name: g, rules: [{expr: up}]}]", "one of 'record' or 'alert' must be set"),
        ("groups: [{name: g, rules: [{alert: A, record: b, expr: up}]}]", "only one of 'record' and 'alert'"),
        ("groups: [{name: g, rules: [{alert: A, expr: up >}]}]", 'group "g", rule 1, "A": could not parse expression'),
        ("groups: [{name: g, rules: [{alert: A, expr: up, fro: 5m}]}]", "field fro not found; there are alert, annotations, expr, for"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, for: long}]}]", 'for: not a valid duration string: "long"'),
        ("groups: [{name: g, rules: [{record: a b, expr: up}]}]", "invalid recording rule name: a b"),
        ("groups: [{name: g, rules: [{record: a, expr: up, for: 1m}]}]", "invalid field 'for' in recording rule"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, labels: {a-b: c}}]}]", "invalid label name: a-b"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {a: '{{ $value | mend }}'}}]}]", "mend"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {a: '{{ $value'}}]}]", "unclosed action"),
        ("groups: [{name: g}, {name: g}]", 'groupname: "g" is repeated'),
        ("groups: [{rules: []}]", "Groupname must not be empty"),
        ("groups: [{name: g, interval: soon}]", "interval: not a valid duration"),
        ("groups: [{name: g, rules: [up]}]", "is no mapping"),
        ("groups: [{name: g, rules: up}]", "rules is no list"),
        ("group: []", "field group not found"),
        ("[", "not YAML"),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_told_with_the_rule(tmp_path: Path, written: str, says: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(written)
    with pytest.raises(RuleFileError, match=says):
        rules.read(file, 1000)


@pytest.mark.parametrize(
    ("template", "value", "filled"),
    [
        ("{{ $value }}", 0.25, "0.25"),
        ("{{$value}}", 1e7, "10000000"),
        ("{{ .Value | humanize }}", 1234567.0, "1.235M"),
        ("{{ $value | humanize }}", 0.00123, "1.23m"),
        ("{{ $value | humanize }}", 0.0, "0"),
        ("{{ $value | humanize1024 }}", 3 * 1024.0**2, "3Mi"),
        ("{{ $value | humanizePercentage }}", 0.0567, "5.67%"),
        ("{{ $value | humanizeDuration }}", 90.0, "1m 30s"),
        ("{{ $value | humanizeDuration }}", 0.025, "25ms"),
        ("{{ $value | humanizeDuration }}", 2.5, "2.5s"),
        ("{{ $value | humanizeDuration }}", 100000.0, "1d 3h 46m 40s"),
        ('{{ printf "%.2f of %s" $value $labels.pod }}', 2.0, "2.00 of api"),
        ('{{ $value | printf "%.1f%%" }}', 2.0, "2.0%"),
        ("{{ $labels.missing }}!", 1.0, "!"),
        ("{{ $labels.pod | toUpper }}", 1.0, "API"),
        ("{{ $externalLabels.cluster }}", 1.0, "lab"),
        ("{{/* said to nobody */}}plain", 1.0, "plain"),
    ],
)
def test_texts_are_filled_as_by_gos_templates(template: str, value: float, filled: str) -> None:
    assert templating.fill(template, {"pod": "api"}, value, {"cluster": "lab"}) == filled


# The whole


async def test_a_changed_file_is_read_and_a_broken_one_leaves_the_old_rules(tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    file = tmp_path / "rules.yml"
    config.write_text("rule_files: [rules.yml]\nglobal: {evaluation_interval: 10ms}\n")
    file.write_text("groups: [{name: g, rules: [{alert: A, expr: vector(1)}]}]")
    service = Service(Settings(config_file=config, reload_interval=10))
    await service.start()

    async def until(condition: Any) -> None:
        # The service tells nobody that it has read a file.
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(service.reload_error or "nothing changed in 20 s")

    try:
        await until(lambda: service.rules.groups[0].rules[0].state == "firing")
        loaded = service.reloaded_at
        file.write_text("groups: [{name: g, rules: [{alert: A, expr: vector(}]}]")
        await until(lambda: service.reload_error)
        assert "could not parse expression" in service.reload_error
        assert service.rules.groups[0].rules[0].definition.expr == "vector(1)"
        assert service.reloaded_at == loaded
        file.write_text("groups: [{name: g, rules: [{alert: A, expr: vector(2)}, {record: r, expr: vector(3)}]}]")
        await until(lambda: not service.reload_error and len(service.rules.groups[0].rules) == 2)
        await until(lambda: service.engine.vector("r", round(service.clock() * 1000)))
        file.write_text("groups: []")
        await until(lambda: not service.rules.groups)
        # What the rules wrote ends with them.
        await until(lambda: not service.engine.vector("r or ALERTS", round(service.clock() * 1000)))
        config.unlink()
        await until(lambda: service.reload_error)
        assert str(config) in service.reload_error
    finally:
        await service.stop()


def _get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_serves_until_sigterm(start: Start, tmp_path: Path, free_port: int) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: []\n")
    process = start("metrics_scraper", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{free_port}", "--web.enable-lifecycle")
    running = Running(f"http://127.0.0.1:{free_port}", process, tmp_path / "none")
    running.ready()
    assert _get(f"{running.url}/-/healthy")[0] == 200
    assert _get(f"{running.url}/nothing") == (404, "404 Not Found\n")
    assert "/api/v1/query_range" in _get(f"{running.url}/")[1]
    assert _get(f"{running.url}/-/reload", "POST") == (200, "")
    assert json.loads(_get(f"{running.url}/api/v1/status/runtimeinfo")[1])["data"]["reloadConfigSuccess"] is True
    config.write_text("scrape_configs: [{}]\n")
    status, said = _get(f"{running.url}/-/reload", "POST")
    assert (status, "job_name is empty" in said) == (500, True)
    info = json.loads(_get(f"{running.url}/api/v1/status/runtimeinfo")[1])["data"]
    assert (info["reloadConfigSuccess"], "job_name is empty" in info["reloadConfigError"]) == (False, True)
    page = exposition.read(_get(f"{running.url}/metrics")[1])
    own = {name: value for name, _, value, _ in page.samples}
    assert own["prometheus_config_last_reload_successful"] == 0
    assert json.loads(_get(f"{running.url}/api/v1/status/config")[1])["data"]["yaml"] == "scrape_configs: []\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("written", "flags", "code", "says"),
    [
        ("scrape_configs: [{}]", [], 1, "cannot start: .*job_name is empty"),
        (None, [], 1, "No such file or directory"),
        ("{}", ["--storage.tsdb.retention.time=long"], 2, "not a valid duration string"),
        ("{}", ["--storage.tsdb.retention.size=much"], 2, "not a valid size"),
        ("{}", ["--web.nonsense"], 2, "unrecognized arguments"),
    ],
)
def test_it_ends_with_words_where_it_cannot_start(
    start: Start, tmp_path: Path, free_port: int, written: str | None, flags: list[str], code: int, says: str
) -> None:
    import re

    config = tmp_path / "prometheus.yml"
    if written is not None:
        config.write_text(written)
    process = start("metrics_scraper", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{free_port}", *flags)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert re.search(says, said)


def test_the_flags_of_the_deployment_are_known() -> None:
    from metrics_scraper.__main__ import settings

    found = [each for each in yaml.safe_load_all((MONITORING / "deployment.yaml").read_text()) if each["kind"] == "Deployment"]
    chosen = settings(found[0]["spec"]["template"]["spec"]["containers"][0]["args"])
    assert chosen == Settings(
        config_file=Path("/etc/prometheus/config/prometheus.yml"), retention_time=3 * 3_600_000, lifecycle=True, reload_interval=1000
    )
