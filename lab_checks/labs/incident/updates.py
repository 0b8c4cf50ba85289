"""Lab 12-incident: a message to the users: effect, since when, what is done, when they hear more; no guess, no blame, nothing that is secret or inside.

A text comes in; the name of the first thing that is wrong with it, as the lab's words call it, comes out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.interview import heap, language, matching
from lab_checks.interview.language import Sentence
from lab_checks.interview.matching import Lexicon, Passage, Pattern
from lab_checks.redact import redact

FEWEST, MOST = 20, 110
# Minutes: sooner than the first nobody can write again, after the second nobody waits any more.
_SOON, _LATE = 5, 60
_CLOCK = re.compile(r"\b([01]?\d|2[0-3])[:.h]([0-5]\d)\b")
_IN = re.compile(r"\b(?:in|within|after|every)\s+(?:about\s+|the\s+next\s+)?(\d+|half an|an|one)\s*(minute|min|hour|h)\w*", re.I)
_SINCE = re.compile(r"\b(?:since|from|began|begun|started|starting|beginning|as of|after)\b", re.I)
_NEXT = re.compile(r"\b(?:next|again|another|further|update)\b", re.I)
# Names of nodes, Pods and addresses, and a cluster's own words: of no use to a user, and of some to an attacker.
_INSIDE = re.compile(
    r"\bai-lab-[\w-]+|\bai-log-summary-api\b|\b\w+(?:-\w+)*-[0-9a-f]{8,10}-[a-z0-9]{5}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b|nvidia\.com/\S+|\bkubectl\b|\bkube-\w+",
    re.I,
)
# Parts of the platform that a user has never heard of.
_PARTS = re.compile(r"\b(?:device |gpu )?plug-?ins?\b|\bdaemonsets?\b|\bkubernetes\b|\bscheduler\b|\bkubelets?\b", re.I)
_TOKEN = re.compile(r"\blsp-\w+|\btoken=\S+")


@dataclass(frozen=True)
class Rubric:
    """The rows of `updates.toml`, read: what is to be said, what is not, and the times of the incident in minutes of the day."""

    began: int
    written: int
    points: dict[str, tuple[Pattern, ...]]
    flags: dict[str, tuple[Pattern, ...]]
    lexicon: Lexicon


@dataclass(frozen=True)
class Finding:
    """What is wrong: the name of its words, the passage that says it, and how much of the message is there (0 to 1)."""

    name: str
    quote: str = ""
    credit: float = 0.0


def data() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("updates.toml").read_text())


@cache
def rubric() -> Rubric:
    read = data()
    points, flags = (
        {row["id"]: tuple(matching.compile_pattern(each) for each in row["any"]) for row in read[name]} for name in ("point", "flag")
    )
    every = [pattern for rows in (*points.values(), *flags.values()) for pattern in rows]
    return Rubric(minutes(read["began"]), minutes(read["written"]), points, flags, Lexicon(every))


def minutes(clock: str) -> int:
    """`09:12` as minutes of the day."""
    hours, _, rest = clock.partition(":")
    return 60 * int(hours) + int(rest)


def wrong(text: str) -> Finding | None:
    """The first thing that is wrong with a message; None where nothing is. What must not be said comes before what is missing."""
    rules, said = rubric(), language.sentences(text)
    passages = [matching.passage((each,), rules.lexicon) for each in said]
    if found := next(_spoken(text, said, passages, rules), None):
        return found
    words = sum(len(each.words) for each in said)
    if words < FEWEST or heap.is_heap(text):
        return Finding("update-too-short", f"{words} words", credit=0.1)
    missing = list(_missing(said, passages, rules))
    if missing:
        return Finding(missing[0].name, missing[0].quote, round(0.9 * (4 - len(missing)) / 4, 2))
    if words > MOST:
        return Finding("update-too-long", f"{words} words", 0.8)
    return None


def _spoken(text: str, said: list[Sentence], passages: list[Passage], rules: Rubric) -> Iterator[Finding]:
    if found := _TOKEN.search(text):
        yield Finding("update-secret", f"{found[0][:9]}…")
    if masked := [value for name, value in redact(text).values.items() if not name.startswith("<address")]:
        yield Finding("update-secret", f"{masked[0][:4]}…")
    if found := _INSIDE.search(text):
        yield Finding("update-inside", found[0])
    yield from _flagged(said, passages, rules)
    if found := _PARTS.search(text):
        yield Finding("update-inside", found[0])


def _flagged(said: list[Sentence], passages: list[Passage], rules: Rubric) -> Iterator[Finding]:
    for flag, name in (("blame", "update-blame"), ("guess", "update-guess")):
        for sentence, here in zip(said, passages, strict=True):
            if any(matching.says(pattern, here) for pattern in rules.flags[flag]):
                yield Finding(name, sentence.said)


def _missing(said: list[Sentence], passages: list[Passage], rules: Rubric) -> Iterator[Finding]:
    """What the message does not say, in the order in which users look for it."""
    if not _says(rules, "effect", passages):
        yield Finding("update-no-effect")
    since = [moment for each in said if _SINCE.search(each.said) and not _NEXT.search(each.said) for moment in _clocks(each.said)]
    since = since or [moment for each in said if not _NEXT.search(each.said) for moment in _clocks(each.said)]
    since = since or [moment for each in said for moment in _clocks(each.said) if moment <= rules.written]
    if not since:
        yield Finding("update-no-since")
    elif rules.began not in since:
        yield Finding("update-other-since", f"{since[0] // 60:02}:{since[0] % 60:02}")
    if not _says(rules, "work", passages):
        yield Finding("update-no-work")
    waits = [wait for each in said if _NEXT.search(each.said) for wait in _waits(each.said, rules.written)]
    if not _says(rules, "next", passages) or not waits:
        yield Finding("update-no-next")
    elif not any(_SOON <= wait <= _LATE for wait in waits):
        yield Finding("update-next-late", f"{max(waits)} minutes")


def _says(rules: Rubric, point: str, passages: list[Passage]) -> bool:
    return any(matching.says(pattern, here) for here in passages for pattern in rules.points[point])


def _clocks(text: str) -> list[int]:
    return [60 * int(hours) + int(rest) for hours, rest in _CLOCK.findall(text)]


def _waits(text: str, now: int) -> list[int]:
    """Minutes from now that a sentence tells of: a time of day that is to come, or a span."""
    spans = {"half an": 30, "an": 60, "one": 60}
    found = [moment - now for moment in _clocks(text) if moment > now]
    for amount, unit in _IN.findall(text):
        number = spans.get(amount.lower()) or int(amount) * (60 if unit.lower().startswith("h") else 1)
        found.append(number)
    return found
