"""The questions of an interview as data: `questions/<id>.toml`, and the red flags and mistakes that hold for all of them in `flags.toml`.

title = "…"                # what it is about, in a few words
area = "scheduling"        # where a mock interview counts it
asks = "…"                 # the question itself
model = "…"                # one good answer, shown after an own try

[[point]]
id = "events"
core = true                # it weighs double, and at most one of them may be missing. Few points are: what a senior's terse answer names, too
says = "…"                 # what a good answer does, for the verdict: "reads the Pod's events"
ask = "…?"                 # what the interviewer asks where it is missing
any = ["event & <look>"]   # patterns, see matching.py
area = "…"                 # left out: the question's

[[wrong]]                  # a mistake that only this question invites: id, any (patterns), why
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.interview.matching import Lexicon, Pattern, compile_pattern

AREAS = ("scheduling", "model loading", "resources", "networking", "application", "cost and safety")

_HERE = Path(__file__).parent


class UnknownQuestion(LookupError):
    """There is no such question; the message says which are near."""


# There is one of each: they are told apart by identity, for their patterns take long to compare.
@dataclass(frozen=True, eq=False)
class Point:
    """Something that a good answer names."""

    id: str
    area: str
    core: bool
    says: str
    ask: str
    patterns: tuple[Pattern, ...]

    @property
    def weight(self) -> int:
        return 2 if self.core else 1


@dataclass(frozen=True, eq=False)
class Flag:
    """Something that no good answer claims. `unless`: what makes it harmless in the same sentence; `looked`: what makes it harmless before it."""

    id: str
    says: str
    why: str
    patterns: tuple[Pattern, ...]
    unless: tuple[Pattern, ...] = ()
    looked: tuple[Pattern, ...] = ()
    except_in: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Question:
    id: str
    title: str
    area: str
    asks: str
    model: str
    points: tuple[Point, ...]
    wrong: tuple[Flag, ...]

    @property
    def key(self) -> str:
        """The name of its answer in Python and on a command line."""
        return self.id.replace("-", "_")

    @property
    def flags(self) -> tuple[Flag, ...]:
        return (*self.wrong, *(each for each in common_flags() if self.id not in each.except_in))


def _text(value: str) -> str:
    return " ".join(value.split())


def _patterns(rows: list[str]) -> tuple[Pattern, ...]:
    return tuple(compile_pattern(each) for each in rows)


def _flag(row: dict[str, Any]) -> Flag:
    return Flag(
        id=row["id"],
        says=_text(row.get("says", "")),
        why=_text(row["why"]),
        patterns=_patterns(row["any"]),
        unless=_patterns(row.get("unless", [])),
        looked=_patterns(row.get("looked", [])),
        except_in=tuple(row.get("except_in", ())),
    )


@cache
def common_flags() -> tuple[Flag, ...]:
    """Red flags and mistakes that hold for every question."""
    data = tomllib.loads((_HERE / "flags.toml").read_text())
    facts = tomllib.loads((_HERE / "facts.toml").read_text())["fact"]
    return tuple(_flag(row) for row in [*data["flag"], *data["wrong"], *facts])


def _question(path: Path) -> Question:
    data = tomllib.loads(path.read_text())
    points = tuple(
        Point(
            id=row["id"],
            area=row.get("area", data["area"]),
            core=row.get("core", False),
            says=_text(row["says"]),
            ask=_text(row["ask"]),
            patterns=_patterns(row["any"]),
        )
        for row in data["point"]
    )
    return Question(
        id=path.stem.partition("-")[2],
        title=data["title"],
        area=data["area"],
        asks=_text(data["asks"]),
        model=data["model"].strip(),
        points=points,
        wrong=tuple(_flag(row) for row in data.get("wrong", ())),
    )


@cache
def load() -> tuple[Question, ...]:
    """All questions, in the order of their files."""
    return tuple(_question(path) for path in sorted((_HERE / "questions").glob("*.toml")))


@cache
def lexicon() -> Lexicon:
    """The words of all points and flags."""
    points = [pattern for question in load() for point in question.points for pattern in point.patterns]
    flags = [pattern for question in load() for flag in question.wrong for pattern in flag.patterns]
    return Lexicon([*points, *flags, *(pattern for flag in common_flags() for pattern in flag.patterns)])


def find(name: str) -> Question:
    """The question called `name`. Raises UnknownQuestion."""
    wanted = name.replace("_", "-")
    for each in load():
        if each.id == wanted:
            return each
    known = [each.id for each in load()]
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    raise UnknownQuestion(
        f'there is no question "{name}"' + (f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}")
    )
