"""Timetables for a class: half a day, one day, two days, as `timetables.toml` says. What a lab takes stands in its own lab.toml."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_checks.engine.course import Course

PLANS = ("half", "1", "2")
LAB, TEST, BREAK, TALK = KINDS = ("lab", "test", "break", "talk")
_DATA = Path(__file__).with_name("timetables.toml")
_MIDNIGHT = 24 * 60


class Unworkable(ValueError):
    """A timetable that no class can keep; the message says where."""


@dataclass(frozen=True)
class Row:
    """`begins` is in minutes since midnight, `minutes` is how long it takes; `command` is what learners type, where they type something."""

    begins: int
    minutes: int
    kind: str
    what: str
    command: str = ""

    @property
    def ends(self) -> int:
        return self.begins + self.minutes


@dataclass(frozen=True)
class Timetable:
    """`days` are the rows of each day, in order and without a gap."""

    plan: str
    title: str
    days: tuple[tuple[Row, ...], ...]

    @property
    def minutes(self) -> dict[str, int]:
        """All minutes by kind."""
        found: Counter[str] = Counter()
        for row in self.rows:
            found[row.kind] += row.minutes
        return {kind: found[kind] for kind in KINDS if found[kind]}

    @property
    def rows(self) -> list[Row]:
        return [row for day in self.days for row in day]

    def to_json(self) -> dict[str, Any]:
        days = [
            {
                "day": number,
                "begins": clock(day[0].begins),
                "ends": clock(day[-1].ends),
                "minutes": sum(row.minutes for row in day),
                "rows": [
                    {
                        "begins": clock(row.begins),
                        "ends": clock(row.ends),
                        "minutes": row.minutes,
                        "kind": row.kind,
                        "what": row.what,
                        "command": row.command,
                    }
                    for row in day
                ],
            }
            for number, day in enumerate(self.days, 1)
        ]
        return {"plan": self.plan, "title": self.title, "minutes": sum(self.minutes.values()), "by_kind": self.minutes, "days": days}


def clock(minutes: int) -> str:
    """Minutes since midnight as people write them: 09:05."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def minutes_of(text: str) -> int:
    """Minutes since midnight of `9:05` or `09:05`. Raises Unworkable."""
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(hours) < 24 and int(minutes) < 60):
        raise Unworkable(f'"{text}" is no time of day')
    return int(hours) * 60 + int(minutes)


def data() -> dict[str, Any]:
    return tomllib.loads(_DATA.read_text(encoding="utf-8"))


def load(course: Course, plan: str, begins: str = "", told: dict[str, Any] | None = None) -> Timetable:
    """The timetable of `plan`, one of PLANS; `begins` ("08:30") moves all its days. `told` stands for the file's data. Raises Unworkable, UnknownName."""
    told = data() if told is None else told
    shift = minutes_of(begins or told["begins"]) - minutes_of(told["begins"])
    days = [
        _day(course, f"day {number}", day, minutes_of(told["begins"]) + shift, minutes_of(day["ends"]) + shift, told)
        for number, day in enumerate(told[plan]["day"], 1)
    ]
    return Timetable(plan, told[plan]["title"], tuple(days))


def _day(course: Course, name: str, day: dict[str, Any], begins: int, ends: int, told: dict[str, Any]) -> tuple[Row, ...]:
    found: list[Row] = []
    at = begins
    sitting = 0
    for each in day["rows"]:
        row = _row(course, each, at, told)
        sitting = 0 if row.kind == BREAK else sitting + row.minutes
        if sitting > told["longest_sitting"]:
            raise Unworkable(f"{name}: {sitting} minutes without a break until the end of {row.what}")
        at = row.ends
        found.append(row)
    if at > ends:
        raise Unworkable(f"{name} ends at {clock(at)}, {at - ends} minutes after {clock(ends)}")
    if at > _MIDNIGHT:
        raise Unworkable(f"{name} goes on after midnight")
    return tuple(found)


def _row(course: Course, each: dict[str, Any], at: int, told: dict[str, Any]) -> Row:
    if LAB in each:
        lab = course.lab(each[LAB])
        return Row(at, lab.minutes, LAB, f"{lab.id}: {lab.title}", f"ai-lab start {lab.id}")
    if TEST in each:
        when = {"pre": "Test before", "post": "Test after"}[each[TEST]]
        return Row(at, told["test_minutes"], TEST, f"{when}: ten questions", f"ai-lab teach test {each[TEST]}")
    kind = BREAK if BREAK in each else TALK
    return Row(at, each["minutes"], kind, each[kind])
