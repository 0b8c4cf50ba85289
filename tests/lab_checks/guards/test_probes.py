"""What a probe asks, and how long it waits."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.judging.guards import probes
from tests.lab_checks.guards.world import said


def test_a_probes_budget_counts_its_delay_and_its_defaults() -> None:
    assert probes.probe_budget({}) == 30
    assert probes.probe_budget({"initialDelaySeconds": 5, "periodSeconds": 2, "failureThreshold": 4}) == 13


@pytest.mark.parametrize(
    ("get", "asked"),
    [
        ({"path": "/ready", "port": "http"}, ("/ready", 8080)),
        ({"path": "/ready?verbose=1", "port": 8000}, ("/ready", 8000)),
        ({"port": "nowhere"}, ("/", 0)),
    ],
)
def test_a_probes_question_is_its_path_and_its_port_by_number(get: dict[str, Any], asked: tuple[str, int]) -> None:
    container = {"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"httpGet": get}}
    assert probes.probe_question(container, "readinessProbe") == asked


def test_a_probe_that_only_opens_a_port_asks_nothing() -> None:
    assert probes.probe_question({"readinessProbe": {"tcpSocket": {"port": 8080}}}, "readinessProbe") is None


PYTHON = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/ready')"


@pytest.mark.parametrize(
    "command",
    [
        ["python3", "-c", PYTHON],
        ["/usr/bin/python3.12", "-c", "from urllib.request import urlopen\nassert urlopen('http://localhost:8080/ready').status == 200"],
        ["curl", "-sf", "http://localhost:8080/ready"],
        ["curl", "--fail", "-o", "/dev/null", "http://[::1]:8080/ready"],
        ["sh", "-c", "exec wget -q -O- http://127.0.0.1:8080/ready"],
        ["/bin/bash", "-c", "curl -fsS http://127.0.0.1:8080/ready?verbose=1"],
    ],
)
def test_a_command_that_fails_where_the_model_says_no_asks_the_model(command: list[str]) -> None:
    assert probes.command_asks(command) == ("/ready", 8080)
    assert probes.answered_by({"readinessProbe": {"exec": {"command": command}}}, "readinessProbe") == "model"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["true"],
        ["sh", "-c", "sleep 5"],
        ["curl", "-s", "http://localhost:8080/ready"],
        ["curl", "-sf", "http://ai-log-summary-api:8080/ready"],
        ["curl", "-sf", "http://localhost:8080/ready", "http://localhost:8080/healthz"],
        ["sh", "-c", "curl -sf http://localhost:8080/ready || true"],
        ["sh", "-c", "curl -sf http://localhost:8080/ready; exit 0"],
        ["sh", "-c", "curl -sf 'http://localhost:8080/ready"],
        ["sh", "-c", "test -f /tmp/x && curl -f http://localhost:8080/ready"],
        ["echo", "http://localhost:8080/ready"],
        ["python3", "-c", "import os; print('http://localhost:8080/ready')"],
        ["python3", "-c", PYTHON.replace("; u", "; 1 or u")],
        ["python3", "-c", f"try:\n {PYTHON}\nexcept OSError: pass"],
        ["python3", "-c", "import os\nos._exit(0); u.urlopen('http://127.0.0.1:8080/ready')"],
    ],
)
def test_a_command_that_may_say_yes_by_itself_asks_nobody(command: list[str]) -> None:
    assert probes.command_asks(command) is None


def deployment(**changes: Any) -> Object:
    """A server that loads for 4 s, with probes as they should be; `readinessProbe={…}` is laid over one of them, None removes it."""
    container: Object = {
        "name": "model-server",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "MODEL_LOAD_SECONDS", "value": "4"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"minReadySeconds": changes.pop("minReadySeconds", 0), "template": {"spec": {"containers": [container]}}}
    for kind, change in changes.items():
        container[kind] = None if change is None else {**copy.deepcopy(container.get(kind) or {}), **change}
    return {"kind": "Deployment", "metadata": {"name": "api"}, "spec": spec}


READY = {"httpGet": {"path": "/ready", "port": 8080}}
HEALTHZ = {"httpGet": {"path": "/healthz", "port": 8080}}
NOBODY = {"httpGet": None, "exec": {"command": ["true"]}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"minReadySeconds": 10},
        {"readinessProbe": {"initialDelaySeconds": 30, "failureThreshold": 20, "periodSeconds": 3}},
        {"livenessProbe": {"failureThreshold": 10, "periodSeconds": 3}},
        {"livenessProbe": {**READY, "failureThreshold": 20}},
        {"livenessProbe": {**READY, "failureThreshold": 2}, "startupProbe": {**READY, "periodSeconds": 1, "failureThreshold": 20}},
        {"startupProbe": {"tcpSocket": {"port": "http"}}},
        {"startupProbe": {**HEALTHZ, "periodSeconds": 1, "failureThreshold": 120}},
        {"livenessProbe": {"terminationGracePeriodSeconds": 10}},
    ],
)
def test_probes_may_have_many_values(changes: Object) -> None:
    assert said(probes.probes_are_true, deployment(**changes)) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"readinessProbe": None}, "has no readiness probe"),
        ({"readinessProbe": HEALTHZ}, "does not ask the model"),
        ({"readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}}}, "HTTP GET /ready on port 8000"),
        ({"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "host": "other"}}}, "of other"),
        ({"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTPS"}}}, "HTTPS GET"),
        ({"readinessProbe": {"httpGet": None, "tcpSocket": {"port": 8080}}}, "TCP port 8080"),
        ({"readinessProbe": NOBODY}, "the command true"),
        ({"readinessProbe": {"initialDelaySeconds": 31}}, "says yes far too late"),
        ({"readinessProbe": {"periodSeconds": 10, "successThreshold": 5}}, "says yes far too late"),
        ({"readinessProbe": {"timeoutSeconds": 3600}}, "long after it stopped answering"),
        ({"readinessProbe": {"periodSeconds": 3600, "failureThreshold": 1}}, "long after it stopped answering"),
        ({"livenessProbe": None}, "liveness probe is gone"),
        ({"livenessProbe": {"httpGet": None, "tcpSocket": {"port": 8080}}}, "whether it lives"),
        ({"livenessProbe": NOBODY}, "whether it lives"),
        ({"livenessProbe": {"initialDelaySeconds": 600}}, "too patient"),
        ({"livenessProbe": {"timeoutSeconds": 3600}}, "too patient"),
        ({"livenessProbe": {"terminationGracePeriodSeconds": 3600}}, "far too long to end"),
        ({"startupProbe": {**READY, "terminationGracePeriodSeconds": 3600}}, "far too long to end"),
        ({"livenessProbe": {**READY, "failureThreshold": 4}}, "still kills a server that loads"),
        ({"startupProbe": NOBODY}, "asks nobody"),
        ({"startupProbe": HEALTHZ, "livenessProbe": READY}, "startup probe does not ask the model"),
        ({"startupProbe": {**READY, "periodSeconds": 1, "failureThreshold": 4}}, "budget is too small"),
        ({"startupProbe": {**READY, "failureThreshold": 1000}}, "budget is too large"),
        ({"minReadySeconds": 600}, "waits far too long"),
    ],
)
def test_a_probe_is_told_what_is_wrong_with_its_values(changes: Object, words: str) -> None:
    assert words in said(probes.probes_are_true, deployment(**changes))
