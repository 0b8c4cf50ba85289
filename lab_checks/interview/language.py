"""Answers as sentences of plain words: what matching looks at. Text in, sentences out; nothing here knows a question.

A sentence is cut into clauses at its punctuation and at the words that begin a new thought ("but", "because", "and I"), for a denial or an
object belongs to its clause. Abbreviations and symbols that people type in a hurry ("w/o", "->", "svc") are written out.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

_BULLET = re.compile(r"^\s*(?:[-*•–+]|\d{1,2}[.)]|#{1,6})\s+")
_TOKEN = re.compile(r"[a-z0-9]+(?:\.[0-9a-z]+)*|=>|[,;:()?|]")
_END = re.compile(r"(?<=[.!?])[\"')]*\s+")
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|vs|approx|incl|min|max|resp)\.(?=\s+[a-z(])", re.I)
# A line at least this long is a wrapped one: the next goes on with its sentence.
_WRAPPED = 55
_WIDE = 75
_BREAKS = frozenset(("=>", ";", "?"))
MARKS = frozenset(("=>", ",", ";", ":", "(", ")", "?", "|"))
# A symbol and what it says.
_SYMBOLS = (
    (r"\s*(?:-+>|=>|→|⇒|⟶|➜)\s*", " => "),
    (r"\s(?:-{1,2}|–|—)\s", " ; "),
    (r"—", " ; "),
    (r"≠|!=|<>", " not "),
    (r"\bw/o\b", " without "),
    (r"\bw/\s?", " with "),
    (r"\bb/c\b", " because "),
    (r"(?<=\w)/s(?:ec)?\b", " per second"),
    (r"≥|>=|(?<=[\w\s])>(?=[\s\d~])", " above "),
    (r"≤|<=|(?<=[\w\s])<(?=[\s\d~])", " below "),
    (r"(?<![<>!])={1,3}(?!>)", " is "),
    (r"\s[&+]\s", " and "),
    (r"[×✕]", " times "),
)


@cache
def vocabulary() -> dict[str, Any]:
    here = Path(__file__).parent
    found = tomllib.loads((here / "vocabulary.toml").read_text())
    return {**found, "group": {**found["group"], **tomllib.loads((here / "facts.toml").read_text())["group"]}}


@cache
def words_of(name: str) -> frozenset[str]:
    """A list of words of the vocabulary's [grammar]."""
    return frozenset(vocabulary()["grammar"][name].split())


@cache
def _stems_of(name: str) -> frozenset[str]:
    return frozenset(stem(each) for each in words_of(name))


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
    return word in words_of("verbs") or stem(word) in _stems_of("verbs")


def acts(word: str) -> bool:
    """Whether it is a verb, and not as often a noun."""
    return is_verb(word) and stem(word) not in _stems_of("nouns_too")


def is_glue(word: str) -> bool:
    return word in words_of("glue")


@dataclass(frozen=True)
class Sentence:
    """`said` is the sentence as it was written, `asks` whether it ends in a question mark.

    For each word, `clauses` has the number of its clause, and `thoughts` that of the part between semicolons or arrows.
    """

    number: int
    said: str
    words: tuple[str, ...]
    clauses: tuple[int, ...]
    thoughts: tuple[int, ...]
    asks: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @cached_property
    def refers(self) -> bool:
        """Whether it goes on about what stands before it."""
        return self.words[0] in words_of("goes_on")


def plain(text: str) -> str:
    """Lower case, without markup, contractions and symbols written out, one spelling for each term."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    text = text.replace("NoSchedule", "noschedule").replace("NoExecute", "noexecute")
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", text).lower()
    text = re.sub(r"[`*_\"“”]", "", text)
    text = re.sub(r"\bcan'?t\b", "can not", text)
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
    for symbol, meant in _SYMBOLS:
        text = re.sub(symbol, meant, text)
    same = vocabulary()["same"]
    return _same_pattern().sub(lambda found: same[found[0]], text)


@cache
def _same_pattern() -> re.Pattern[str]:
    longest_first = sorted(vocabulary()["same"], key=len, reverse=True)
    return re.compile(r"(?<![\w.])(?:" + "|".join(re.escape(each) for each in longest_first) + r")(?![\w])")


def units(text: str) -> list[str]:
    """Paragraphs and bullets; wrapped lines are joined."""
    found: list[str] = []
    last_line = ""
    listed = False
    for line in text.splitlines():
        bullet = _BULLET.sub("", line)
        if not line.strip():
            last_line = ""
            continue
        wide = len(last_line) >= _WRAPPED and (not listed or line[:1].isspace() or len(last_line) >= _WIDE)
        if found and last_line and bullet == line and (wide or last_line.endswith(",")):
            found[-1] = f"{found[-1]} {line.strip()}"
        else:
            found.append(bullet.strip())
            listed = bullet != line
        last_line = line.strip()
    return found


def tokens(text: str) -> list[str]:
    """The words and marks of plain text."""
    return _TOKEN.findall(text)


def _clauses(said: list[str]) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    """The words among the tokens, and for each of them the numbers of its clause and of its thought."""
    words: list[str] = []
    clauses: list[int] = []
    thoughts: list[int] = []
    clause = thought = 0
    begun = False
    for at, token in enumerate(said):
        if token in MARKS:
            clause += begun
            begun = False
            thought += token in _BREAKS
            continue
        if begun and _begins(token, said[at - 1], said[at + 1 : at + 3]):
            clause += 1
        words.append(token)
        clauses.append(clause)
        thoughts.append(thought)
        begun = True
    return tuple(words), tuple(clauses), tuple(thoughts)


def _begins(word: str, before: str, after: list[str]) -> bool:
    """Whether a clause begins with this word."""
    if word in ("i", "we"):
        # "On the node I look at …", and not "before I look" or "would I look".
        return not is_glue(before) and before not in words_of("turns")
    if word in ("and", "or"):
        following = next((each for each in after if each not in words_of("adverbs")), "")
        return following in ("i", "we", "you", "it", "they") or acts(following)
    return word in words_of("turns")


def sentences(text: str) -> list[Sentence]:
    """The sentences of an answer, in order."""
    found: list[Sentence] = []
    # Markup and case go line by line: the lines themselves are needed to tell bullets from wrapped prose.
    for unit in units(_ABBREVIATIONS.sub(lambda match: match[1].replace(".", ""), text)):
        for part in _END.split(unit):
            words, clauses, thoughts = _clauses(tokens(plain(part)))
            if words:
                found.append(Sentence(len(found), part.strip(), words, clauses, thoughts, part.rstrip(" \"')").endswith("?")))
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
