"""What a sentence denies, disapproves of or leaves to others. Sentences in; for each word whether it is denied out. The words are in denial.toml.

A denial reaches to the end of its clause (*strict*), and through a list further ("never delete, drop or bypass it", *loose*). Strict is what a
rubric's point is held against, loose what saves an answer from a red flag.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab_checks.interview.language import Sentence, is_verb

_FINITE = frozenset(("would", "can", "could", "will", "may", "might", "only", "just", "leads", "means", "is", "are", "does"))
# What acts by itself once somebody has built it: "a script that restarts them" is a plan.
_ROBOTS = frozenset(("script", "job", "cron", "cronjob", "automation", "bot", "webhook", "robot", "hook"))
# So many words after what was said may pass before it is disapproved of.
_NEAR = 12


@cache
def _rows(name: str) -> tuple[tuple[str, ...], ...]:
    """Phrases of denial.toml, the longest first."""
    data = tomllib.loads((Path(__file__).parent / "denial.toml").read_text())
    return tuple(sorted((tuple(each.strip().split()) for each in data[name].split("|")), key=len, reverse=True))


def _at(words: tuple[str, ...], at: int, name: str) -> int:
    """How many words from `at` on are a phrase of that list; 0 where none is."""
    return next((len(row) for row in _rows(name) if words[at : at + len(row)] == row), 0)


def holds(words: tuple[str, ...], name: str) -> bool:
    """Whether a phrase of that list stands anywhere in these words."""
    return any(_at(words, at, name) for at in range(len(words)))


@dataclass(frozen=True)
class Denial:
    """For each word of a sentence whether it is denied."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


def _negators(words: tuple[str, ...], strict: list[bool]) -> Iterator[tuple[int, int]]:
    """(place, number of words) of what denies the words after it. "Without asking" denies the asking, and nothing else."""
    at = 0
    while at < len(words):
        if words[at : at + 2] == ("not", "enough"):
            strict[at + 1] = True
            at += 2
            continue
        harmless = _at(words, at, "denies_nothing")
        if harmless:
            for other in range(at + 1, at + harmless):
                strict[other] = words[at] in ("without", "no")
            at += harmless
            continue
        length = _at(words, at, "denies")
        if length:
            yield at, length
        at += max(length, 1)


@cache
def denial(sentence: Sentence) -> Denial:
    words, clauses = sentence.words, sentence.clauses
    strict, loose = [False] * len(words), [False] * len(words)
    for at, length in _negators(words, strict):
        reach = 4 if words[at] == "no" else 9
        lists = words[at] in ("never", "no", "neither", "nor", "without", "nobody") or (
            at + length < len(words) and is_verb(words[at + length])
        )
        ends = at + length
        # "Don't: run it unread."
        clause = clauses[ends] if ends < len(words) and clauses[ends] != clauses[at] and words[at] != "no" else clauses[at]
        for other in range(ends, len(words)):
            if clauses[other] == clause and other - ends < reach:
                # "not … without" says it.
                strict[other] = not strict[other] if words[at] == "without" and strict[at] else True
            elif clauses[other] != clause and (not lists or _resumes(words, clauses, other)):
                break
            loose[other] = True
    for clause in set(clauses):
        inside = [at for at, number in enumerate(clauses) if number == clause]
        _disown(words, inside, strict, loose)
    return Denial(tuple(strict), tuple(a or b for a, b in zip(strict, loose, strict=True)))


def _disown(words: tuple[str, ...], inside: list[int], strict: list[bool], loose: list[bool]) -> None:
    """Denies what stands before "is not needed", and what follows "before" or "a colleague wants to"."""
    for at in inside:
        length = _at(words, at, "needless")
        if length and (
            words[at] not in ("needed", "necessary", "required", "important", "relevant")
            or any(strict[at - back] for back in range(min(at, 3) + 1))
        ):
            for other in range(inside[0], at):
                strict[other] = loose[other] = True
        # "Kill whatever runs there" is an act on all of it, not somebody else's wish.
        wanted = _at(words, at, "others_want") and not (words[at] in ("whatever", "anything") and at > inside[0] and is_verb(words[at - 1]))
        if _at(words, at, "not_yet") or (wanted and not holds(words[at:], "takes_up")):
            for other in range(at, inside[-1] + 1):
                loose[other] = True


def _resumes(words: tuple[str, ...], clauses: tuple[int, ...], at: int) -> bool:
    """Whether a new thought begins at `at`, and not a further item of what is denied."""
    if clauses[at - 1] == clauses[at]:
        return False
    return words[at] in (
        "i",
        "we",
        "you",
        "but",
        "then",
        "so",
        "because",
        "instead",
        "the",
        "it",
        "that",
        "if",
        "when",
        "until",
        "only",
        "just",
        "rather",
        "better",
        "my",
        "our",
        "its",
        "their",
        "this",
        "these",
        "each",
        "every",
        "all",
    ) or (words[at] == "and" and at + 1 < len(words) and words[at + 1] in ("i", "we", "then", "instead", "the"))


def disapproved(sentence: Sentence, first: int, last: int) -> bool:
    """Whether what stands from `first` to `last` is called wrong, useless or somebody's bad idea in its sentence."""
    words, clauses = sentence.words, sentence.clauses
    before = words[max(0, first - 10) : first]
    if "but" in before:
        before = before[len(before) - before[::-1].index("but") :]
    if holds(before, "disapproves_before") or _brushed_off(sentence, last):
        return True
    # "Deleting it because we are in a hurry is no solution": the reason belongs to the subject.
    subject = words[first].endswith("ing") and (first == 0 or clauses[first - 1] != clauses[first])
    for at in range(last + 1, min(len(words), last + _NEAR)):
        if _at(words, at, "reasons") and not subject:
            return False
        if _at(words, at, "disapproves_after"):
            return True
    return False


def _brushed_off(sentence: Sentence, last: int) -> bool:
    """Whether the next clause begins with a plain no: "a public address: never"."""
    following = [word for word, number in zip(sentence.words, sentence.clauses, strict=True) if number == sentence.clauses[last] + 1]
    return bool(following) and (
        following[0] in ("never", "nope")
        or (following[0] == "no" and (len(following) == 1 or following[1] in ("also", "not", "never", "thanks", "way")))
    )


def somebody_else(sentence: Sentence, first: int) -> bool:
    """Whether a component of the cluster does it: "liveness would kill the container" is no plan of the person who says it."""
    clause = sentence.clauses[first]
    for at in range(first - 1, max(-1, first - 4), -1):
        if sentence.clauses[at] != clause or sentence.words[at] in ("i", "we", "you", "to", "and"):
            return False
        if _at(sentence.words, at, "components"):
            return at == 0 or sentence.words[at - 1] not in ("in", "on", "of", "for", "from", "with", "by", "to")
    return False


def observed(sentence: Sentence, first: int) -> bool:
    """Whether what begins at `first` is told as something seen, not planned: "deleting it brings back the same", "whoever deletes it", "a restart loses it"."""
    words, clauses = sentence.words, sentence.clauses
    begin = next(at for at in range(first + 1) if clauses[at] == clauses[first])
    if holds(words[max(0, first - 6) : first], "whoever") and not holds(words[first:], "takes_up"):
        return True
    if words[begin] in ("if", "when") and words[first].endswith("ed") and not {"i", "we", "you"}.intersection(words[begin:first]):
        return True  # "If the tag was moved" happens to one.
    if words[begin : begin + 2] in (("if", "i"), ("if", "we")) and "would" in words[first:] and not holds(words[first:], "praises"):
        return True
    subject = words[first].endswith("ing") or (words[first - 1 : first] in (("a",), ("an",)) and words[first] not in _ROBOTS)
    if not subject or first - begin > 2 or {"i", "we", "let", "by"}.intersection(words[begin:first]):
        return False
    rest = [at for at in range(first + 1, len(words)) if clauses[at] == clauses[first]]
    finite = any((words[at].endswith("s") and is_verb(words[at])) or words[at] in _FINITE for at in rest[:10])
    return finite and not holds(words[first + 1 :], "praises")
