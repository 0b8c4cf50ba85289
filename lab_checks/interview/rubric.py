"""Scoring an answer: text and question in; points named, points missing with their follow-up questions, red flags with their reasons out.

Words alone earn nothing. A point counts where a sentence says it that has a verb and the small words of a sentence, and one sentence earns only
so many points as it has something to say about. An answer that was copied from the model answer is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab_checks.interview import claims, language, matching, questions
from lab_checks.interview.language import Sentence
from lab_checks.interview.questions import Flag, Point, Question

ENOUGH = 0.7
_COPIED = 0.5
_FEW_WORDS = 6
# About three minutes of speech.
_MANY_WORDS = 450
# From this share of words in sentences on, an order of one word ("Cordon.") is one of them.
_FLUENT = 0.7
_MOST_OF_A_SENTENCE = 7
_LOOKS = matching.compile_pattern(
    "<look> & event*|log|metric*|status|describe|evidence|endpoint*|rollout history|allocatable|capacity|exit code|last state|quota|scheduler|condition"
)
SAY_HOW = "You name the right words. Say how, in sentences: what does one do, or what follows from it?"
TOO_LONG = "That was longer than anybody listens. What are the five sentences that matter?"
OWN_WORDS = "This is the model answer. Say it in your own words: what would you do first, and why?"


@dataclass(frozen=True)
class Flagged:
    """A red flag that an answer raised, the sentence that raised it, and whether the answer says the opposite as well."""

    flag: Flag
    sentence: int
    quote: str
    contradicted: bool

    @property
    def why(self) -> str:
        both = " You also say the opposite: which of the two would you do?" if self.contradicted else ""
        return self.flag.why + both


@dataclass(frozen=True)
class Result:
    """What an answer is worth. `heap`: it names terms and does not say how; `copied`: it is the model answer."""

    question: Question
    found: tuple[Point, ...]
    missing: tuple[Point, ...]
    flags: tuple[Flagged, ...]
    words: int
    heap: bool = False
    copied: bool = False

    @property
    def empty(self) -> bool:
        return self.words == 0

    @property
    def long(self) -> bool:
        """Whether it says everything that one could say, in the hope that something fits."""
        return self.words > _MANY_WORDS

    @property
    def share(self) -> float:
        """The named share of what a good answer names, from 0 to 1."""
        whole = sum(point.weight for point in self.question.points)
        return 0.0 if self.copied else sum(point.weight for point in self.found) / whole

    @property
    def passed(self) -> bool:
        must = not any(point.must for point in self.missing)
        return must and self.share >= ENOUGH - 1e-9 and not self.flags and not (self.heap or self.copied or self.long)

    @property
    def tried(self) -> bool:
        """Whether this is an own try, after which the model answer may be read."""
        return not self.copied and (self.passed or (self.words >= 20 and bool(self.found or self.flags)) or self.words >= 40)

    @property
    def follow_up(self) -> str:
        """What the interviewer asks next; nothing where nothing is missing."""
        if self.copied:
            return OWN_WORDS
        if self.heap:
            return SAY_HOW
        if self.long:
            return TOO_LONG
        if self.flags:
            return f'You said: "{shortened(self.flags[0].quote)}". {self.flags[0].why}'
        first = sorted(self.missing, key=lambda point: not point.must)
        return first[0].ask if first else ""

    @property
    def headline(self) -> str:
        """One line for people."""
        if self.copied:
            return "this is the model answer, not yours"
        named = f"{len(self.found)} of {len(self.question.points)} points named"
        if self.heap:
            return f"{named}: terms in a heap, not an answer in sentences"
        if self.long:
            return f"{named}, in {self.words} words: too long for an answer"
        if self.flags:
            return f"{named}, and {'a red flag' if len(self.flags) == 1 else f'{len(self.flags)} red flags'}: {self.flags[0].flag.says or 'a mistake'}"
        if not self.passed and self.share >= ENOUGH - 1e-9:
            return f"{named}, and one that nobody leaves out is missing"
        return named

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question.id,
            "passed": self.passed,
            "share": round(self.share, 2),
            "named": [point.says for point in self.found],
            "missing": [point.ask for point in self.missing],
            "red_flags": [{"flag": each.flag.id, "said": each.quote, "why": each.why} for each in self.flags],
            "heap": self.heap,
            "copied": self.copied,
            "follow_up": self.follow_up,
        }


def shortened(text: str, most: int = 90) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def score(question: Question, answer: str) -> Result:
    """What the answer is worth."""
    said = language.sentences(answer)
    words = sum(len(each.words) for each in said)
    flags = _flags(question, said)
    # A sentence that alarms earns nothing, whatever else it names.
    alarming = {each.sentence for each in flags}
    echoed = {each.number for each in said if each.text in _asked(question)}
    where = {point.id: _where(point, said) for point in question.points}
    fluent = sum(len(each.words) for each in said if each.explains) > words * _FLUENT
    explained = {
        point.id: [
            number
            for number in where[point.id]
            if number not in alarming | echoed and (said[number].explains or (fluent and said[number].orders))
        ]
        for point in question.points
    }
    earned = _earned(question, said, explained)
    found = tuple(point for point in question.points if point.id in earned)
    missing = tuple(point for point in question.points if point.id not in earned)
    touched = sum(bool(numbers) for numbers in where.values())
    heap = _is_heap(said, touched, len(found), len(question.points))
    return Result(question, found, missing, flags, words, heap, _is_copied(answer))


def _asked(question: Question) -> frozenset[str]:
    """The sentences of the question and of its follow-up questions: to say them back is no answer."""
    if question.id not in _asked_by:
        texts = [question.asks, *(point.ask for point in question.points)]
        _asked_by[question.id] = frozenset(each.text for text in texts for each in language.sentences(text))
    return _asked_by[question.id]


def _where(point: Point, said: list[Sentence]) -> list[int]:
    """The sentences that say a point."""
    terms = questions.terms()
    return [
        each.number
        for each in said
        if not each.asks
        and any(matching.says(pattern, each, said[each.number - 1] if each.number else None, terms) for pattern in point.patterns)
    ]


def _earned(question: Question, said: list[Sentence], where: dict[str, list[int]]) -> set[str]:
    """The points that count: a sentence earns no more of them than it has verbs, and a few."""
    room = {each.number: min(max(each.says, 1) + question.a_sentence, _MOST_OF_A_SENTENCE) for each in said}
    earned = set()
    must = {point.id for point in question.points if point.must}
    for point, numbers in sorted(where.items(), key=lambda row: (row[0] not in must, len(row[1]))):
        best = max(numbers, key=lambda number: room[number], default=None)
        if best is not None and room[best] > 0:
            room[best] -= 1
            earned.add(point)
    return earned


def _is_heap(said: list[Sentence], touched: int, earned: int, points: int) -> bool:
    """Whether terms stand in a heap: most words in no sentence that explains, or many points touched and few said."""
    words = sum(len(each.words) for each in said)
    if words < _FEW_WORDS:
        return False
    explaining = sum(len(each.words) for each in said if each.explains)
    glue = sum(each.glue * len(each.words) for each in said) / words
    loose = explaining < words * 0.5
    if words >= 10 and explaining < words * 0.3:
        return True
    return (
        (loose and touched >= 2 and (earned < touched or glue < 0.2))
        or (touched >= max(3, points * 0.6) and touched >= 2 * max(earned, 1))
        or (glue < 0.12 and words > 25)
    )


def _is_copied(answer: str) -> bool:
    """Whether at least half of the answer's runs of four words stand in a model answer."""
    runs = language.shingles(answer)
    return len(runs) >= 15 and any(len(runs & _model_runs(each)) >= _COPIED * len(runs) for each in questions.load())


_runs: dict[str, set[tuple[str, ...]]] = {}
_asked_by: dict[str, frozenset[str]] = {}


def _model_runs(question: Question) -> set[tuple[str, ...]]:
    if question.id not in _runs:
        _runs[question.id] = language.shingles(question.model)
    return _runs[question.id]


def _flags(question: Question, said: list[Sentence]) -> tuple[Flagged, ...]:
    found = []
    looked = next((each.number for each in said if each.explains and matching.says(_LOOKS, each, None, questions.terms())), len(said))
    for flag in question.flags:
        meant: list[claims.Claim] = []
        denials: list[int] = []
        for pattern in flag.patterns:
            more, denied = claims.claims(pattern, said, negation=flag.negation, conditions=flag.conditions)
            meant += more
            denials += denied
        standing = [each for each in meant if not claims.retracted(each, denials, said) and not _after_a_look(flag, each, looked)]
        if standing:
            first = min(standing, key=lambda each: each.sentence)
            found.append(Flagged(flag, first.sentence, first.quote, bool(denials)))
    return tuple(found)


def _after_a_look(flag: Flag, claim: claims.Claim, looked: int) -> bool:
    """Whether the evidence was looked at in an earlier sentence, and what is done now is done in no haste."""
    return flag.before_evidence and looked < claim.sentence and not claims.in_haste(claim.quote)
