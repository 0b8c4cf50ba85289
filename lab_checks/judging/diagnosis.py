"""Judging a diagnosis: a cause, and lines quoted from the cluster that show it. One engine for all labs.

Three things have to be so: every quoted line stands on the cluster, the cause holds, and the lines show this cause and no other. What holds is worked
out of live objects by a lab's rules, and noted when the exercise starts, so that a diagnosis after the fix is judged as well. What shows a cause is
data: the tables `[[cause]]` of a lab's `lab.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lab_checks.engine import course, registry
from lab_checks.engine.context import Context
from lab_checks.engine.course import Cause, Evidence
from lab_checks.engine.verdict import Seen, Verdict, fail, failed, passed
from lab_checks.judging.quotes import lines_of, unquoted
from lab_checks.judging.shown import Shown

Scene = TypeVar("Scene")


@dataclass(frozen=True)
class Finding:
    """`why` says in a sentence what speaks for the cause, or against it; `seen` is what was looked at.

    `facts` are the names and numbers that a quoted line has to hold: what `%name%` stands for in the lab's table.
    """

    holds: bool
    why: str
    seen: tuple[Seen, ...] = ()
    facts: Mapping[str, Iterable[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # They are read once for each quoted line: a rule may hand in what can be read only once.
        object.__setattr__(self, "facts", {name: tuple(values) for name, values in self.facts.items()})


@dataclass(frozen=True)
class Engine(Generic[Scene]):
    """What a lab brings: how it looks at the cluster, its rules by cause, and the names of the objects by their part in the exercise.

    `parts` names the objects that a line may have to be of: `{"workload": ["ai-log-summary-api"], "node": […]}`. What they own counts as well.
    """

    lab: str
    look: Callable[[Context], Scene]
    rules: Mapping[str, Callable[[Scene], Finding]]
    parts: Callable[[Scene], Mapping[str, Iterable[str]]]
    # What shows each cause: the lab's own tables where there are none. What kubectl shows: of the exercise's namespace.
    causes: tuple[Cause, ...] = ()
    shown: Callable[[Context], Shown] = Shown

    def holding(self, ctx: Context) -> dict[str, Finding]:
        """The causes that the cluster shows now."""
        scene = self.look(ctx)
        found = {name: rule(scene) for name, rule in self.rules.items() if name in ctx.exercise.causes}
        return {name: finding for name, finding in found.items() if finding.holds}

    def judge(self, ctx: Context, cause: str, quotes: str) -> Verdict:
        """The verdict on one diagnosis; `quotes` has one quoted line a line."""
        row = next(each for each in (self.causes or course.load().lab(self.lab).causes) if each.id == cause)
        scene = self.look(ctx)
        claim = self._claim(ctx, scene, cause)
        lines, shown = lines_of(quotes), self.shown(ctx)
        if not lines:
            raise fail("a diagnosis needs evidence", expected="a line that kubectl printed, copied as it is", next=row.look)
        standing = [line for line in lines if shown.places(line)]
        strange = [line for line in lines if line not in standing and not shown.is_old(line)]
        # Of a long paste a few lines may be of something else by now; a table of events holds those of earlier exercises. They show nothing.
        if not standing or len(strange) * _STRANGE > len(lines):
            raise _nowhere((strange or lines)[0], shown, row)
        if not claim.holds:
            return failed(f"{cause} is not the cause: {claim.why}", *claim.seen, expected="the cause that the cluster shows", next=row.look)
        return self._proved(row, claim, self._parts(ctx, scene), standing, shown)

    def _parts(self, ctx: Context, scene: Scene) -> dict[str, tuple[str, ...]]:
        """The names of the objects by their part, now and when the exercise began: after a fix another Pod may hold what one held then."""
        now, noted = self.parts(scene), ctx.baseline.get("parts") or {}
        return {part: (*now.get(part, ()), *noted.get(part, ())) for part in {**noted, **now}}

    def _claim(self, ctx: Context, scene: Scene, cause: str) -> Finding:
        """What speaks for the cause now; where nothing does any more, what spoke for it when the exercise began."""
        now = self.rules[cause](scene)
        noted = ctx.baseline.get("causes") or {}
        if now.holds or cause not in noted:
            if not now.holds and not noted and not self.holding(ctx):
                raise fail(
                    "the cluster no longer shows what was wrong",
                    *now.seen,
                    expected="a diagnosis while the evidence is still there",
                    next=f"ai-lab reset {ctx.exercise.key} brings the broken start back; diagnose first, then fix it",
                )
            return now
        before = noted[cause]
        return Finding(True, f"at the start, {before['why']}", tuple(Seen(*each) for each in before["seen"]), before["facts"])

    def _proved(self, row: Cause, claim: Finding, parts: Mapping[str, tuple[str, ...]], lines: list[str], shown: Shown) -> Verdict:
        whole = [*((line, shown.places(line)) for line in lines), *_unwrapped(lines, shown)]
        for number, need in enumerate(row.needs):
            if any(_shows(need, claim, line) and _is_of(need, parts, places) for line, places in whole):
                continue
            elsewhere = next((line for line, _ in whole if _shows(need, claim, line)), None)
            if elsewhere is not None:
                headline = f"this line is about something else: {elsewhere[:120]}"
            elif number and (other := _further(row.needs[:number], claim, lines)):
                headline = f"the first piece of evidence is right, and this one does not complete it: {other[:120]}"
            elif number:
                headline = row.alone or "this evidence alone fits other causes as well"
            else:
                headline = f"the cause is right, and this evidence does not show it: {lines[0][:120]}"
            credit = 0.3 if number else 0.2
            return failed(
                headline, *claim.seen, expected=f"{'a further line: ' if number else ''}{need.told}", next=row.look, credit=credit
            )
        return passed(f"the cause is {row.id}, and the evidence shows it", Seen("cluster", "", claim.why), *claim.seen)


def install(engine: Engine[Any]) -> None:
    """Makes the engine judge every exercise of its lab that asks for a diagnosis, and notes at their starts which causes hold."""
    for each in course.load().lab(engine.lab).exercises:
        if each.diagnosis:
            registry.diagnosis(each.key)(engine.judge)

    @registry.at_start
    def note(ctx: Context) -> dict[str, Any]:
        if ctx.exercise.lab != engine.lab or not ctx.exercise.diagnosis:
            return {}
        kept = {
            name: {
                "why": finding.why,
                "seen": [[each.object, each.field, each.value] for each in finding.seen],
                "facts": {key: [str(value) for value in values] for key, values in finding.facts.items()},
            }
            for name, finding in engine.holding(ctx).items()
        }
        parts = {part: list(names) for part, names in engine.parts(engine.look(ctx)).items()}
        return {"causes": kept, "parts": parts}


# One line of so many may be nowhere.
_STRANGE = 8
# A message is wrapped into so many lines at most.
_WRAPPED = 12


def _unwrapped(lines: list[str], shown: Shown) -> Iterator[tuple[str, set[str]]]:
    """Lines that follow each other, put together as a terminal or YAML may have taken them apart: all of one object."""
    for first in range(len(lines)):
        places = shown.places(lines[first])
        for last in range(first + 1, min(first + _WRAPPED, len(lines))):
            places = places & shown.places(lines[last])
            if not places:
                break
            part = lines[first : last + 1]
            yield " ".join(part), places
            yield "".join(part), places


def _nowhere(line: str, shown: Shown, row: Cause) -> Exception:
    if old := shown.is_old(line):
        return fail(
            "a quoted line was said before this exercise began",
            Seen(f"event on {old.name}", "last", old.at),
            expected="a line of this exercise: events stay for an hour",
            next=row.look,
        )
    return fail(
        "a quoted line is nowhere on the cluster",
        Seen("your evidence", "", line),
        expected="words that kubectl printed, copied and not retyped",
        next=row.look,
    )


def _shows(need: Evidence, claim: Finding, line: str) -> bool:
    return any(re.search(_filled(pattern, claim), unquoted(line.strip()), re.I) for pattern in need.shows)


def _further(met: Iterable[Evidence], claim: Finding, lines: list[str]) -> str | None:
    """The first line that shows nothing of what was asked for before; None where there is none."""
    return next((line for line in lines if not any(_shows(need, claim, line) for need in met)), None)


def _filled(pattern: str, claim: Finding) -> str:
    """The pattern with the facts in it; one that the cluster does not have matches nothing."""

    def alternatives(found: re.Match[str]) -> str:
        values = [re.escape(str(value)) for value in claim.facts.get(found[1], ())]
        return f"(?:{'|'.join(values)})" if values else r"(?!)"

    return re.sub(r"%(\w+)%", alternatives, pattern)


def _is_of(need: Evidence, parts: Mapping[str, tuple[str, ...]], places: set[str]) -> bool:
    """Whether the line stands on an object of the right part, or on one that it made: `api-7d9f-x2x4z` is of `api`."""
    wanted = [name for part in need.of for name in parts.get(part, ())]
    return not need.of or any(place in ("", name) or place.startswith(f"{name}-") for place in places for name in wanted)
