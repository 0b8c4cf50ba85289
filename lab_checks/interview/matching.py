"""Whether a sentence says a point: patterns as data, in, and which sentences say it, out.

A pattern is groups of words that must stand near each other: `event* & <look>|first`. In a group, `|` parts alternatives, a star stands for any ending,
several words stand in this order, and `<look>` is a group of the vocabulary. Other words match in all their usual forms, and with a small misspelling.
A verb that is negated ("does not advertise") counts only for a pattern that has `<not>` in it.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache

from lab_checks.interview.language import Sentence, common_words, distance, is_glue, is_verb, stem, vocabulary

# Groups of one pattern stand within this many words.
_SPAN = 26
_NEGATORS = frozenset({"not", "never", "no", "without", "nor", "cannot"})
_SHORTEST_TYPO = 6
_NEEDLESS = frozenset({"needed", "necessary", "required", "important", "relevant", "unnecessary", "optional", "overkill"})


@dataclass(frozen=True)
class Phrase:
    """Words in a row; small words may stand between them, and two of any kind where `loose`."""

    words: tuple[str, ...]
    loose: bool = False


@dataclass(frozen=True)
class Pattern:
    groups: tuple[tuple[Phrase, ...], ...]
    negative: bool
    source: str


def compile_pattern(source: str) -> Pattern:
    """Reads a pattern. Raises ValueError for a group that the vocabulary has not."""
    groups = []
    for part in source.split(" & "):
        groups.append(tuple(_phrase(each) for each in _alternatives(part.strip())))
    return Pattern(tuple(groups), "<not>" in source, source)


def _alternatives(part: str) -> list[str]:
    known = vocabulary()["group"]

    def replace(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise ValueError(f"there is no group <{found[1]}> in the vocabulary")
        return str(known[found[1]])

    found = [each.strip() for each in re.sub(r"<(\w+)>", replace, part).split("|")]
    if not all(found):
        raise ValueError(f'an empty alternative in "{part}"')
    return found


def _phrase(text: str) -> Phrase:
    words = [word for each in text.split() if each != ".." for word in re.split(r"[-/]", each)]
    return Phrase(tuple(words), ".." in text)


class Terms:
    """All words of a set of patterns: a word of an answer that is one of them is no misspelling of another."""

    def __init__(self, patterns: list[Pattern]):
        words = {word for pattern in patterns for group in pattern.groups for phrase in group for word in phrase.words}
        self._stems = frozenset(stem(word) for word in words if not word.endswith("*"))
        self._starts = tuple(sorted(word[:-1] for word in words if word.endswith("*")))
        self._common = common_words()
        self._found: dict[tuple[str, str], bool] = {}
        self._common_stems = frozenset(stem(word) for word in self._common)

    def same(self, word: str, term: str) -> bool:
        """Whether a word of an answer is this term of a pattern, in any form, perhaps misspelt."""
        pair = (word, term)
        if pair not in self._found:
            # Bounded: an answer may hold any number of words.
            if len(self._found) > 200_000:
                self._found.clear()
            self._found[pair] = _is(word, term, self)
        return self._found[pair]

    def may_be_misspelt(self, word: str) -> bool:
        return (
            len(word) >= _SHORTEST_TYPO - 1
            and word.isalpha()
            and stem(word) not in self._stems
            and not any(word.startswith(start) and len(word) <= len(start) + 3 for start in self._starts)
            and word not in self._common
            and stem(word) not in self._common_stems
        )


@cache
def _near(word: str, term: str) -> bool:
    longer = max(len(word), len(term))
    if len(term) < _SHORTEST_TYPO - 1 or longer < _SHORTEST_TYPO or word[0] != term[0]:
        return False
    most = 2 if longer >= 9 else 1
    return distance(word, term, most) <= most or distance(stem(word), stem(term), 1) <= (1 if len(stem(term)) >= _SHORTEST_TYPO else 0)


def _is(word: str, term: str, terms: Terms) -> bool:
    if term.endswith("*"):
        start = term[:-1]
        return word.startswith(start) or (
            terms.may_be_misspelt(word) and (_near(word, start) or _near(word, start + "s") or _near(word[: len(start)], start))
        )
    return word == term or stem(word) == stem(term) or (terms.may_be_misspelt(word) and _near(word, term))


def _places(words: tuple[str, ...], phrase: Phrase, terms: Terms) -> list[tuple[int, int]]:
    """(first, last) of every place where the phrase stands."""
    found = []
    for first, word in enumerate(words):
        if not terms.same(word, phrase.words[0]):
            continue
        at = first
        for term in phrase.words[1:]:
            gap, at = 0, at + 1
            while at < len(words) and not terms.same(words[at], term) and (is_glue(words[at]) or (phrase.loose and gap < 4)) and gap < 5:
                gap, at = gap + 1, at + 1
            if at >= len(words) or not terms.same(words[at], term):
                break
        else:
            found.append((first, at))
    return found


def _negated(words: tuple[str, ...], at: int) -> bool:
    """Whether the verb at `at` is denied by a word shortly before it."""
    before = words[max(0, at - 3) : at]
    for back, word in enumerate(reversed(before)):
        if word in ("but", "then", "only", "just", "until"):
            return False
        if word in _NEGATORS:
            return not (word == "no" and back > 0)
    return False


def _dismissed(words: tuple[str, ...], last: int) -> bool:
    """Whether what ends at `last` is called needless right after."""
    after = words[last + 1 : last + 6]
    return any(
        word in _NEEDLESS and (word in ("unnecessary", "optional", "overkill") or "not" in after[:at]) for at, word in enumerate(after)
    )


def says(pattern: Pattern, sentence: Sentence, before: Sentence | None, terms: Terms) -> bool:
    """Whether the sentence says it, alone or, where it goes on about the one before, together with that."""
    if _says(pattern, sentence.words, terms):
        return True
    if before is None or not (sentence.refers or before.listed is False) or before.asks:
        return False
    return sentence.refers and _says(pattern, before.words + sentence.words, terms)


def _says(pattern: Pattern, words: tuple[str, ...], terms: Terms) -> bool:
    rows = []
    for group in pattern.groups:
        places = [place for phrase in group for place in _places(words, phrase, terms) if not _dismissed(words, place[1])]
        if not pattern.negative:
            places = [(first, last) for first, last in places if not (is_verb(words[first]) and _negated(words, first))]
        if not places:
            return False
        rows.append(sorted(set(places))[:6])
    return any(_near_each_other(chosen) for chosen in itertools.islice(itertools.product(*rows), 4000))


def _near_each_other(chosen: tuple[tuple[int, int], ...]) -> bool:
    """Within the span, and no two groups on the same word."""
    if max(last for _, last in chosen) - min(first for first, _ in chosen) > _SPAN:
        return False
    taken: set[int] = set()
    for first, last in chosen:
        if first in taken:
            return False
        taken.update((first, last))
    return True
