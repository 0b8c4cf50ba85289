"""For instructors: one machine's standing as JSON, and many of them read together.

`machine(session)` goes out (`ai-lab check --all --json`), a list of such reports comes in, and `summary` says who is stuck where, since when, and which
wrong way is the common one. Nothing here looks at a cluster.
"""

from __future__ import annotations

import getpass
import json
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_checks.redact import redact

if TYPE_CHECKING:
    from lab_checks.session import Session

Object = dict[str, Any]


class NotAReport(ValueError):
    """A file that holds no report; the message names it and says how one is made."""


def rows(session: Session) -> list[Object]:
    """Every exercise of the course and how it stands with this learner."""
    found = []
    for exercise, standing in session.standings():
        found.append(
            {
                "exercise": exercise.key,
                "title": exercise.title,
                "version": exercise.version,
                "passed": standing.passed_version == exercise.version,
                "passed_version": standing.passed_version,
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
    """This machine's report: who (the login name and the machine's), and every exercise; times are seconds since the epoch.

    What verdicts quote of the cluster is masked, as it is for an assistant; the learner's own name is what the report is for.
    """
    found = rows(session)
    return {
        "learner": f"{_login()}@{platform.node()}",
        "exercises": found,
        "passed": sum(row["passed"] for row in found),
        "of": len(found),
    }


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have a number and no name.
        return "learner"


def read(path: Path) -> list[Object]:
    """The reports of a file, or of every .json file in a folder. Raises NotAReport."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise NotAReport(f"{path} holds no .json file; each learner's machine makes one: ai-lab check --all --json > NAME.json")
    found = []
    for each in files:
        try:
            data = json.loads(each.read_text())
            rows_of = data["exercises"]
            found.append({"learner": each.stem, **data, "exercises": [*rows_of]})
        except (OSError, ValueError, KeyError, TypeError) as problem:
            words = problem.strerror if isinstance(problem, OSError) else "it is no report"
            raise NotAReport(f"{each}: {words}; a report is what `ai-lab check --all --json` prints") from None
    return found


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
