"""What a check says: one of four outcomes, what was seen on the cluster, what was expected, and one next place to look."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """`FAILED`: the cluster shows something wrong. `NOT_YET`: it is still moving, or nothing was done. `ERROR`: the checker's fault."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_YET = "not yet"
    ERROR = "checker error"


@dataclass(frozen=True)
class Seen:
    """One thing that was looked at: an object (`pod/api-7d9c`), one of its fields, and the value or message there."""

    object: str
    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.object}: {self.field} = {self.value}" if self.field else f"{self.object}: {self.value}"


@dataclass(frozen=True)
class Verdict:
    """`credit` is the share of the exercise that is done, from 0 to 1; a passed one has 1.

    `idle`: not yet because nothing was done, so that waiting for the cluster changes nothing. `notice`: what else the learner has to know
    of this look, such as that the verdict could not be saved. `diagnosis`: what is judged is a diagnosis, and the exercise goes on after it.
    """

    outcome: Outcome
    headline: str
    seen: tuple[Seen, ...] = ()
    expected: str = ""
    next: str = ""
    credit: float = 0.0
    exercise: str = field(default="", compare=False)
    idle: bool = False
    notice: str = field(default="", compare=False)
    diagnosis: bool = False

    @property
    def mark(self) -> str:
        """What a verdict is called where it is shown. An accepted diagnosis is not called passed: the exercise is not."""
        judged = self.diagnosis and self.outcome in (Outcome.PASSED, Outcome.FAILED)
        return f"diagnosis {'' if self.passed else 'not '}accepted" if judged else str(self.outcome)

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    def of(self, exercise: str) -> Verdict:
        return replace(self, exercise=exercise)

    def on_diagnosis(self, then: str) -> Verdict:
        """The same as the verdict on a diagnosis; `then` is what comes after an accepted one."""
        return replace(self, diagnosis=True, next=self.next or (then if self.passed else ""))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": str(self.outcome)}

    def lines(self) -> list[str]:
        """The verdict as plain text; the first line is the same at every look at an unchanged cluster."""
        text = [f"[{self.mark}] {self.exercise}: {self.headline}"]
        text += [f"  seen: {each}" for each in self.seen]
        if self.expected:
            text.append(f"  expected: {self.expected}")
        if 0 < self.credit < 1:
            text.append(f"  so far: {self.credit:.0%} of this exercise")
        if self.next:
            text.append(f"  next: {self.next}")
        if self.notice:
            text.append(f"  note: {self.notice}")
        return text


def passed(headline: str, *seen: Seen) -> Verdict:
    return Verdict(Outcome.PASSED, headline, seen, credit=1.0)


def failed(headline: str, *seen: Seen, expected: str = "", next: str = "", credit: float = 0.0) -> Verdict:
    return Verdict(Outcome.FAILED, headline, seen, expected, next, credit)


def not_yet(headline: str, *seen: Seen, expected: str = "", next: str = "", credit: float = 0.0) -> Verdict:
    return Verdict(Outcome.NOT_YET, headline, seen, expected, next, credit)


def error(headline: str, *seen: Seen, next: str = "") -> Verdict:
    return Verdict(Outcome.ERROR, headline, seen, next=next)


class Stop(Exception):
    """Ends a check with its verdict: what guards and observations raise, so that a check reads as the story of its goal."""

    def __init__(self, verdict: Verdict):
        super().__init__(verdict.headline)
        self.verdict = verdict


def fail(headline: str, *seen: Seen, expected: str = "", next: str = "", credit: float = 0.0) -> Stop:
    """`raise fail(…)` ends the check as failed."""
    return Stop(failed(headline, *seen, expected=expected, next=next, credit=credit))


def wait(headline: str, *seen: Seen, expected: str = "", next: str = "", credit: float = 0.0) -> Stop:
    """`raise wait(…)` ends the check as not yet."""
    return Stop(not_yet(headline, *seen, expected=expected, next=next, credit=credit))


def idle(headline: str, *seen: Seen, expected: str = "", next: str = "", credit: float = 0.0) -> Stop:
    """`raise idle(…)` ends the check as not yet: nothing was done, and the cluster is not moving either."""
    return Stop(replace(not_yet(headline, *seen, expected=expected, next=next, credit=credit), idle=True))
