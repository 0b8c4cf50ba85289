"""What a class does, read off its reports: who passed, who is stuck since when, and which wrong way is the common one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from kubeobjects import Object


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


@dataclass(frozen=True)
class Wrong:
    """What a check said when it failed: how many learners it was said to, and how many times in all."""

    exercise: str
    words: str
    learners: int
    times: int


# The end of a Pod's name: the hash of its template and five characters, in the alphabet of
# https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go. It is another one on each cluster.
_POD = re.compile(r"(?<=[a-z0-9]-)[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b")


@lru_cache(20_000)
def _alike(headline: str) -> str:
    """What a check says, without what differs from cluster to cluster."""
    return _POD.sub("…", headline)


def by_check(reports: Iterable[Object]) -> list[Wrong]:
    """What goes wrong most: what was said to most learners comes first, and among equals what was said most often."""
    learners: defaultdict[tuple[str, str], int] = defaultdict(int)
    times: defaultdict[tuple[str, str], int] = defaultdict(int)
    for report in reports:
        said = set()
        for row in report["exercises"]:
            for failure in row.get("failures", ()):
                key = row["exercise"], _alike(failure["headline"])
                times[key] += failure.get("times", 1)
                said.add(key)
        for key in said:
            learners[key] += 1
    found = [Wrong(exercise, words, count, times[exercise, words]) for (exercise, words), count in learners.items()]
    return sorted(found, key=lambda one: (-one.learners, -one.times, one.exercise, one.words))


def by_exercise(reports: Iterable[Object]) -> list[ExerciseSummary]:
    """The exercises in course order, each with who passed, who is stuck and what goes wrong most."""
    told: dict[str, list[tuple[str, Object]]] = {}
    for report in reports:
        for row in report["exercises"]:
            told.setdefault(row["exercise"], []).append((report["learner"], row))
    found = []
    for exercise, each in told.items():
        begun = [(learner, row) for learner, row in each if row.get("started")]
        wrong = Counter(words for _, row in begun for words in dict.fromkeys(_alike(each["headline"]) for each in row.get("failures", ())))
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
