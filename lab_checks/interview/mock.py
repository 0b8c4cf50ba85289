"""A mock interview: five questions by a seed, spread over the areas, and what all five answers together are worth."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Any

from lab_checks.interview import opinion, questions
from lab_checks.interview.questions import AREAS, Question
from lab_checks.interview.rubric import Result

NUMBERS = ("first", "second", "third", "fourth", "fifth")
# So many of the five have to pass.
_PASSING = 4
# Part of what is drawn from: with another one, the seeds of the notebook would ask other questions.
_SALT = 678


def draw(seed: int | str) -> tuple[Question, ...]:
    """Five questions from five areas; the same ones for the same seed.

    Each question of an area draws a number, and the highest is asked. So a question that is added later changes only the seeds that ask it.
    """
    areas = random.Random(str(seed)).sample(AREAS, len(NUMBERS))
    return tuple(max((each for each in questions.load() if each.area == area), key=lambda each: _drawn(seed, each)) for area in areas)


def _drawn(seed: int | str, question: Question) -> bytes:
    return hashlib.sha256(f"{_SALT}/{seed}/{question.id}".encode()).digest()


@dataclass(frozen=True)
class Interview:
    """The results of an interview, in the order of its questions."""

    seed: str
    results: tuple[Result, ...]

    @property
    def share(self) -> float:
        return sum(each.share for each in self.results) / len(self.results)

    @property
    def passed(self) -> bool:
        calm = not any(each.flags for each in self.results)
        return (
            calm
            and sum(each.passed for each in self.results) >= min(_PASSING, len(self.results))
            and not any(each.empty for each in self.results)
        )

    def by_area(self) -> dict[str, tuple[int, int]]:
        """For each area that was asked about: (points named, points asked for)."""
        found: dict[str, tuple[int, int]] = {}
        for area in AREAS:
            asked = [(point, result) for result in self.results for point in result.question.points if point.area == area]
            if asked:
                found[area] = (sum(not result.copied and point in result.found for point, result in asked), len(asked))
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "passed": self.passed,
            "share": round(self.share, 2),
            "areas": {area: {"named": named, "of": of} for area, (named, of) in self.by_area().items()},
            "answers": [each.to_json() for each in self.results],
        }


def judge(seed: int | str, answers: list[str]) -> Interview:
    """The interview of that seed with these answers; questions without an answer are judged as unanswered."""
    asked = draw(seed)
    given = [*answers, *[""] * len(asked)][: len(asked)]
    return Interview(str(seed), tuple(opinion.score(question, answer) for question, answer in zip(asked, given, strict=True)))
