"""Lab 05-oom: how sizes follow from a measurement, what shows a cause, and what its pictures say."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.engine import course
from lab_checks.face import pictures
from lab_checks.labs.oom import causes as oom_causes
from lab_checks.labs.oom import sizes as oom_sizes
from lab_checks.labs.oom import view as oom_view

PAGE = """\
# TYPE model_requests_total counter
model_requests_total{code="200",kind="summarize"} 31.0
model_requests_total{code="429",kind="summarize"} 900.0
process_resident_memory_bytes 1.0485760e+08
process_peak_resident_memory_bytes 1.572864e+08
"""


def test_memory_is_read_in_mib_and_only_answered_requests_count() -> None:
    assert oom_sizes.read(PAGE) == oom_sizes.Measured(now=100, peak=150, served=31)
    assert oom_sizes.read("model_ready 1.0") is None


@pytest.mark.parametrize(
    ("limit", "words"),
    [(0, "no memory limit"), (100, "hardly any room"), (160, "hardly any room"), (170, ""), (450, ""), (2048, "many times")],
)
def test_a_limit_leaves_room_above_the_peak_and_still_stops_something(limit: float, words: str) -> None:
    said = oom_sizes.problem("limits", limit, peak=150)[0]
    assert (words in said) if words else not said


@pytest.mark.parametrize(("request_mib", "words"), [(0, "less memory"), (100, "less memory"), (120, ""), (300, ""), (768, "far more")])
def test_a_request_follows_from_the_peak_and_not_from_the_moment(request_mib: float, words: str) -> None:
    said = oom_sizes.problem("requests", request_mib, peak=150)[0]
    assert (words in said) if words else not said


@pytest.mark.parametrize(
    ("given", "holds"), [(150, True), (155, True), (140.5, True), (0, False), (75, False), (300, False), (-150, False)]
)
def test_a_number_that_nobody_measured_is_refused(given: float, holds: bool) -> None:
    assert oom_sizes.agrees(given, 150) is holds


def pod(reason: str, code: int) -> Object:
    status = {
        "name": "model-server",
        "restartCount": 2,
        "state": {"waiting": {}},
        "lastState": {"terminated": {"reason": reason, "exitCode": code}},
    }
    return {"kind": "Pod", "metadata": {"name": "api-1"}, "status": {"containerStatuses": [status]}}


def scene(reason: str, code: int, log: str = "", *events: str) -> oom_causes.Scene:
    return oom_causes.Scene([pod(reason, code)], log, list(events))


def holding(now: oom_causes.Scene) -> list[str]:
    return [name for name, rule in oom_causes.ENGINE.rules.items() if rule(now).holds]


CUDA = "model failed to load: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 24.00 GiB."


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        (scene("OOMKilled", 137), "memory-limit"),
        (scene("Error", 1, CUDA), "gpu-memory"),
        (scene("Error", 1, "FileNotFoundError"), "program-error"),
        (scene("Error", 137, "", "Container model-server failed liveness probe, will be restarted"), "killed-by-liveness"),
    ],
)
def test_the_way_a_container_ended_tells_the_memories_apart(now: oom_causes.Scene, cause: str) -> None:
    assert holding(now) == [cause]


def test_137_alone_is_not_said_to_be_memory_where_the_reason_is_another() -> None:
    assert holding(scene("Error", 137)) == ["program-error"]


def test_a_pod_that_was_put_off_its_node_and_one_that_runs_are_told_apart() -> None:
    gone = {
        "kind": "Pod",
        "metadata": {"name": "api-1"},
        "status": {"reason": "Evicted", "message": "The node was low on resource: memory."},
    }
    assert holding(oom_causes.Scene([gone], "", [])) == ["evicted"]
    assert holding(oom_causes.Scene([], "", [])) == []


def test_every_cause_has_a_rule_and_what_shows_it() -> None:
    assert list(oom_causes.ENGINE.rules) == [each.id for each in course.load().lab("05-oom").causes]


@pytest.mark.parametrize(
    ("container", "pod_wide", "limit", "request_mib"),
    [
        ({"requests": {"memory": "64Mi"}, "limits": {"memory": "128Mi"}}, {}, 128, 64),
        ({"limits": {"memory": "128Mi"}}, {}, 128, 128),
        ({}, {"requests": {"memory": "64Mi"}, "limits": {"memory": "256Mi"}}, 256, 64),
        ({"limits": {"memory": "128Mi"}}, {"limits": {"memory": "1Gi"}}, 128, 128),
        ({}, {}, 0, 0),
    ],
)
def test_what_is_said_for_the_whole_pod_sizes_a_container_that_says_nothing(
    container: Object, pod_wide: Object, limit: float, request_mib: float
) -> None:
    spec = {"containers": [{"name": "model-server", "resources": container}], "resources": pod_wide}
    assert oom_sizes.size(spec, "model-server", "limits") == limit
    assert oom_sizes.size(spec, "model-server", "requests") == request_mib


def test_the_way_to_the_limit_is_drawn_and_told_in_words() -> None:
    log = "x loading 10% taken_mib=12 of 120 resident_mib=50 seconds=0.2\nx loading 20% taken_mib=24 of 120 resident_mib=62 seconds=0.4\n"
    way = oom_view.points(log)
    assert way == [(0.2, 50), (0.4, 62)]
    drawn = pictures.curve("Memory", way, 64, "MiB", end="OOMKilled")
    assert "<title>Memory: from 50 to 62 MiB in 0.4 s, limit 64 MiB, OOMKilled</title>" in drawn
    assert "nothing measured" in pictures.curve("Memory", [], 64, "MiB")
