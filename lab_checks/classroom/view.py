"""What an instructor sees of a class: the learners and where they are, the exercises, and what goes wrong most. Out of memory, without a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from kubeobjects import Object
from lab_checks.classroom.roll import SITTING_ENDS, Learner
from lab_checks.classroom.summary import by_check
from lab_checks.engine import course

STUCK_AFTER = 15 * 60.0  # seconds on one exercise without a pass
_MOST_WRONG = 20
# In the order in which an instructor wants them.
MARKS = ("stuck", "working", "passed", "waiting", "away", "left")


@cache
def _titles() -> dict[str, str]:
    return {each.key: each.title for each in course.load().exercises}


def named(learners: Iterable[Learner]) -> dict[int, str]:
    """The names by id; those who have the same are numbered in the order in which they joined."""
    found: dict[int, str] = {}
    seen: Counter[str] = Counter()
    for each in learners:
        seen[each.name] += 1
        found[each.id] = each.name if seen[each.name] == 1 else f"{each.name} ({seen[each.name]})"
    return found


def _rows(learner: Learner) -> list[Object]:
    """The exercises of a learner, with times by the server's clock."""
    rows, skew = learner.report.get("exercises", []), learner.skew
    if not skew:
        return list(rows)
    return [row | {name: row[name] + skew if row[name] else None for name in ("started", "last_start", "last_check")} for row in rows]


def _touched(row: Object) -> float:
    return max(row["last_start"] or row["started"] or 0.0, row["last_check"] or 0.0)


def learner_row(learner: Learner, name: str, now: float, stuck_after: float) -> Object:
    """Where a learner is. `since` is when that began: the exercise, the last pass before it, or this sitting, whichever came last."""
    rows = _rows(learner)
    here = max(rows, key=_touched, default=None)
    since, mark = learner.sitting, "waiting"
    if here is not None:
        passes = [row["last_check"] or 0.0 for row in rows if row["passed"] and row is not here]
        passed = here["passed"]
        since = _touched(here) if passed else max(here["started"] or 0.0, learner.sitting, *passes)
        since = min(since, now)
        mark = "passed" if passed else "stuck" if now - since >= stuck_after else "working"
    if learner.gone:
        mark = "left"
    elif now - learner.seen > SITTING_ENDS:
        mark = "away"
    return {
        "id": learner.id,
        "name": name,
        "mark": mark,
        "exercise": here["exercise"] if here else "",
        "title": _titles().get(here["exercise"], "") if here else "",
        "state": here["state"] if here else "",
        "since": since,
        "seen": learner.gone or learner.seen,
        "checks": here["checks"] if here else 0,
        "hints": here["hints"] if here else 0,
        "words": here["headline"] if here else "",
        "passed": sum(row["passed"] for row in rows),
        "of": learner.report.get("of", len(_titles())),
    }


def of(learners: list[Learner], now: float, stuck_after: float = STUCK_AFTER) -> Object:
    """Everything on the page; `now` and all times are seconds since the epoch, `stuck_after` is in seconds."""
    names = named(learners)
    people = [learner_row(each, names[each.id], now, stuck_after) for each in learners]
    wrong = by_check(each.report for each in learners if each.report)
    return {
        "title": course.load().title,
        "now": now,
        "stuck_after": stuck_after,
        "learners": sorted(people, key=lambda row: (MARKS.index(row["mark"]), row["since"], row["name"])),
        "exercises": _exercises(learners, people),
        "wrong": [
            {"exercise": each.exercise, "title": _titles().get(each.exercise, ""), "words": each.words, "learners": each.learners, "times": each.times}
            for each in wrong[:_MOST_WRONG]
        ],
    }  # fmt: skip


_SUMMED = ("begun", "passed", "checks", "hints")


def _exercises(learners: list[Learner], people: list[Object]) -> list[Object]:
    """The exercises that somebody began, in the course's order."""
    here = Counter(row["exercise"] for row in people if row["mark"] in ("stuck", "working"))
    stuck = Counter(row["exercise"] for row in people if row["mark"] == "stuck")
    sums: dict[str, dict[str, int]] = {}
    for learner in learners:
        for row in learner.report.get("exercises", ()):
            found = sums.setdefault(row["exercise"], dict.fromkeys(_SUMMED, 0))
            found["begun"] += 1
            for name in _SUMMED[1:]:
                found[name] += row[name]
    order = {key: number for number, key in enumerate(_titles())}
    return [
        {"exercise": key, "title": _titles().get(key, ""), "here": here[key], "stuck": stuck[key]} | sums[key]
        for key in sorted(sums, key=lambda key: (order.get(key, len(order)), key))
    ]


def details(learners: list[Learner], now: float, stuck_after: float = STUCK_AFTER) -> list[dict[str, Any]]:
    """One row for each learner and exercise, and one for a learner who began none."""
    names = named(learners)
    found: list[dict[str, Any]] = []
    for each in learners:
        person = {"learner": names[each.id], "mark": learner_row(each, names[each.id], now, stuck_after)["mark"], "last_seen": each.seen}
        rows = _rows(each)
        for row in rows:
            found.append(
                person
                | {name: row[name] for name in ("exercise", "state", "passed", "started", "last_check", "checks", "hints", "headline")}
            )
        if not rows:
            found.append(person)
    return found
