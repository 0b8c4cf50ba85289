"""Scoring an answer: text and question in; points named, points missing with their follow-up questions, red flags with their reasons out.

An answer passes that says the core of the question and enough beside it, and raises no red flag. Words in a heap earn
nothing. An answer that was copied from the model answer is told so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from lab_checks.interview import denial, flags, heap, language, matching, questions
from lab_checks.interview.flags import Flagged
from lab_checks.interview.language import Sentence
from lab_checks.interview.matching import Passage
from lab_checks.interview.questions import Point, Question

# The share of the points, those of the core counted twice, that a pass needs: who talks longer has room for more.
ENOUGH = 0.7
_ENOUGH_IN_SHORT = 0.4
# So many words are a short answer.
_SHORT_ANSWER = 45
# What else a pass needs for each point of the core that is missing, and for each sentence that says what is not so. A scorer that reads words may
# misread one sentence of a good answer; a wrong answer also leaves out what is right. A red flag weighs without a limit.
_GAP = 0.1
_MISTAKE = 0.15
_MISTAKE_IN_SHORT = 0.4
# No answer to any of the questions is shorter.
FEWEST_WORDS = 20
_COPIED = 0.5
# About three minutes of speech.
_MANY_WORDS = 450
# A sentence of no more words goes on with the one before.
_SHORT = 9
SAY_HOW = "You name the right words. Say how, in sentences: what does one do, or what follows from it?"
TOO_LONG = "That was longer than anybody listens. What are the five sentences that matter?"
OWN_WORDS = "This is the model answer. Say it in your own words: what would you do first, and why?"


@dataclass(frozen=True)
class Result:
    """What an answer is worth. `heap`: it names terms and does not say how; `copied`: it is the model answer; `unsure`: it says that it does not know.

    `lifted` are those of the found points that only a model's second opinion heard.
    """

    question: Question
    found: tuple[Point, ...]
    missing: tuple[Point, ...]
    flags: tuple[Flagged, ...]
    words: int
    heap: bool = False
    copied: bool = False
    unsure: bool = False
    lifted: tuple[Point, ...] = ()

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
    def enough(self) -> float:
        """The share that a pass needs: what is missing of the core, and what is not so, has to be made up for by other points."""
        gaps = sum(point.core for point in self.missing)
        mistakes = len({each.sentence for each in self.flags if not each.red})
        enough, mistake = (ENOUGH, _MISTAKE) if self.words > _SHORT_ANSWER else (_ENOUGH_IN_SHORT, _MISTAKE_IN_SHORT)
        return enough + gaps * _GAP + mistakes * mistake

    @property
    def passed(self) -> bool:
        return (
            self.words >= FEWEST_WORDS
            and self.share >= self.enough - 1e-9
            and not any(each.red for each in self.flags)
            and not (self.heap or self.copied or self.long or self.unsure)
        )

    @property
    def tried(self) -> bool:
        """Whether this is an own try, after which the model answer may be read."""
        return not self.copied and (self.passed or (self.words >= 20 and bool(self.found or self.flags)) or self.words >= 40)

    @property
    def first_missing(self) -> Point | None:
        """The missing point that matters most."""
        return min(self.missing, key=lambda point: not point.core, default=None)

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
        return self.first_missing.ask if self.first_missing else ""

    @property
    def headline(self) -> str:
        """One line for people."""
        if self.copied:
            return "this is the model answer, not yours"
        named = f"{len(self.found)} of {len(self.question.points)} points named"
        if self.lifted:
            named += f", {len(self.lifted)} of them by a second opinion"
        if self.heap:
            return f"{named}: terms in a heap, not an answer in sentences"
        if self.long:
            return f"{named}, in {self.words} words: too long for an answer"
        if self.flags:
            return f"{named}, and {'a red flag' if len(self.flags) == 1 else f'{len(self.flags)} red flags'}: {self.flags[0].flag.says or 'a mistake'}"
        if self.unsure:
            return f"{named}, and the honest word that you do not know the rest"
        if self.words < FEWEST_WORDS and self.share >= self.enough:
            return f"{named}, in {self.words} words: too short to tell that you know how they hang together"
        if not self.passed and self.first_missing:
            what = "nobody leaves out" if self.first_missing.core else "would have told more"
            return f'{named}, and not the one that {what}: "{self.first_missing.says}"'
        return named

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question.id,
            "passed": self.passed,
            "share": round(self.share, 2),
            "named": [point.says for point in self.found],
            "named_by_second_opinion": [point.says for point in self.lifted],
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
    passages = _passages(said)
    raised = flags.raised(question, passages)
    # A sentence that alarms earns nothing, whatever else it names; neither does one of the interviewer's, and a heap earns nothing at all.
    heaped = heap.is_heap(answer)
    asked = _asked(question)
    idle = {each.sentence for each in raised} | {each.number for each in said if heaped or each.text in asked}
    earning = [each for each in passages if not idle.intersection(part.number for part in each.parts)]
    found = tuple(point for point in question.points if any(matching.says(pattern, each) for each in earning for pattern in point.patterns))
    missing = tuple(point for point in question.points if point not in found)
    result = Result(question, found, missing, raised, sum(len(each.words) for each in said), heaped, _is_copied(answer), _is_unsure(said))
    return settled(result)


def settled(result: Result) -> Result:
    """The result without flags where it passes: what an answer passes in spite of was more likely misread than meant."""
    return replace(result, flags=()) if result.passed else result


def _is_unsure(said: list[Sentence]) -> bool:
    """Whether a short answer says that its author does not know. In a long one that is a remark."""
    return sum(len(each.words) for each in said) <= _SHORT_ANSWER and any(denial.holds(each.words, "unknowing") for each in said)


def _passages(said: list[Sentence]) -> list[Passage]:
    """Each sentence, and each pair whose second sentence goes on about the first."""
    lexicon = questions.lexicon()
    found = [matching.passage((each,), lexicon) for each in said]
    pairs = [
        matching.passage((before, each), lexicon)
        for before, each in itertools.pairwise(said)
        if each.refers or before.asks or len(each.words) <= _SHORT or len(before.words) <= _SHORT
    ]
    return found + pairs


@cache
def _asked(question: Question) -> frozenset[str]:
    """The sentences of the question and of its follow-up questions: to say them back is no answer."""
    texts = [question.asks, *(point.ask for point in question.points)]
    return frozenset(each.text for text in texts for each in language.sentences(text))


def _is_copied(answer: str) -> bool:
    """Whether at least half of the answer's runs of four words stand in a model answer."""
    runs = language.shingles(answer)
    return len(runs) >= 15 and any(len(runs & _model_runs(each)) >= _COPIED * len(runs) for each in questions.load())


@cache
def _model_runs(question: Question) -> set[tuple[str, ...]]:
    return language.shingles(question.model)
