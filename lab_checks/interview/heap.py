"""Whether an answer is a heap of terms: text in, yes or no out. Terms in a list say nothing of what one does with them.

A terse answer of a senior also lists, but it ties what it lists: by arrows, colons, questions, negations and verbs. So what counts is the share of
words that stand in long rows of bare items, or in long strings of words without any of the small ones.
"""

from __future__ import annotations

import re

from lab_checks.interview import language
from lab_checks.interview.language import words_of

# A row has so many items of so few words each.
_ROW = 5
_ITEM = 4
_LONG_ITEM = 7
_LISTED = 0.6
_LISTED_LOOSELY = 0.28
# From this share of tying words on, the answer around a row says something.
_TIED = 0.1
_STRUNG = 0.29
# Sentences, be they ever so terse, have more small words than this share.
_BARE = 0.1
_FEW_WORDS = 6
_TIES = re.compile(r"[:?=→]|->")


def is_heap(text: str) -> bool:
    items = _items(text)
    words = sum(len(each) for each, _ in items)
    if words < _FEW_WORDS:
        return False
    if all(between and _bare(item, _LONG_ITEM) for item, between in items):
        return True
    listed = _listed(items) / words
    tied = (sum(word in words_of("ties") for each, _ in items for word in each) + len(_TIES.findall(text))) / words
    small = sum(language.is_glue(word) for each, _ in items for word in each) / words
    return (
        small + tied <= _BARE
        or listed >= _LISTED
        or (listed >= _LISTED_LOOSELY and tied < _TIED)
        or sum(len(each) for each, _ in items if _is_strung(each)) >= _STRUNG * words
    )


def _items(text: str) -> list[tuple[list[str], bool]]:
    """What stands between two marks, and whether only commas, semicolons, dashes and full stops stand around it."""
    found: list[tuple[list[str], bool]] = []
    for unit in language.units(text):
        tokens = language.tokens(re.sub(r"[.!](?=\s|$)", " , ", language.plain(unit)))
        begin, words = ",", list[str]()
        for token in [*tokens, ","]:
            if token not in language.MARKS:
                words.append(token)
                continue
            if words:
                found.append((words, begin in (",", ":", ";") and token in (",", ";")))
            begin, words = token, []
    return found


def _listed(items: list[tuple[list[str], bool]]) -> int:
    """How many words stand in rows of bare items."""
    total = row = words = 0
    for item, between_commas in [*items, ([], False)]:
        if between_commas and _bare(item, _ITEM):
            row, words = row + 1, words + len(item)
            continue
        total += words if row >= _ROW else 0
        row = words = 0
    return total


def _bare(item: list[str], most: int) -> bool:
    """Whether it only names: few words, none of which ties, and no small word in a longer one."""
    small = len(item) > _ITEM and any(language.is_glue(word) for word in item)
    return 0 < len(item) <= most and not small and not words_of("ties").intersection(item)


def _is_strung(item: list[str]) -> bool:
    """Whether it is a long string of words with few small ones among them."""
    glue = sum(language.is_glue(word) for word in item) / len(item)
    return "versus" not in item and ((len(item) >= 12 and glue < 0.12) or (len(item) >= 16 and glue < 0.2))
