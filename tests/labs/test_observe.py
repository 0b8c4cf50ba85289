"""Lab 06-observe: what is judged without a cluster: rules on the recorded hour, buckets, and the forms in which answers come."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab_checks.judging import answers
from lab_checks.labs.observe import idle, pages, percentiles, recorded, saturation
from lab_checks.labs.observe import view as observe_view
from lab_checks.labs.observe.recorded import BURST, END, FAULT, REPLACED, Firing

SHARE = 'sum(rate(model_requests_total{code=~"5.."}[30s])) / sum(rate(model_requests_total[30s])) > 0.05'


def fires(folder: Path, expr: str, hold: str = "0s") -> list[Firing]:
    text = f"groups: [{{name: one, rules: [{{alert: A, expr: '{expr}', for: {hold}}}]}}]"
    return recorded.firings(recorded.rules_of("rules.yml", text, folder)[0])


def test_the_hour_holds_what_it_is_said_to_hold() -> None:
    start, end, lines = recorded.evaluated("sum by (code) (increase(model_requests_total[1m]))")
    assert end - start == END
    found = {name: dict(points) for name, points in lines.items()}
    codes = {name.partition('"')[2].strip('"}'): {when - start: value for when, value in points.items()} for name, points in found.items()}

    def most(code: str, since: float, until: float) -> float:
        return max((value for when, value in codes[code].items() if since <= when < until), default=0.0)

    assert most("503", REPLACED, REPLACED + 60) > 40
    assert most("429", BURST, BURST + 60) > 100
    assert most("500", FAULT + 120, END) > 40
    assert most("500", 0, FAULT) == 0
    assert most("503", 0, REPLACED) == most("429", 0, BURST) == 0


def test_a_share_that_lasts_fires_on_the_fault_alone(tmp_path: Path) -> None:
    [only] = fires(tmp_path, SHARE, "1m")
    assert FAULT + 60 <= only.since <= FAULT + 120
    assert only.until == END


def test_without_a_time_the_replacement_wakes_somebody(tmp_path: Path) -> None:
    first = fires(tmp_path, SHARE)[0]
    assert REPLACED <= first.since <= first.until < REPLACED + 120


def test_all_failed_requests_wake_somebody_for_a_burst(tmp_path: Path) -> None:
    first = fires(tmp_path, "sum(rate(model_errors_total[30s])) > 5")[0]
    assert BURST <= first.since < BURST + 60


def test_what_is_gone_is_no_more(tmp_path: Path) -> None:
    """Five minutes are how far back a value is looked for: a Pod that is replaced is not among those that are ready for so long."""
    assert fires(tmp_path, "count(model_ready) > 1") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: [{name: one, rules: [{alert: A, expr: 'sum(up'}]}]", "could not parse expression"),
        ("groups: [{name: one, rules: [{alert: A, expr: up, fore: 1m}]}]", "field fore not found"),
        ("groups: {", "not YAML"),
    ],
)
def test_rules_that_cannot_be_read_are_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(recorded.RuleProblem, match=words) as problem:
        recorded.rules_of("rules.yml", text, tmp_path)
    assert str(tmp_path) not in str(problem.value)


def test_an_expression_that_cannot_be_evaluated_is_told() -> None:
    with pytest.raises(ValueError, match="sum"):
        recorded.evaluated("sum(")


def test_a_percentile_lies_in_the_first_bucket_that_reaches_it() -> None:
    buckets = {0.25: 10.0, 0.5: 90.0, 1.0: 90.0, 2.5: 100.0, float("inf"): 100.0}
    assert percentiles.holding_bucket(buckets, 0.9) == (0.25, 0.5)
    assert percentiles.holding_bucket(buckets, 0.95) == (1.0, 2.5)


@pytest.mark.parametrize("said", ["1 and 2.5", (1, 2.5), [2.5, 1.0], "le 1.0 to le 2.5", "1 s, 2.5 s"])
def test_bounds_are_read_in_every_form(said: object) -> None:
    assert percentiles.pair(said) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("cpu 40 %", ("cpu", 40)),
        ("GPU memory is at 91%", ("gpu memory", 91)),
        (["memory", 92], ("memory", 92)),
        ("VRAM: 0.91", ("gpu memory", 91)),
        ("the queue is full at 80 percent", ("queue", 80)),
        ("cpu", None),
        ("40 %", None),
        ("cpu or memory 40 %", None),
    ],
)
def test_what_is_full_is_read_in_every_form(said: object, read: tuple[str, float] | None) -> None:
    assert saturation.read(said) == read


@pytest.mark.parametrize("said", ["2026-11-27T02:10:05Z", "2026-11-27 02:10:05 UTC", "02:10:05", "2026-11-27T03:10:05+01:00"])
def test_a_time_is_read_with_and_without_its_day(said: str) -> None:
    assert idle.moment(said, datetime(2026, 11, 27, 9, tzinfo=UTC)) == datetime(2026, 11, 27, 2, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("said", ["81.60 €", "81.6 euros a day", 81.6, "EUR 81.6"])
def test_euros_are_read_with_their_sign(said: object) -> None:
    assert idle.euros(said) == 81.6


def test_a_page_is_read_by_families_and_labels() -> None:
    page = pages.read('# TYPE model_requests_total counter\nmodel_requests_total{code="200"} 7.0\nmodel_requests_total{code="500"} 1.0\n')
    assert page.sum("model_requests_total") == 8
    assert page.sum("model_requests_total", code="5*") == 1
    assert [pages.family(each) for each in ("model_requests_total{code}", "a_bucket", "model_queue_depth")] == [
        "model_requests",
        "a",
        "model_queue_depth",
    ]


def test_shares_are_read_as_other_labs_read_them() -> None:
    assert answers.percent("1/8") == 12.5


def test_the_hour_is_drawn_as_one_of_the_night() -> None:
    shown = repr(observe_view.hour("sum(rate(model_errors_total[30s]))", unit="errors/s"))
    assert "sum(rate(model_errors_total[30s])) (errors/s), 02:00:00 to 03:00:00" in shown
