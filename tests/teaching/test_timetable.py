"""Timetables: the sums hold, nobody sits too long, and what cannot be kept is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lab_checks.engine import course
from lab_checks.teaching import timetable
from tests.cli.test_command import run

COURSE = course.load()


@pytest.mark.parametrize("plan", timetable.PLANS)
def test_every_row_begins_where_the_one_before_ends_and_the_sums_hold(plan: str, tmp_path: Path) -> None:
    done = run(tmp_path, "teach", "timetable", "--days", plan, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    rows = [row for day in told["days"] for row in day["rows"]]
    assert (
        told["minutes"]
        == sum(row["minutes"] for row in rows)
        == sum(day["minutes"] for day in told["days"])
        == sum(told["by_kind"].values())
    )
    for day in told["days"]:
        at = timetable.minutes_of(day["begins"])
        for row in day["rows"]:
            assert timetable.minutes_of(row["begins"]) == at
            at += row["minutes"]
            assert timetable.minutes_of(row["ends"]) == at
        assert timetable.minutes_of(day["ends"]) == at
    assert len(told["days"]) == (2 if plan == "2" else 1)


@pytest.mark.parametrize("plan", timetable.PLANS)
def test_labs_take_what_their_tables_say_and_stand_in_the_courses_order(plan: str) -> None:
    rows = [row for row in timetable.load(COURSE, plan).rows if row.kind == timetable.LAB]
    names = [row.what.partition(":")[0] for row in rows]
    assert [row.minutes for row in rows] == [COURSE.lab(name).minutes for name in names]
    order = [lab.id for lab in COURSE.labs]
    assert names == sorted(set(names), key=order.index)


@pytest.mark.parametrize("plan", timetable.PLANS)
def test_a_class_begins_with_one_test_and_ends_with_the_other(plan: str) -> None:
    found = timetable.load(COURSE, plan)
    tests = [row.command for row in found.rows if row.kind == timetable.TEST]
    assert tests == ["ai-lab teach test pre", "ai-lab teach test post"]


def test_half_a_day_is_shorter_than_a_day() -> None:
    half, one, two = (sum(timetable.load(COURSE, plan).minutes.values()) for plan in timetable.PLANS)
    assert half <= 240 < one <= 480 < two <= 960


def test_a_day_begins_when_it_is_told_to(tmp_path: Path) -> None:
    said = run(tmp_path, "teach", "timetable", "--days", "half", "--from", "13:30").stdout
    assert "13:30-13:40" in said
    for given, words in (("25:00", "no time of day"), ("9", "no time of day"), ("12:7", "no time of day"), ("18:00", "after midnight")):
        done = run(tmp_path, "teach", "timetable", "--days", "1", "--from", given)
        assert done.returncode == 2
        assert words in done.stderr
    assert run(tmp_path, "teach", "timetable", "--days", "7").returncode == 2


def changed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    told = copy.deepcopy(timetable.data())
    told["half"]["day"][0]["rows"] = rows
    return told


def test_a_day_that_is_too_full_is_refused() -> None:
    full = [
        {"lab": "03-pending"},
        {"break": "Break", "minutes": 15},
        {"lab": "04-not-ready"},
        {"break": "Break", "minutes": 15},
        {"lab": "05-oom"},
    ]
    with pytest.raises(timetable.Unworkable, match="day 1 ends at 13:30, 30 minutes after 13:00"):
        timetable.load(COURSE, "half", told=changed([*full, {"talk": "Questions", "minutes": 45}]))


def test_a_sitting_without_a_break_is_refused() -> None:
    with pytest.raises(timetable.Unworkable, match="150 minutes without a break until the end of 04-not-ready"):
        timetable.load(COURSE, "half", told=changed([{"lab": "03-pending"}, {"lab": "04-not-ready"}]))


def test_a_lab_that_is_none_is_refused() -> None:
    with pytest.raises(course.UnknownName, match="did you mean 03-pending"):
        timetable.load(COURSE, "half", told=changed([{"lab": "03-pendng"}]))
