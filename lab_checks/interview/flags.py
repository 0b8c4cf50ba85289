"""Red flags and mistakes that an answer raises: what it *means* to do or claims to be so. Sentences in, the flags that stand out.

"I delete the quota" is one. "I don't delete it", "deleting it is no solution" and, where a flag allows for it, "I delete it once its owner agreed"
are none, and neither is what a later sentence takes back in so many words.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab_checks.interview import denial, matching
from lab_checks.interview.language import Sentence
from lab_checks.interview.matching import Passage, Pattern
from lab_checks.interview.questions import Flag, Question


@dataclass(frozen=True)
class Flagged:
    """A red flag that an answer raised, the number and the words of the sentence that raised it, and whether the answer says the opposite as well."""

    flag: Flag
    sentence: int
    quote: str
    contradicted: bool

    @property
    def red(self) -> bool:
        """Whether it is an act that no good answer plans, and not a statement that is not so."""
        return bool(self.flag.says)

    @property
    def why(self) -> str:
        both = " You also say the opposite: which of the two would you do?" if self.contradicted else ""
        return self.flag.why + both


def raised(question: Question, passages: list[Passage]) -> tuple[Flagged, ...]:
    """The flags that stand, each once, what one would do before what is not so."""
    found: dict[str, Flagged] = {}
    for flag in question.flags:
        meant: list[Sentence] = []
        denials: list[Sentence] = []
        for here in passages:
            for pattern in flag.patterns:
                _hear(flag, pattern, here, passages, meant, denials)
        standing = [each for each in meant if not _taken_back(each, denials, passages)]
        if standing and flag.id not in found:
            first = min(standing, key=lambda each: each.number)
            found[flag.id] = Flagged(flag, first.number, first.said, bool(denials))
    return tuple(sorted(found.values(), key=lambda each: not each.flag.says))


def _hear(flag: Flag, pattern: Pattern, here: Passage, passages: list[Passage], meant: list[Sentence], denials: list[Sentence]) -> None:
    """Sorts what the passage says of the pattern into what is meant and what is denied."""
    for chosen in matching.find(pattern, here):
        last = max(place[1] for place in chosen)
        sentence, start = _sentence(here, chosen[0][0] if pattern.act else last)
        first = min(place[0] for place in (chosen[:1] if pattern.act else chosen)) - start
        if (
            sentence.asks
            or first < 0
            or (not pattern.act and _torn(pattern, here, chosen))
            or (flag.says and _answers_what_others_can_do(sentence, passages))
            or (pattern.act and flag.says and _third_person(here, chosen) and denial.somebody_else(sentence, first))
        ):
            continue
        denied = (
            here.loose[chosen[0][0]]
            if pattern.act
            else flag.says and any(here.loose[at] and not here.strict[at] for place in chosen for at in place)
        )
        if (
            denied
            or (flag.says and denial.observed(sentence, first))
            or denial.disapproved(sentence, first, min(last - start, len(sentence.words) - 1))
        ):
            denials.append(sentence)
        elif not _harmless(flag, here, sentence, passages):
            meant.append(sentence)


def _answers_what_others_can_do(sentence: Sentence, passages: list[Passage]) -> bool:
    """Whether it goes on from a question such as "What can team A do to team B?", and not with what the speaker does."""
    before = next((each.parts[-1] for each in passages if each.parts[-1].number == sentence.number - 1), None)
    asks = before is not None and before.asks and {"can", "could"}.intersection(before.words) and not {"i", "we"}.intersection(before.words)
    return bool(asks) and not {"i", "we"}.intersection(sentence.words)


def _third_person(here: Passage, chosen: tuple[matching.Place, ...]) -> bool:
    """Whether the verb may have a subject of its own: it stands before its object, or "overwrites it"; not "the quota gets deleted"."""
    return chosen[1][0] > chosen[0][0] or here.words[chosen[0][0]].endswith("s")


def _torn(pattern: Pattern, here: Passage, chosen: tuple[matching.Place, ...]) -> bool:
    """Whether a claim would be put together from two thoughts; what may stand anywhere (&) may stand in another one of the sentence."""
    if any(slot.link in ("&", "~>") for slot in pattern.slots):
        return _sentence(here, chosen[0][0]) != _sentence(here, chosen[-1][0])
    ends = [at for place in chosen for at in place]
    if len({here.thoughts[at] for at in ends}) > 1:
        return True
    return here.clauses[max(ends)] - here.clauses[min(ends)] > (3 if any(slot.link == "=>" for slot in pattern.slots) else 1)


def _sentence(here: Passage, at: int) -> tuple[Sentence, int]:
    """The sentence in which a place of the passage stands, and where it begins there."""
    start = 0
    for each in here.parts:
        if at < start + len(each.words):
            return each, start
        start += len(each.words)
    raise IndexError(at)


def _harmless(flag: Flag, here: Passage, sentence: Sentence, passages: list[Passage]) -> bool:
    """Whether the same passage says what makes it harmless, or an earlier one looked at the evidence and this one is in no haste."""
    if any(matching.says(pattern, here) for pattern in flag.unless):
        return True
    if not flag.looked or denial.holds(sentence.words, "haste"):
        return False
    return any(matching.says(pattern, each) for each in passages if each.number < sentence.number for pattern in flag.looked)


def _taken_back(meant: Sentence, denials: list[Sentence], passages: list[Passage]) -> bool:
    """Whether a later sentence takes it back in so many words; to say both is to say it."""
    texts = {each.parts[-1].number: each.parts[-1].words for each in passages}
    return any(
        each.number > meant.number
        and any(
            denial.holds(texts.get(at, ()), "retracts") or texts.get(at, ())[:1] == ("no",)
            for at in (each.number - 1, each.number)
            if at > meant.number
        )
        for each in denials
    )
