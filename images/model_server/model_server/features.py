"""Turns a log line into the numbers that the classifier works on: a line in, {feature index: count} out. Training and serving share it."""

from __future__ import annotations

import re
import zlib
from itertools import pairwise

_TIME = re.compile(r"^\S*\d{2}:\d{2}:\d{2}\S*\s+|^\w{3}\s+\d+\s\d{2}:\d{2}:\d{2}\s+|^\d{4}-\d{2}-\d{2}[ T]\S+\s+")
_WORD = re.compile(r"[a-z]+|\d+")


def words(line: str, normalise: bool) -> list[str]:
    """The words of a line; with `normalise` numbers all look the same, so that nothing is learnt from a port or a process id."""
    found = _WORD.findall(_TIME.sub("", line.strip()).lower())
    return ["#" if normalise and word.isdigit() else word for word in found]


def features(line: str, dimension: int, bigrams: bool) -> dict[int, float]:
    """Counts of words, and with `bigrams` of pairs of neighbours and word beginnings, hashed into `dimension` places."""
    found = words(line, normalise=bigrams)
    names = list(found)
    if bigrams:
        names += [f"{one} {two}" for one, two in pairwise(found)]
        names += [f"^{word[:4]}" for word in found if len(word) > 4]
    counts: dict[int, float] = {}
    for name in names:
        index = zlib.crc32(name.encode()) % dimension
        counts[index] = counts.get(index, 0.0) + 1.0
    return counts
