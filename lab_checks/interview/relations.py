"""How two places of a passage hang together: who does what to whom, what is said of whom, what comes first. Places in, yes or no out.

Words in a sentence say little without their order: "readiness restarts it, liveness takes it out" has the words of a right answer. So each link of a
pattern (matching.py) asks for a relation with a direction.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

from lab_checks.interview.language import is_verb, stem, vocabulary

Place = tuple[int, int]

# Slots joined by & stand within this many words, those joined by > no further than that after the one before.
_SPAN = 24
_GAP = 7
_REACH = 8
# So many words after its subject something may be said of it; in another clause of the sentence the subject still holds.
_SAID = 14
_CLAUSES = 1
_ORDERED = 18
_STOPS = frozenset(
    (
        "for", "with", "without", "by", "per", "under", "against", "within", "because", "that", "which", "until", "when", "where", "than", "about",
        "before", "after", "at", "unless", "so", "via", "through", "around",
    )
)  # fmt: skip
_PASSIVE = frozenset(
    ["be", "is", "are", "was", "were", "been", "being", "get", "gets", "got", "gotten", "have", "has", "had", "stay", "stays", "go", "goes"]
)
_PARTICIPLES = ("ed", "off", "out", "down", "away", "gone", "shut", "taken", "lifted")
_PRONOUNS = frozenset(("it", "them", "this", "that", "one", "ones", "both", "those", "these"))
_NONE = frozenset(("nothing", "nobody", "none", "no", "never", "neither", "nowhere"))
# Between what is done and who does it: "restarted by", "restarts when readiness fails".
_DOER = frozenset(("by", "through", "via", "if", "when", "whenever", "once", "because"))
_JOINS = frozenset(("and", "while", "whereas", "but", "or", "then"))
_CONNECTS = frozenset(("and", "then", "which", "so", "it", "thus", "that", "therefore", "hence", "who", "they"))
# Where a sentence turns to something else.
_TURNS = frozenset(("versus", "while", "whereas", "but", "not", "instead", "rather", "unlike", "or", "except", "than"))
_SOONER = frozenset(("before", "then", "afterwards", "afterward", "later", "subsequently", "finally", "next", "followed", "until"))
_LATER = frozenset(("after", "once", "following", "afterwards"))
_BEGINS = frozenset(("first", "begin", "start", "starting", "beginning", "immediately", "initially"))


class Words(Protocol):
    """What the relations look at: words, the numbers of their clauses and their stems."""

    @property
    def words(self) -> tuple[str, ...]: ...
    @property
    def clauses(self) -> tuple[int, ...]: ...
    @property
    def thoughts(self) -> tuple[int, ...]: ...
    @property
    def stems(self) -> tuple[str, ...]: ...


@cache
def _rivals() -> tuple[frozenset[str], ...]:
    """Sets of words of which a sentence means one at a time: what is said of a probe is not said of the one named before it."""
    return tuple(frozenset(stem(word) for word in row.split()) for row in vocabulary()["rivals"].values())


def linked(link: str, here: Words, chosen: tuple[Place, ...], place: Place) -> bool:
    """Whether `place` stands to the places before it as the link asks."""
    before = chosen[-1]
    if link == ">":
        return place[0] - before[0] > 0 and place[0] - before[1] <= _GAP
    if link == "->":
        return done_to(here, before, place)
    if link == "=>":
        return said_of(here, before, place)
    if link == "~>":
        return comes_first(here, before, place)
    every = (*chosen, place)
    return max(last for _, last in every) - min(first for first, _ in every) <= _SPAN


def done_to(here: Words, verb: Place, thing: Place) -> bool:
    """Whether the verb's object is the thing: after it, before its passive form, or named before and taken up by a pronoun."""
    same = here.clauses[verb[0]] == here.clauses[thing[0]]
    if thing[0] > verb[0]:
        return same and thing[0] - verb[0] <= _REACH and not _STOPS.intersection(here.words[verb[0] + 1 : thing[0]])
    gap = here.words[thing[1] + 1 : verb[0]]
    if same and len(gap) <= _REACH and here.words[verb[0]].endswith(_PARTICIPLES):
        return bool(_PASSIVE.intersection(gap[-2:])) or not gap or (len(gap) <= 3 and not _STOPS.intersection(gap))
    if same and gap[-1:] in (("i",), ("we",)) and len(gap) <= 5:
        return True  # "Tests on the golden set I leave out."
    taken_up = here.words[verb[0] + 1 : verb[1] + 2]
    return here.clauses[verb[0]] - here.clauses[thing[0]] <= 3 and len(gap) <= 14 and bool(_PRONOUNS.intersection(taken_up))


def said_of(here: Words, subject: Place, said: Place) -> bool:
    """Whether `said` is said of the subject: no rival of it stands nearer, and it is not "nothing"."""
    if _NONE.intersection(here.words[said[1] + 1 : said[1] + 3]):
        return False
    others = _others(here, subject)
    if said[0] > subject[1]:
        between = here.words[subject[1] + 1 : said[0]]
        apart = here.clauses[said[0]] - here.clauses[subject[1]]
        if len(between) > _SAID or apart > _CLAUSES or _TURNS.intersection(between):
            return False
        if apart and not _goes_on(here, subject[1], said[0]):
            return False
        return not others.intersection(here.stems[subject[1] + 1 : said[0]]) and not _belongs_to_another(here, said, others)
    gap = here.words[said[1] + 1 : subject[0]]
    return len(gap) <= 6 and bool(_DOER.intersection(gap[-4:])) and not others.intersection(here.stems[said[1] + 1 : subject[0]])


def _goes_on(here: Words, first: int, last: int) -> bool:
    """Whether the next clause goes on about the same subject: "it fails, and the kubelet then restarts it"."""
    begin = next(at for at in range(first + 1, last + 1) if here.clauses[at] == here.clauses[last])
    return here.words[begin] in _CONNECTS and any(map(is_verb, here.words[first + 1 : last + 1]))


def _others(here: Words, subject: Place) -> frozenset[str]:
    own = frozenset(here.stems[subject[0] : subject[1] + 1])
    return frozenset[str]().union(*(row - own for row in _rivals() if row & own))


def _belongs_to_another(here: Words, said: Place, others: frozenset[str]) -> bool:
    """Whether a rival follows at once: "out of the list, and a restart only by liveness"."""
    for at in range(said[1] + 1, min(said[1] + 6, len(here.words))):
        if here.words[at] in _JOINS or here.clauses[at] != here.clauses[said[1]]:
            return False
        if here.stems[at] in others:
            return True
    return False


def comes_first(here: Words, first: Place, second: Place) -> bool:
    """Whether the sentence puts `first` before `second` in time: "A, then B", "A before B", "B after A", "once A, B", "first A … B"."""
    lead = here.words[max(0, min(first[0], second[0]) - 4) : min(first[0], second[0])]
    if first[1] < second[0]:
        gap = here.words[first[1] + 1 : second[0]]
        if len(gap) > _ORDERED or "after" in gap:
            return False
        return bool(_SOONER.intersection(gap) or _LATER.intersection(lead) or _BEGINS.intersection((*lead, *gap[:3])))
    gap = here.words[second[1] + 1 : first[0]]
    return len(gap) <= _ORDERED and (bool(_LATER.intersection(gap)) or ("before" in lead and not _SOONER.intersection(gap)))
