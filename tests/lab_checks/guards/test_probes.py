"""What a probe asks, and how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks.judging.guards import probes


def test_a_probes_budget_counts_its_delay_and_its_defaults() -> None:
    assert probes.budget({}) == 30
    assert probes.budget({"initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 4}) == 13


@pytest.mark.parametrize(
    ("get", "asked"),
    [
        ({"path": "/ready", "port": "http"}, ("/ready", 8080)),
        ({"path": "/ready", "port": 8000}, ("/ready", 8000)),
        ({"port": "nowhere"}, ("/", 0)),
    ],
)
def test_a_probes_question_is_its_path_and_its_port_by_number(get: dict[str, Any], asked: tuple[str, int]) -> None:
    container = {"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"httpGet": get}}
    assert probes.question(container, "readinessProbe") == asked


def test_a_probe_that_only_opens_a_port_asks_nothing() -> None:
    assert probes.question({"readinessProbe": {"tcpSocket": {"port": 8080}}}, "readinessProbe") is None
