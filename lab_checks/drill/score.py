"""The score of a drill: six lines of points, and the verdict that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab_checks.engine import verdict
from lab_checks.engine.verdict import Outcome, Seen, Verdict

CAUSE, EVIDENCE, ORDER, COLLATERAL, TIME, UPDATE = "cause", "evidence", "order", "collateral", "time", "update"
# The most points of each line: 100 together.
POINTS: Mapping[str, int] = {CAUSE: 25, EVIDENCE: 20, ORDER: 15, COLLATERAL: 20, TIME: 10, UPDATE: 10}
PASS = 80
# Minutes until the service answers again: up to the first all points, from the second on none.
FAST, SLOW = 15.0, 60.0


@dataclass(frozen=True)
class Line:
    """One line of the score: `points` of `of`, and `why` in a sentence."""

    name: str
    points: float
    of: int
    why: str

    @property
    def told(self) -> str:
        return f"{self.points:g} of {self.of}: {self.why}"


@dataclass(frozen=True)
class Score:
    """`open` is what still keeps the service from being restored (None where it is), `idle` whether nothing was done yet.

    `untouched` says that nothing was changed yet, whatever was handed in.
    """

    lines: tuple[Line, ...]
    open: Verdict | None = None
    idle: bool = False
    again: str = ""
    untouched: bool = False

    @property
    def total(self) -> float:
        return sum(each.points for each in self.lines)

    @property
    def restored(self) -> bool:
        return self.open is None

    @property
    def passed(self) -> bool:
        """Restored, with enough points, and no line but the time without any."""
        return self.restored and self.total >= PASS and not any(each.points == 0 for each in self.lines if each.name != TIME)

    def line(self, name: str) -> Line:
        return next(each for each in self.lines if each.name == name)

    def verdict(self) -> Verdict:
        """The score as the verdict on an exercise."""
        seen = tuple(Seen(each.name, "", each.told) for each in self.lines)
        if self.idle:
            return replace(verdict.not_yet("nothing was done yet", expected="the cause, then the fix", next=_NEXT), idle=True)
        if self.open is not None:
            done = replace(self.open, credit=min(self.total / 200, 0.5))
            if done.outcome is Outcome.ERROR:
                return done
            return self._unchanged(done, seen) if self.untouched else replace(done, seen=(*done.seen, *seen))
        if self.passed:
            return verdict.passed("the service is restored, and the incident was handled well", *seen)
        lost = max((each for each in self.lines), key=lambda each: (each.points == 0 and each.name != TIME, each.of - each.points))
        return verdict.failed(
            f"the service is restored, and the drill is not passed: {lost.name} has {lost.points:g} of {lost.of} points",
            *seen,
            expected=f"{PASS} of 100 points, and no line but the time at 0",
            next=_WHERE.get(lost.name) or f"{self.again} starts the same drill again",
            credit=min(self.total / 100, 0.9),
        )

    def _unchanged(self, found: Verdict, seen: tuple[Seen, ...]) -> Verdict:
        """Not yet: what was handed in is judged, and the service waits for its fix."""
        shown = all(each.points == each.of for each in self.lines if each.name in (CAUSE, EVIDENCE))
        said = verdict.not_yet(
            "the cause is named and shown, and nothing was changed yet" if shown else "the cause is not shown yet, and nothing was changed",
            *seen,
            expected="the fix, and nothing else changed" if shown else "the cause and the lines that show it, then the fix",
            next="restore the service, then check again" if shown else _WHERE[CAUSE],
        )
        return replace(said, idle=True, credit=found.credit)

    def to_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "of": sum(POINTS.values()),
            "passed": self.passed,
            "restored": self.restored,
            "lines": [{"name": each.name, "points": each.points, "of": each.of, "why": each.why} for each in self.lines],
        }


_NEXT = "read first: kubectl get pods -A, then the events of the namespace that is not well"
_WHERE = {
    CAUSE: "ai-lab drill answer --service NAME --cause CAUSE --evidence LINE; ai-lab drill causes lists them",
    EVIDENCE: "ai-lab drill answer --service NAME --cause CAUSE --evidence LINE, with lines that kubectl printed",
    UPDATE: 'ai-lab drill answer --update "TEXT"',
}


def time_points(minutes: float) -> float:
    """Points for the minutes until the service was restored."""
    share = 1.0 if minutes <= FAST else max(0.0, (SLOW - minutes) / (SLOW - FAST))
    return round(POINTS[TIME] * share, 1)
