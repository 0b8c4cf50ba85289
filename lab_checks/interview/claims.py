"""Whether an answer *means* what a regular expression finds in it: denied, disapproved of and conditional words are no claim.

"I would restart it first" is one. "I would not restart it", "restarting is tempting, and hides the cause" and "once the log shows a hang, I
would restart it" are none. The words by which that is told apart are in denial.toml.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.interview.language import Sentence

_COMMA = re.compile(r"[.:]|, (?=(?:i|we|you|just|simply|then|first|my|let|the|it|a)\b)")
# "before I restart": the pronoun begins no new clause.
_TURNS_AROUND = frozenset({"before", "until", "than", "without", "whether", "why"})
_MODAL = re.compile(r"\W*(?:would|should|could|will|must|can|to|not|never)\b")
# So many words after a claim may pass before it is disapproved of.
_NEAR = 7


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "denial.toml").read_text())


@cache
def _words(name: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(_data()["words"][name]) + r")\b")


@cache
def _disapproval() -> re.Pattern[str]:
    return re.compile(rf"^(?:\W*\w+){{0,{_NEAR}}}?\W*" + _words("disapproves_after").pattern)


@dataclass(frozen=True)
class Claim:
    """What was meant in a sentence."""

    sentence: int
    quote: str


def expression(source: str) -> re.Pattern[str]:
    """A regular expression of the data, with its macros {do} and {it} filled in."""
    for name, meanings in _data()["macros"].items():
        source = source.replace("{" + name + "}", "(?:" + "|".join(meanings) + ")")
    return re.compile(source)


def _clause(text: str, start: int) -> int:
    """Where the clause begins in which `start` stands."""
    cut = 0
    for found in sorted([*_COMMA.finditer(text, 0, start + 1), *_words("boundaries").finditer(text)], key=lambda each: each.start()):
        before = text[: found.start()].split()
        if found.start() > start or (found[0] in ("i", "we") and before and before[-1] in _TURNS_AROUND):
            continue
        cut = found.start() if found[0] in ("i", "we") else found.end()
    return min(cut, start)


def denied(text: str, start: int, end: int) -> bool:
    """Whether what stands from `start` to `end` is denied or disapproved of in its sentence."""
    cut = _clause(text, start)
    if re.search(r"\b(?:before|until|than)\b(?: \w+){0,5}$", text[cut:start]) or re.match(r"\W*(?:before|until)\b", text[cut:end]):
        return True
    said = _words("denies_nothing").sub(lambda found: " " * len(found[0]), text[cut:end])
    if _words("denies").search(said) or _words("disapproves_before").search(text[:start].rpartition(" but ")[2]):
        return True
    after = text[end:]
    because = _words("reasons").search(after)
    return bool(_disapproval().search(after[: because.start()] if because else after))


def conditional(text: str, start: int, end: int) -> bool:
    """Whether the sentence asks for evidence before it acts, and is in no haste."""
    return bool(_words("conditions").search(text)) and not in_haste(text[max(0, start - 12) : end + 24])


def in_haste(text: str) -> bool:
    """Whether something is done first, at once, or without looking."""
    return bool(_words("haste").search(text))


def _somebody_else(text: str, found: re.Match[str]) -> bool:
    """Whether a component of the cluster does it: "liveness would kill the container" is no plan of the person who says it."""
    return bool(_MODAL.match(found[0]) and re.search(_words("others").pattern + r"\W*$", text[: found.start()]))


def claims(
    pattern: re.Pattern[str], said: list[Sentence], *, negation: bool = True, conditions: bool = True
) -> tuple[list[Claim], list[int]]:
    """(what the answer claims, the sentences in which it denies that)."""
    meant: list[Claim] = []
    denials: list[int] = []
    for sentence in said:
        if sentence.asks:
            continue
        for found in pattern.finditer(sentence.text):
            if _somebody_else(sentence.text, found):
                continue
            if negation and denied(sentence.text, found.start(), found.end()):
                denials.append(sentence.number)
            elif conditions and conditional(sentence.text, found.start(), found.end()):
                continue
            else:
                meant.append(Claim(sentence.number, sentence.text))
                break
    return meant, denials


def retracted(claim: Claim, denials: list[int], said: list[Sentence]) -> bool:
    """Whether a later sentence takes the claim back in so many words; to say both is to say it."""
    return any(
        number > claim.sentence and any(_takes_back(said[at].text) for at in (number, number - 1) if at > claim.sentence)
        for number in denials
    )


def _takes_back(text: str) -> bool:
    return bool(_words("retracts").search(text)) or text.startswith("no ")
