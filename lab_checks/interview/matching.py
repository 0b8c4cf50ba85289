"""Whether a passage says something: patterns as data in, places out.

A pattern is slots that stand near each other. In a slot `|` parts alternatives, a star stands for any ending, several words stand in this order
(`..`: with others between), `<look>` is a group of the vocabulary; other words match in all their usual forms. Between slots stands

    A & B     both, in any order              A > B     B after A, a few words further
    A -> B    somebody does A to B            A => B    B is said of A, and of none of its rivals
    A ~> B    A comes before B in time        A - B     A, and no B beside or between
    !A        A is denied; without the mark, what is denied does not count

"Deletes the quota", "the quota gets deleted" and "export the quota, then delete it" are all `<remove> -> quota`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from lab_checks.interview import denial, relations
from lab_checks.interview.language import Sentence, distance, is_glue, stem, vocabulary, words_of
from lab_checks.interview.relations import Place

_SHORTEST_TYPO = 5


@dataclass(frozen=True)
class Phrase:
    """Words in a row; small words may stand between them, and some of any kind where `loose`."""

    words: tuple[str, ...]
    loose: bool = False


@dataclass(frozen=True)
class Slot:
    link: str
    phrases: tuple[Phrase, ...]
    denied: bool = False

    @cached_property
    def heads(self) -> tuple[frozenset[str], frozenset[str]]:
        """What its phrases begin with: stems of words, and beginnings of words."""
        first = [each.words[0] for each in self.phrases]
        return (
            frozenset(stem(word) for word in first if not word.endswith("*")),
            frozenset(word[:-1] for word in first if word.endswith("*")),
        )


@dataclass(frozen=True)
class Pattern:
    slots: tuple[Slot, ...]
    without: tuple[Slot, ...]
    source: str

    @cached_property
    def denies(self) -> bool:
        return any(slot.denied for slot in self.slots)

    @cached_property
    def act(self) -> bool:
        return any(slot.link == "->" for slot in self.slots)


@cache
def compile_pattern(source: str) -> Pattern:
    """Reads a pattern. Raises ValueError for a group that the vocabulary has not."""
    parts = re.split(r"\s+(&|->|=>|~>|>|-)\s+", source.strip())
    slots = [_slot("", parts[0])]
    slots += [_slot(link, text) for link, text in zip(parts[1::2], parts[2::2], strict=True)]
    return Pattern(tuple(each for each in slots if each.link != "-"), tuple(each for each in slots if each.link == "-"), source)


def _slot(link: str, text: str) -> Slot:
    denied = text.startswith("!")
    return Slot(link, tuple(_phrase(each) for each in _alternatives(text.removeprefix("!"))), denied)


def _alternatives(text: str) -> list[str]:
    known = vocabulary()["group"]

    def replace(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise ValueError(f"there is no group <{found[1]}> in the vocabulary")
        return " ".join(str(known[found[1]]).split())

    while "<" in text:
        text = re.sub(r"<(\w+)>", replace, text)
    found = [each.strip() for each in text.split("|")]
    if not all(found):
        raise ValueError(f'an empty alternative in "{text}"')
    return found


@cache
def _phrase(text: str) -> Phrase:
    words = [word for each in text.split() if each != ".." for word in re.split(r"[-/]", each)]
    return Phrase(tuple(words), ".." in text)


class Lexicon:
    """All words of a set of patterns: a word of an answer that is none of them, and no common word, may be one of them misspelt."""

    def __init__(self, patterns: list[Pattern]):
        words = {
            word for pattern in patterns for slot in (*pattern.slots, *pattern.without) for each in slot.phrases for word in each.words
        }
        self._starts = tuple(sorted(word[:-1] for word in words if word.endswith("*")))
        self._terms = sorted(word for word in words if not word.endswith("*") and len(word) >= _SHORTEST_TYPO and word.isalpha())
        known = words | words_of("common") | words_of("glue") | words_of("verbs")
        self._stems = frozenset(stem(word) for word in known if not word.endswith("*"))
        self._cache: dict[str, str] = {}

    def correct(self, word: str) -> str:
        """The word, or the term that it is a misspelling of."""
        if len(word) < _SHORTEST_TYPO or not word.isalpha() or len(word) > 24:
            return word
        if word not in self._cache:
            # Bounded: an answer may hold any number of words.
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[word] = self._nearest(word)
        return self._cache[word]

    def _nearest(self, word: str) -> str:
        if stem(word) in self._stems or any(
            word.startswith(start) and len(word) <= len(start) + 2 for start in self._starts if len(start) > 3
        ):
            return word
        most = 2 if len(word) >= 9 else 1
        for term in [*self._terms, *(start for start in self._starts if len(start) > 4)]:
            if term[0] == word[0] and min(distance(word, term, most), distance(stem(word), stem(term), most)) <= most:
                return term
        return word


@dataclass(frozen=True)
class Passage:
    """One sentence, or two of which the second goes on about the first; `number` is the last one's."""

    number: int
    words: tuple[str, ...]
    clauses: tuple[int, ...]
    thoughts: tuple[int, ...]
    strict: tuple[bool, ...]
    loose: tuple[bool, ...]
    stems: tuple[str, ...]
    parts: tuple[Sentence, ...]

    @cached_property
    def begins_anew(self) -> frozenset[int]:
        """Where a sentence begins behind another; no phrase goes over it."""
        return frozenset(itertools.accumulate(len(each.words) for each in self.parts)) - {0}

    @cached_property
    def at(self) -> dict[str, list[int]]:
        """Where each stem stands."""
        found: dict[str, list[int]] = {}
        for place, each in enumerate(self.stems):
            found.setdefault(each, []).append(place)
        return found

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """All beginnings of its words."""
        return frozenset(word[:length] for word in self.words for length in range(len(word) + 1))

    @cached_property
    def _begun(self) -> dict[str, list[int]]:
        """What `begins` has answered: the patterns have few terms between them."""
        return {}

    def begins(self, term: str) -> list[int]:
        """Where a term of a pattern stands."""
        found = self._begun.get(term)
        if found is None:
            if term.endswith("*"):
                found = [place for place, word in enumerate(self.words) if word.startswith(term[:-1])]
            else:
                found = self.at.get(stem(term), [])
            self._begun[term] = found
        return found


def passage(parts: tuple[Sentence, ...], lexicon: Lexicon) -> Passage:
    """Sentences that are read together; their clauses are numbered on."""
    words = tuple(lexicon.correct(word) for each in parts for word in each.words)
    said = [denial.denial(each) for each in parts]
    return Passage(
        parts[-1].number,
        words,
        _numbered_on([each.clauses for each in parts]),
        _numbered_on([each.thoughts for each in parts]),
        tuple(flag for each in said for flag in each.strict),
        tuple(flag for each in said for flag in each.loose),
        tuple(stem(word) for word in words),
        parts,
    )


def _numbered_on(rows: list[tuple[int, ...]]) -> tuple[int, ...]:
    found: list[int] = []
    for row in rows:
        begin = found[-1] + 1 if found else 0
        found += [number + begin for number in row]
    return tuple(found)


def _is(here: Passage, at: int, term: str) -> bool:
    if term.endswith("*"):
        return here.words[at].startswith(term[:-1])
    return here.words[at] == term or here.stems[at] == stem(term)


def _follow(here: Passage, phrase: Phrase, first: int) -> int:
    """The last word of the phrase that begins at `first`; -1 where it does not stand there."""
    at = first
    for term in phrase.words[1:]:
        gap, at = 0, at + 1
        while at < len(here.words) and not _is(here, at, term) and gap < 6 and _skips(here.words[at], phrase.loose):
            gap, at = gap + 1, at + 1
        over = here.begins_anew.intersection(range(at - gap, at + 1))
        if (
            at >= len(here.words)
            or not _is(here, at, term)
            or over
            or (gap and here.clauses[at] != here.clauses[first] and not phrase.loose)
        ):
            return -1
    return at


def _skips(word: str, loose: bool) -> bool:
    """Whether a word may stand within a phrase: "is not enough" is no "is enough"."""
    return word not in words_of("denies") and (loose or is_glue(word))


def _places(here: Passage, slot: Slot) -> list[Place]:
    stems, beginnings = slot.heads
    # So it is for nearly every slot.
    if stems.isdisjoint(here.at) and beginnings.isdisjoint(here.beginnings):
        return []
    found = []
    for phrase in slot.phrases:
        for at in here.begins(phrase.words[0]):
            last = _follow(here, phrase, at)
            if last >= 0:
                found.append((at, last))
    return sorted(set(found))


def find(pattern: Pattern, here: Passage) -> Iterator[tuple[Place, ...]]:
    """Every way in which the passage says it. What is denied counts only for a slot that asks for the denial, or for an act, whose caller looks."""
    rows: list[list[Place]] = []
    for slot in pattern.slots:
        places = _places(here, slot)
        if slot.denied:
            places = [place for place in places if here.strict[place[0]] or here.strict[place[1]]]
        elif not pattern.act and not pattern.denies:
            places = [place for place in places if not here.strict[place[0]] and not here.strict[place[1]]]
        if not places:
            return
        rows.append(places)
    for chosen in itertools.islice(_combine(pattern, here, rows, ()), 200):
        if not _spoilt(pattern, here, chosen):
            yield chosen


def _combine(pattern: Pattern, here: Passage, rows: list[list[Place]], chosen: tuple[Place, ...]) -> Iterator[tuple[Place, ...]]:
    if len(chosen) == len(rows):
        yield chosen
        return
    slot = pattern.slots[len(chosen)]
    for place in rows[len(chosen)]:
        if all(place[0] > other[1] or place[1] < other[0] or (slot.link == "->" and place != other) for other in chosen) and (
            not chosen or relations.linked(slot.link, here, chosen, place)
        ):
            yield from _combine(pattern, here, rows, (*chosen, place))


def _spoilt(pattern: Pattern, here: Passage, chosen: tuple[Place, ...]) -> bool:
    """Whether what must not stand beside or between the chosen places does: in their clauses, or in one between them."""
    taken = {at for place in chosen for at in range(place[0], place[1] + 1)}
    first, last = here.clauses[min(taken)], here.clauses[max(taken)]
    return any(
        first <= here.clauses[place[0]] <= last and place[0] not in taken for slot in pattern.without for place in _places(here, slot)
    )


def says(pattern: Pattern, here: Passage) -> bool:
    return next(find(pattern, here), None) is not None
