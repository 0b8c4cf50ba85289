"""For instructors: one machine's standing as JSON, and many of them read together.

`machine(session)` goes out (`ai-lab check --all --json`), a list of such reports comes in, and `summary` says who is stuck where, since when, and which
wrong way is the common one. Nothing here looks at a cluster.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubeobjects import Object
from lab_checks.engine import learner
from lab_checks.face import wording
from lab_checks.redact import redact

if TYPE_CHECKING:
    from lab_checks.engine.course import Lab
    from lab_checks.engine.session import Session


# Rises when a report of this version says something that an earlier one cannot read.
FORMAT = 1
_MADE = "a report is what `ai-lab check --all --json` prints"


class NotAReport(ValueError):
    """A file that holds no report; the message names it, with the reason."""


def rows(session: Session, lab: Lab | None = None) -> list[Object]:
    """Every exercise of the course, or of one lab, and how it stands with this learner."""
    found = []
    for exercise, standing in session.standings(lab):
        found.append(
            {
                "exercise": exercise.key,
                "title": exercise.title,
                "version": exercise.version,
                "state": wording.state(exercise, standing),
                "passed": standing.passed_version == exercise.version,
                "passed_version": standing.passed_version,
                "passed_at": standing.passed_at or None,
                "checks": standing.tries,
                "hints": standing.hints,
                "last": standing.last,
                "credit": standing.credit,
                "started": standing.first_start or None,
                "last_check": standing.last_at or None,
                "failures": [
                    # A headline quotes the cluster, and this report is handed in.
                    {"headline": redact(headline).text, "times": times}
                    for headline, times in session.progress.failures(exercise.key)
                ],
            }
        )
    return found


def machine(session: Session) -> Object:
    """This machine's report: who (see `learner`), when, and every exercise; times are seconds since the epoch.

    What verdicts quote of the cluster is masked, as it is for an assistant; the learner's own name is what the report is for.
    """
    found = rows(session)
    return {
        "format": FORMAT,
        "learner": learner.name(session.state),
        "machine": learner.account(),
        "at": time.time(),
        "exercises": found,
        "passed": sum(row["passed"] for row in found),
        "of": len(found),
    }


def read_all(places: Iterable[Path]) -> tuple[list[Object], list[NotAReport]]:
    """The reports of these files, and of every .json file in these folders; and what could not be read, each with its reason.

    Learners of the same name are told apart by their files' names.
    """
    found: list[tuple[Path, Object]] = []
    problems = []
    for place in places:
        try:
            for path in _files(place):
                try:
                    if path != place and path.is_fifo():
                        raise NotAReport(f"{path}: it is no file; {_MADE}")
                    found.append((path, read(path)))
                except NotAReport as problem:
                    problems.append(problem)
        except NotAReport as problem:
            problems.append(problem)
    names = Counter(report["learner"] for _, report in found)
    for path, report in found:
        if names[report["learner"]] > 1:
            report["learner"] += f" ({path.stem})"
    return [report for _, report in found], problems


def _files(place: Path) -> list[Path]:
    """The file itself, or a folder's .json files in order. Raises NotAReport where there are none."""
    try:
        if not place.is_dir():
            return [place]
        files = sorted(path for path in place.iterdir() if path.suffix == ".json")
    except OSError as problem:
        raise NotAReport(f"{place}: {problem.strerror}") from None
    if not files:
        raise NotAReport(f"{place} holds no .json file; each learner's machine makes one: ai-lab check --all --json > NAME.json")
    return files


def read(path: Path) -> Object:
    """The report in a file. Raises NotAReport."""
    try:
        if path.is_dir():
            raise NotAReport(f"{path}: it is a folder; {_MADE}")
        raw = path.read_bytes()
    except OSError as problem:
        raise NotAReport(f"{path}: {problem.strerror}; {_MADE}") from None
    try:
        return _report(raw, path.stem)
    except NotAReport as problem:
        raise NotAReport(f"{path}: {problem}; {_MADE}") from None


def _report(raw: bytes, stem: str) -> Object:
    if not raw.strip():
        raise NotAReport("it is empty")
    try:
        data = json.loads(raw)
    except UnicodeDecodeError:
        raise NotAReport("it is not text") from None
    except json.JSONDecodeError as problem:
        raise NotAReport(f"it is not JSON (line {problem.lineno}: {problem.msg})") from None
    except (ValueError, RecursionError):
        raise NotAReport("it is not JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("exercises"), list):
        raise NotAReport("it is JSON, and no report")
    if data.get("format", FORMAT) != FORMAT:
        raise NotAReport(f"another version of ai-lab made it (format {data['format']!s:.20}; this one reads {FORMAT})")
    for number, row in enumerate(data["exercises"], 1):
        wrong = _wrong(row)
        if wrong:
            raise NotAReport(
                f"exercise {number} of it has no {wrong} that can be read: it is no report, or another version of ai-lab made it"
            )
    name = data.get("learner", stem)
    # A report comes from a learner's machine: what it says is shown on one line, and no longer than a name.
    return {**data, "learner": learner.plain(name if isinstance(name, str) else "") or stem}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


_SHAPE = {
    "exercise": lambda value: isinstance(value, str) and value.isprintable() and 0 < len(value) < 200,
    "passed": lambda value: isinstance(value, bool),
    "checks": _number,
    "hints": _number,
    "started": lambda value: value is None or _number(value),
    "last_check": lambda value: value is None or _number(value),
}


def _wrong(row: object) -> str:
    """The first field of an exercise's row that is missing or is something else; empty for a row that is whole."""
    if not isinstance(row, dict):
        return "row"
    for name, right in _SHAPE.items():
        if not right(row.get(name)):
            return name
    failures = row.get("failures", [])
    whole = isinstance(failures, list) and all(isinstance(each, dict) and isinstance(each.get("headline"), str) for each in failures)
    return "" if whole else "failures"


@dataclass(frozen=True)
class Stuck:
    """A learner who began an exercise and has not passed it; `since` is the first start, in seconds since the epoch."""

    learner: str
    since: float
    checks: int
    hints: int


@dataclass(frozen=True)
class ExerciseSummary:
    """One exercise over all learners. `common` is the wrong verdict that most learners met, with how many of them."""

    exercise: str
    passed: int
    begun: int
    checks: int
    stuck: tuple[Stuck, ...]
    common: str
    common_learners: int


@dataclass(frozen=True)
class LearnerSummary:
    learner: str
    passed: int
    of: int
    at: str


def by_exercise(reports: Iterable[Object]) -> list[ExerciseSummary]:
    """The exercises in course order, each with who passed, who is stuck and what goes wrong most."""
    told: dict[str, list[tuple[str, Object]]] = {}
    for report in reports:
        for row in report["exercises"]:
            told.setdefault(row["exercise"], []).append((report["learner"], row))
    found = []
    for exercise, each in told.items():
        begun = [(learner, row) for learner, row in each if row.get("started")]
        wrong = Counter(failure["headline"] for _, row in begun for failure in row.get("failures", ()))
        common, learners = wrong.most_common(1)[0] if wrong else ("", 0)
        stuck = [Stuck(learner, row["started"], row["checks"], row["hints"]) for learner, row in begun if not row["passed"]]
        found.append(
            ExerciseSummary(
                exercise,
                passed=sum(row["passed"] for _, row in each),
                begun=len(begun),
                checks=sum(row["checks"] for _, row in begun),
                stuck=tuple(sorted(stuck, key=lambda one: one.since)),
                common=common,
                common_learners=learners,
            )
        )
    return found


def by_learner(reports: Iterable[Object]) -> list[LearnerSummary]:
    """The learners, those with the fewest passed exercises first, and the exercise that each works on."""
    found = []
    for report in reports:
        open_ones = [row for row in report["exercises"] if row.get("started") and not row["passed"]]
        newest = max(open_ones, key=lambda row: row.get("last_check") or row["started"], default=None)
        passed = sum(row["passed"] for row in report["exercises"])
        found.append(LearnerSummary(report["learner"], passed, len(report["exercises"]), newest["exercise"] if newest else ""))
    return sorted(found, key=lambda one: (one.passed, one.learner))


def to_json(reports: list[Object]) -> Object:
    return {
        "exercises": [asdict(each) for each in by_exercise(reports)],
        "learners": [asdict(each) for each in by_learner(reports)],
    }
