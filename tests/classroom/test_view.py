"""What an instructor reads off the reports: who is stuck, since when, and what goes wrong most; as a page's rows and as files."""

from __future__ import annotations

import csv
import io
import json

import pytest

from kubeobjects import Object
from lab_checks.classroom import report, sheets, view
from lab_checks.classroom.roll import SITTING_ENDS, Learner
from lab_checks.engine import course
from tests.classroom.served import row, told

FIRST, SECOND = (each.key for each in course.load().exercises[:2])
MINUTE = 60.0


def learner(name: str, *rows: Object, seen: float = 1000.0, number: int = 1, sitting: float = 0.0, at: float | None = None) -> Learner:
    found = Learner(number, name, name, joined=0.0, seen=seen, sitting=sitting)
    found.report = report.checked(told(name, *rows, at=seen if at is None else at))
    return found


def one(who: Learner, now: float) -> Object:
    (found,) = view.of([who], now)["learners"]
    assert isinstance(found, dict)
    return found


def test_a_quarter_of_an_hour_on_one_exercise_is_stuck_and_a_pass_is_not() -> None:
    mira = learner("Mira", row(FIRST, "no", started=1000.0, checked=1060.0), seen=1060.0)
    assert one(mira, 1000 + 14.9 * MINUTE)["mark"] == "working"
    assert one(mira, 1000 + 15 * MINUTE)["mark"] == "stuck"
    assert one(mira, 1000 + 15 * MINUTE)["since"] == 1000.0
    passed = learner("Mira", row(FIRST, "no", passed=True, started=1000.0, checked=1060.0), seen=1060.0)
    assert one(passed, 1000 + 15 * MINUTE)["mark"] == "passed"


def test_a_learner_is_at_what_was_touched_last_also_when_it_is_passed() -> None:
    mira = learner("Mira", row(FIRST, passed=True, started=100.0, checked=900.0), row(SECOND, "no", started=200.0, checked=800.0))
    assert one(mira, 1000.0)["exercise"] == FIRST
    again = learner(
        "Mira", row(FIRST, passed=True, started=100.0, checked=900.0), row(SECOND, "no", started=200.0, last_start=950.0, checked=800.0)
    )
    assert one(again, 1000.0)["exercise"] == SECOND


def test_starting_again_does_not_make_a_learner_less_stuck() -> None:
    mira = learner("Mira", row(FIRST, "no", started=1000.0, last_start=1800.0, checked=1700.0), seen=1800.0)
    assert one(mira, 2000.0)["mark"] == "stuck"


def test_what_was_begun_before_another_pass_counts_from_that_pass() -> None:
    mira = learner(
        "Mira", row(FIRST, passed=True, started=100.0, checked=1900.0), row(SECOND, started=200.0, last_start=1950.0), seen=1950.0
    )
    assert (one(mira, 2000.0)["mark"], one(mira, 2000.0)["since"]) == ("working", 1900.0)


def test_yesterdays_exercise_counts_from_this_sitting() -> None:
    mira = learner("Mira", row(FIRST, "no", started=1000.0, checked=1060.0), seen=1060.0)
    next_day = 1060.0 + 20 * 3600
    assert one(mira, next_day)["mark"] == "away"
    mira.heard(report.checked(told("Mira", row(FIRST, "no", started=1000.0, checked=next_day), at=next_day)), next_day)
    assert (one(mira, next_day + MINUTE)["mark"], one(mira, next_day + MINUTE)["since"]) == ("working", next_day)


def test_a_short_silence_is_the_same_sitting() -> None:
    mira = learner("Mira", row(FIRST, started=1000.0))
    mira.heard(mira.report, 1000.0 + SITTING_ENDS - 1)
    assert mira.sitting == 0.0


@pytest.mark.parametrize("skew", [-900.0, 0.0, 86400.0])
def test_a_machine_whose_clock_is_wrong_is_shown_by_the_servers(skew: float) -> None:
    mira = learner("Mira", row(FIRST, "no", started=1000.0 + skew, checked=1500.0 + skew), seen=1500.0, at=1500.0 + skew)
    assert one(mira, 1600.0)["since"] == 1000.0


def test_a_start_in_the_future_is_now() -> None:
    assert one(learner("Mira", row(FIRST, started=9e9)), 1600.0)["since"] == 1600.0


def test_those_who_are_stuck_longest_come_first() -> None:
    people = [
        learner("Ada", row(FIRST, passed=True, started=900.0, checked=1000.0), number=1),
        learner("Ben", row(FIRST, started=500.0), number=2),
        learner("Eve", row(FIRST, started=100.0), number=3),
        learner("Mira", row(FIRST, started=2000.0), number=4),
        learner("Teo", number=5),
    ]
    found = view.of(people, 2100.0)
    assert [each["name"] for each in found["learners"]] == ["Eve", "Ben", "Mira", "Ada", "Teo"]
    assert [each["mark"] for each in found["learners"]] == ["stuck", "stuck", "working", "passed", "waiting"]
    (only,) = found["exercises"]
    assert (only["begun"], only["passed"], only["here"], only["stuck"]) == (4, 1, 3, 2)


def test_exercises_are_in_the_courses_order_and_one_that_the_course_does_not_know_comes_last() -> None:
    found = view.of([learner("Mira", row("99-later/new"), row(SECOND), row(FIRST))], 1000.0)
    assert [each["exercise"] for each in found["exercises"]] == [FIRST, SECOND, "99-later/new"]


def test_what_goes_wrong_most_is_what_most_learners_met_whatever_their_pods_are_called() -> None:
    people = [
        learner("Ada", row(FIRST, "chat-7d9f8b6c5d-x2x4v is Pending", "the taint is gone"), number=1),
        learner("Ben", row(FIRST, "chat-84c5fd7b9c-kq8zd is Pending"), number=2),
        learner("Eve", row(FIRST, failures=[{"headline": "the taint is gone", "times": 9}]), number=3),
        learner("Mira", row(SECOND, failures=[{"headline": "the taint is gone", "times": 30}]), number=4),
    ]
    found = [(each["exercise"], each["words"], each["learners"], each["times"]) for each in view.of(people, 1000.0)["wrong"]]
    assert found == [
        (FIRST, "the taint is gone", 2, 10),
        (FIRST, "chat-… is Pending", 2, 2),
        (SECOND, "the taint is gone", 1, 30),
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "=cmd|' /C calc'!A0"])
def test_no_spreadsheet_takes_a_learners_words_for_a_formula(name: str) -> None:
    mira = Learner(1, "key", name, joined=0.0, seen=1000.0, sitting=0.0, report=report.checked(told("Mira", row(FIRST, "=2+2"))))
    head, first = csv.reader(io.StringIO(sheets.as_csv([mira], 1000.0)))
    cells = dict(zip(head, first, strict=True))
    assert (cells["learner"], cells["headline"]) == (f"'{name}", "'=2+2")


def test_the_sheet_has_a_line_for_each_exercise_and_one_for_who_began_none() -> None:
    people = [learner("Mira", row(FIRST, passed=True, checked=200.0), row(SECOND, 'say "no", please'), number=1), learner("Teo", number=2)]
    rows = list(csv.DictReader(io.StringIO(sheets.as_csv(people, 1000.0))))
    assert [(each["learner"], each["exercise"], each["passed"]) for each in rows] == [
        ("Mira", FIRST, "yes"),
        ("Mira", SECOND, "no"),
        ("Teo", "", ""),
    ]
    assert rows[0]["started"] == "1970-01-01T00:01:40Z"
    assert rows[1]["headline"] == 'say "no", please'
    found = json.loads(sheets.as_json(people, 1000.0))
    assert [each["learner"] for each in found["details"]] == ["Mira", "Mira", "Teo"]
    assert {each["name"] for each in found["learners"]} == {"Mira", "Teo"}
