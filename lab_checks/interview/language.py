"""Answers as sentences of plain words: what matching and scoring look at. Text in, sentences out; nothing here knows a question.

A sentence *explains* where it has a verb and the small words that tie it together; a heap of terms has neither.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_BULLET = re.compile(r"^\s*(?:[-*•–+]|\d{1,2}[.)]|#{1,6})\s+")
_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9a-z]+)*")
_END = re.compile(r"(?<=[.!?])\s+|\s*;\s+|\s+[–—]\s+|\s+-+>?\s+|\s*[→⇒]\s*")
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|vs|approx|incl)\.", re.I)
# A line at least this long is a wrapped one: the next goes on with its sentence.
_WRAPPED = 55
_ANAPHORA = frozenset(
    (
        "it", "this", "that", "these", "those", "they", "then", "so", "otherwise", "which", "only", "because", "until", "both", "there", "here", "its",
        "their", "and", "but", "if", "after", "without", "instead", "once",
    )
)  # fmt: skip


@cache
def vocabulary() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "vocabulary.toml").read_text())


@cache
def _set(name: str) -> frozenset[str]:
    return frozenset(vocabulary()["grammar"][name].split())


@cache
def _verb_stems() -> frozenset[str]:
    return frozenset(stem(each) for each in _set("verbs"))


@cache
def _noun_stems() -> frozenset[str]:
    return frozenset(stem(each) for each in _set("nouns_too"))


@cache
def stem(word: str) -> str:
    """A word without its usual endings: schedule, scheduled and scheduling are one."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 5 and word.endswith("ing"):
        word = _undoubled(word[:-3])
    elif len(word) > 4 and word.endswith("ed"):
        word = _undoubled(word[:-2])
    elif len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _undoubled(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word


def is_verb(word: str) -> bool:
    return word in _set("verbs") or stem(word) in _verb_stems()


def is_glue(word: str) -> bool:
    return word in _set("glue")


def common_words() -> frozenset[str]:
    """Words that are never taken for a misspelt term."""
    return _set("common") | _set("glue") | _set("verbs")


@dataclass(frozen=True)
class Sentence:
    """`text` is in plain lower case with its commas; `asks` where it is a question, `refers` where it goes on about what stands before it."""

    number: int
    text: str
    words: tuple[str, ...]
    asks: bool = False
    listed: bool = False

    @property
    def refers(self) -> bool:
        return bool(self.words) and self.words[0] in _ANAPHORA

    @property
    def verbs(self) -> int:
        return sum(is_verb(word) for word in set(self.words))

    @property
    def says(self) -> int:
        """How many verbs it has that are no nouns: so much has it to say about what it names."""
        return len({stem(word) for word in self.words if is_verb(word)} - _noun_stems())

    @property
    def glue(self) -> float:
        """The share of small words."""
        return sum(is_glue(word) for word in self.words) / len(self.words) if self.words else 0.0

    @property
    def orders(self) -> bool:
        """Whether it is one verb, perhaps with its object: "Cordon it." """
        return len(self.words) <= 2 and is_verb(self.words[0]) and not self.asks

    @property
    def explains(self) -> bool:
        """Whether this says something, and does not only name things: it has a verb, or at least words that tie its nouns together."""
        if self.asks or len(self.words) < 3:
            return False
        if self.verbs and len(self.words) <= 9 and (is_verb(self.words[0]) or (self.words[0] == "first" and is_verb(self.words[1]))):
            # A bullet in the imperative: "check the events of the Pod first".
            return self.glue > 0 or len(self.words) <= 5
        if self.says and 4 <= len(self.words) <= 9 and self.glue > 0:
            return True
        return self.glue >= (0.15 if self.verbs else 0.22) and sum(is_glue(word) for word in self.words) >= 2


def plain(text: str) -> str:
    """Lower case, without markup, contractions written out, one spelling for each term."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    text = text.replace("NoSchedule", "noschedule").replace("NoExecute", "noexecute")
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", text).lower()
    text = _ABBREVIATIONS.sub(lambda found: found[1].replace(".", ""), text)
    text = re.sub(r"[`*_\"“”]", "", text)
    text = re.sub(r"\bcan't\b", "can not", text)
    text = re.sub(r"\bwon't\b", "will not", text)
    for ending, meant in (
        ("n't", " not"),
        ("'d", " would"),
        ("'ll", " will"),
        ("'m", " am"),
        ("'re", " are"),
        ("'ve", " have"),
        ("'s", ""),
    ):
        text = re.sub(rf"(?<=[a-z]){ending}\b", meant, text)
    same = vocabulary()["same"]
    return _same_pattern().sub(lambda found: same[found[0]], text)


@cache
def _same_pattern() -> re.Pattern[str]:
    longest_first = sorted(vocabulary()["same"], key=len, reverse=True)
    return re.compile(r"(?<![\w.])(?:" + "|".join(re.escape(each) for each in longest_first) + r")(?![\w])")


def _units(text: str) -> list[tuple[str, bool]]:
    """Paragraphs and bullets, each with whether it is a bullet; wrapped lines are joined."""
    found: list[tuple[str, bool]] = []
    last_line = ""
    for line in text.splitlines():
        bullet = _BULLET.sub("", line)
        starts = bullet != line
        if not line.strip():
            last_line = ""
            continue
        if found and last_line and not starts and (len(last_line) >= _WRAPPED or last_line.rstrip().endswith(",")):
            found[-1] = (f"{found[-1][0]} {line.strip()}", found[-1][1])
        else:
            found.append((bullet.strip(), starts))
        last_line = line.strip()
    return found


def sentences(text: str) -> list[Sentence]:
    """The sentences of an answer, in order."""
    found: list[Sentence] = []
    # Markup and case go line by line: the lines themselves are needed to tell bullets from wrapped prose.
    for unit, listed in _units(_ABBREVIATIONS.sub(lambda match: match[1].replace(".", ""), text)):
        for part in _END.split(unit):
            said = re.sub(r"[^\w\s.,:%]|(?<!\d)\.(?!\w)", " ", plain(part)).replace(":", " , ")
            said = re.sub(r"\s+", " ", said).strip(" ,.")
            words = tuple(_WORD.findall(said))
            if words:
                text_of = re.sub(r"[^a-z0-9., ]", " ", said)
                found.append(Sentence(len(found), re.sub(r"\s+", " ", text_of), words, part.rstrip().endswith("?"), listed))
    return found


def distance(one: str, other: str, most: int) -> int:
    """How many letters differ, are missing or swapped with their neighbour; `most + 1` where it is more than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row_before, row = row, before, [i]
        for j, b in enumerate(other, 1):
            best = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, row_before[j - 2] + 1)
            row.append(best)
        before = previous
    return min(row[-1], most + 1)


def shingles(text: str, size: int = 4) -> set[tuple[str, ...]]:
    """All runs of `size` words: what two texts share where one was copied from the other."""
    words = [word for each in sentences(text) for word in each.words]
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}
