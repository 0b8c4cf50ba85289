"""What is told of a learner: how each exercise stands, in numbers, times and the words of verdicts. No commands, no answers, no evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kubeobjects import Object
from lab_checks.engine import course, learner
from lab_checks.engine.course import Exercise
from lab_checks.engine.progress import Progress
from lab_checks.redact import redact

TOLD = (
    "What is sent: your name; which exercises you started; how each stands; how many checks and hints it took; when; and the headlines of your "
    "verdicts, with secrets, tokens and addresses masked. Answers, commands, evidence, notebooks and kubectl's output are never sent."
)
# Rises when a report says something that an earlier server cannot read.
FORMAT = 1
# What one report may hold; a longer headline is cut.
MOST_EXERCISES, MOST_FAILURES, LONGEST = 200, 5, 300
_LONGEST_WORD = 40
_SENT = ("exercise", "state", "passed", "started", "last_start", "last_check", "checks", "hints", "headline", "failures")


def rows_of(progress: Progress, exercises: Iterable[Exercise]) -> list[Object]:
    """Every exercise and how it stands with this learner; times are seconds since the epoch. Raises StoreError."""
    found = []
    for exercise in exercises:
        standing = progress.standing(exercise.key)
        state = standing.state(exercise.version)
        found.append(
            {
                "exercise": exercise.key,
                "title": exercise.title,
                "version": exercise.version,
                "state": state,
                "passed": standing.passed_version == exercise.version,
                "passed_version": standing.passed_version,
                "passed_at": standing.passed_at or None,
                "checks": standing.tries,
                "hints": standing.hints,
                "last": standing.last,
                "credit": standing.credit,
                "started": standing.first_start or None,
                "last_start": standing.last_start or None,
                "last_check": standing.last_at or None,
                # A headline quotes the cluster, and this report is handed in. What was said of an earlier start is not said of this one.
                "headline": redact(standing.last_headline).text if state != "started" else "",
                "failures": [
                    {"headline": redact(headline).text, "times": times} for headline, times in progress.failures(exercise.key)
                ] if standing.tries else [],
            }
        )  # fmt: skip
    return found


def of(state: Path, name: str) -> Object:
    """The report of the learner whose progress is in `state`: all of it, so that one that is lost is made up for by the next. Raises StoreError."""
    exercises, progress = course.load().exercises, Progress(state)
    begun = progress.begun()
    rows = rows_of(progress, [each for each in exercises if each.key in begun])
    # The newest, where a course is longer than a report may be.
    kept = {row["exercise"] for row in sorted(rows, key=_touched, reverse=True)[:MOST_EXERCISES]}
    return {
        "format": FORMAT,
        "name": name,
        "at": time.time(),
        "of": len(exercises),
        "exercises": [
            {each: row[each] for each in _SENT}
            | {
                "headline": row["headline"][:LONGEST],
                "failures": [{**each, "headline": each["headline"][:LONGEST]} for each in row["failures"][:MOST_FAILURES]],
            }
            for row in rows
            if row["exercise"] in kept
        ],
    }


def _touched(row: Object) -> float:
    return max(row["last_start"] or 0.0, row["last_check"] or 0.0)


# Reports that came in


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _count(value: object) -> bool:
    return isinstance(value, int) and _number(value)


def _moment(value: object) -> bool:
    return value is None or _number(value)


_SHAPE: dict[str, Callable[[object], bool]] = {
    "exercise": lambda value: isinstance(value, str) and value.isprintable() and 0 < len(value) < 200,
    "passed": lambda value: isinstance(value, bool),
    "checks": _number,
    "hints": _number,
    "started": _moment,
    "last_check": _moment,
}
# What a class's server asks for besides.
_STRICT: dict[str, Callable[[object], bool]] = {"checks": _count, "hints": _count, "last_start": _moment}


def wrong(row: object) -> str:
    """The first field of an exercise's row that is missing or is something else; empty for a row that is whole."""
    if not isinstance(row, dict):
        return "row"
    for name, right in _SHAPE.items():
        if not right(row.get(name)):
            return name
    failures = row.get("failures", [])
    whole = isinstance(failures, list) and all(isinstance(each, dict) and isinstance(each.get("headline"), str) for each in failures)
    return "" if whole else "failures"


def checked(data: object) -> Object:
    """A report as a class keeps it: what belongs in one, within its limits, and nothing else. Raises ValueError, with the reason in words."""
    if not isinstance(data, dict) or not isinstance(data.get("exercises"), list):
        raise ValueError("this is no report")
    if not (_number(data.get("at")) and _count(data.get("of"))):
        raise ValueError("the report has no time, or no number of exercises")
    if len(data["exercises"]) > MOST_EXERCISES:
        raise ValueError(f"the report has {len(data['exercises'])} exercises, and at most {MOST_EXERCISES} are taken")
    found: dict[str, Object] = {}
    for number, row in enumerate(data["exercises"], 1):
        field = wrong(row) or next((name for name, right in _STRICT.items() if not right(row.get(name))), "")
        if field:
            raise ValueError(f"exercise {number} of the report has no {field} that can be read")
        found[row["exercise"]] = {
            **{name: row.get(name) for name in ("exercise", "passed", "started", "last_start", "last_check", "checks", "hints")},
            "state": _line(row.get("state"), _LONGEST_WORD),
            "headline": _line(row.get("headline"), LONGEST),
            "failures": [
                {"headline": _line(each["headline"], LONGEST), "times": each["times"] if _count(each.get("times")) else 1}
                for each in row.get("failures", [])[:MOST_FAILURES]
            ],
        }
    return {"format": FORMAT, "name": given_name(data.get("name")), "at": data["at"], "of": data["of"], "exercises": list(found.values())}


def given_name(value: object) -> str:
    """A learner's name out of a request. Raises ValueError, with the reason in words."""
    found = " ".join(value.split()) if isinstance(value, str) else ""
    if not learner.plain(found):
        raise ValueError("a learner needs a name")
    if len(found) > learner.LONGEST:
        raise ValueError(f"a name has at most {learner.LONGEST} characters; this one has {len(found)}")
    return learner.plain(found)


def _line(value: object, longest: int) -> str:
    """Text from a learner's machine, on one line."""
    text = " ".join(value[: 2 * longest].split()) if isinstance(value, str) else ""
    return (text if text.isprintable() else "".join(filter(str.isprintable, text)))[:longest]
