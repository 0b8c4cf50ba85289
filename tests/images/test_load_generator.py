"""The load generator: its counting, and a run against a real model server."""

from __future__ import annotations

import itertools
import json
import signal

import pytest
from load_generator.record import Answer, percentile, summarise
from load_generator.sender import moments

from tests.images.conftest import Start
from tests.images.test_model_server import Serve, serve  # noqa: F401


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [percentile(values, each) for each in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7.0], 50) == 7


def test_errors_are_told_by_kind_and_time() -> None:
    answers = [
        Answer(0.0, 0.1, "200", True, "v1"),
        Answer(1.0, 0.0, "connection refused", False),
        Answer(2.0, 0.1, "503", False),
        Answer(3.5, 0.2, "200", True, "v2"),
    ]
    found = summarise(answers, 4.0)
    assert (found["ok"], found["errors"], found["rate"]) == (2, 2, 1.0)
    assert found["outcomes"] == {"200": 2, "connection refused": 1, "503": 1}
    assert found["models"] == {"v1": 1, "v2": 1}
    assert (found["first_error_at"], found["last_error_at"], found["longest_outage_seconds"]) == (1.0, 2.0, 2.5)
    assert found["latency_ms"]["max"] == 200


def test_an_outage_that_has_not_ended_counts() -> None:
    assert summarise([Answer(0.0, 0.1, "200", True), Answer(1.0, 0.5, "503", False)], 2.0)["longest_outage_seconds"] == 0.5


def summary(log: str) -> dict:
    found: dict = json.loads(log.splitlines()[-1])["summary"]
    return found


def test_a_run_at_a_rate(serve: Serve, start: Start) -> None:  # noqa: F811
    server = serve()
    server.until("/ready", 200)
    process = start("load_generator", f"http://127.0.0.1:{server.port}/v1/summarize", "--rate", "40", "--seconds", "1.3")
    log, _ = process.communicate(timeout=20)
    found = summary(log)
    assert process.returncode == 0
    assert found["errors"] == 0
    assert 40 <= found["requests"] <= 53
    assert found["models"] == {"v2": found["ok"]}
    assert json.loads(log.splitlines()[0])["outcomes"].keys() == {"200"}


def test_a_pattern_is_gone_through_again_and_again() -> None:
    sent = list(itertools.islice(moments(((2, 1.0), (0, 3.0), (4, 0.5))), 9))
    assert sent == [0.0, 0.5, 4.0, 4.25, 4.5, 5.0, 8.5, 8.75, 9.0]


def test_a_run_in_a_pattern(serve: Serve, start: Start) -> None:  # noqa: F811
    server = serve()
    server.until("/ready", 200)
    process = start(
        "load_generator", URL=f"http://127.0.0.1:{server.port}/v1/classify", PATTERN="5:1,0:1,60:0.5", SECONDS="2.5", LOGS="disk is full"
    )
    log, _ = process.communicate(timeout=20)
    seconds = [json.loads(line)["ok"] for line in log.splitlines()[:-1]]
    assert 34 <= summary(log)["ok"] <= 36
    assert seconds[1] <= 1 < 4 <= seconds[0]


def test_clients_that_stream_measure_the_first_token(serve: Serve, start: Start) -> None:  # noqa: F811
    server = serve()
    server.until("/ready", 200)
    url = f"http://127.0.0.1:{server.port}/v1/summarize"
    process = start("load_generator", URL=url, STREAM="true", CLIENTS="3", REQUESTS="9")
    log, _ = process.communicate(timeout=20)
    found = summary(log)
    assert found["ok"] == 9
    assert found["first_token_ms"]["max"] <= found["latency_ms"]["max"]


def test_a_server_that_goes_away_is_seen(serve: Serve, start: Start) -> None:  # noqa: F811
    server = serve()
    server.until("/ready", 200)
    url = f"http://127.0.0.1:{server.port}/v1/summarize"
    process = start("load_generator", url, "--rate", "50", "--seconds", "30", "--fail-on-error")
    assert process.stdout
    assert json.loads(process.stdout.readline())["ok"]
    server.stop()
    while not json.loads(process.stdout.readline())["errors"]:
        pass
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=20)
    found = summary(log)
    assert process.returncode == 1
    # The request that was under way when the server went ends otherwise: its connection is reset.
    assert found["outcomes"].pop("200") + sum(found["outcomes"].values()) == found["requests"]
    assert 0 < found["outcomes"]["connection refused"] <= found["errors"] == sum(found["outcomes"].values())
    assert found["seconds"] < 30


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("http://x", "--pattern", "0:5"),
        ("http://x", "--pattern", "fast"),
        ("ftp://x",),
        ("http://x", "--rate", "fast"),
        ("http://x", "--seconds", "0"),
    ],
)
def test_options_without_sense_end_it_at_once(start: Start, arguments: tuple[str, ...]) -> None:
    process = start("load_generator", *arguments)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in log
