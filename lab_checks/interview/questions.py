"""The questions of an interview as data: `questions/<id>.toml`, and the red flags and mistakes that hold for all of them in `flags.toml`.

title = "…"                # what it is about, in a few words
area = "scheduling"        # where a mock interview counts it
asks = "…"                 # the question itself
model = "…"                # one good answer, shown after an own try
a_sentence = 2             # how many points one sentence may earn beyond its verbs (left out: 1)

[[point]]
id = "events"
must = true                # no pass without it; it weighs double
says = "…"                 # what was named, for the verdict
ask = "…?"                 # what the interviewer asks where it is missing
any = ["event* & <look>"]  # patterns, see matching.py
area = "…"                 # left out: the question's

[[wrong]]                  # a mistake that only this question invites: id, any (regular expressions, see claims.py), why
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.interview.claims import expression
from lab_checks.interview.matching import Pattern, Terms, compile_pattern

AREAS = ("scheduling", "model loading", "resources", "networking", "application", "cost and safety")

_HERE = Path(__file__).parent


class UnknownQuestion(LookupError):
    """There is no such question; the message says which are near."""


@dataclass(frozen=True)
class Point:
    """Something that a good answer names."""

    id: str
    area: str
    must: bool
    weight: int
    says: str
    ask: str
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Flag:
    """Something that no good answer claims. `negation` and `conditions`: whether denying it, or asking for evidence first, makes it harmless."""

    id: str
    says: str
    why: str
    patterns: tuple[re.Pattern[str], ...]
    before_evidence: bool = False
    negation: bool = True
    conditions: bool = True
    except_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    id: str
    title: str
    area: str
    asks: str
    model: str
    a_sentence: int
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


def _flag(row: dict[str, Any]) -> Flag:
    return Flag(
        id=row["id"],
        says=_text(row.get("says", "")),
        why=_text(row["why"]),
        patterns=tuple(expression(each) for each in row["any"]),
        before_evidence=row.get("before_evidence", False),
        negation=row.get("negation", True),
        conditions=row.get("conditions", "says" in row),
        except_in=tuple(row.get("except_in", ())),
    )


@cache
def common_flags() -> tuple[Flag, ...]:
    """Red flags and mistakes that hold for every question."""
    data = tomllib.loads((_HERE / "flags.toml").read_text())
    return tuple(_flag(row) for row in [*data["flag"], *data["wrong"]])


def _question(path: Path) -> Question:
    data = tomllib.loads(path.read_text())
    points = tuple(
        Point(
            id=row["id"],
            area=row.get("area", data["area"]),
            must=row.get("must", False),
            weight=row.get("weight", 2 if row.get("must") else 1),
            says=_text(row["says"]),
            ask=_text(row["ask"]),
            patterns=tuple(compile_pattern(each) for each in row["any"]),
        )
        for row in data["point"]
    )
    return Question(
        id=path.stem.partition("-")[2],
        title=data["title"],
        area=data["area"],
        asks=_text(data["asks"]),
        model=data["model"].strip(),
        a_sentence=data.get("a_sentence", 1),
        points=points,
        wrong=tuple(_flag(row) for row in data.get("wrong", ())),
    )


@cache
def load() -> tuple[Question, ...]:
    """All questions, in the order of their files."""
    return tuple(_question(path) for path in sorted((_HERE / "questions").glob("*.toml")))


@cache
def terms() -> Terms:
    return Terms([pattern for question in load() for point in question.points for pattern in point.patterns])


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
