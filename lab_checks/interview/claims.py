"""Whether an answer *means* what a regular expression finds in it: denied, disapproved of and conditional words are no claim.

"I would restart it first" is one; "I would not restart it", "restarting is tempting, and hides the cause" and "once the log shows a hang, I would restart it" are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab_checks.interview.language import Sentence

# In the expressions of data: who acts. At the beginning of a clause, an imperative is meant.
MACROS = {
    "do": r"(?:(?:^|[,.] |\b(?:and|then|first|or|else|otherwise|so|maybe|just|simply|always|immediately|next|finally) )"
    r"(?:(?:just|simply|first|then|always|quickly|immediately|try|maybe|please|next|to|by|and|so|finally) )*"
    r"|\b(?:i|we|you|one)(?: (?:would|will|should|could|can|must|may|might|do|always|usually|just|simply|first|then|not|never|also|simply|probably|immediately"
    r"|quickly|directly|try|tend|like|start|begin|want|need|have|go|am|going|blindly|definitely|normally|by|to|and|or|only|actually|rather|even)){0,7} "
    r"|\b(?:fix|step|solution|answer|action|move|way|thing|start|begin|easiest|fastest|best|safest|is|try|would be|have|need|want|going|help[s]?|lets|let us|should be|could be|can be|must be) (?:is |be |with |by |to )*(?:just |simply |first )?"
    r"|\b(?:not|never|by|without|would|should|could|will|must|can|to) (?:just |simply |first |then |blindly |immediately )*)",
    "it": r"(?:it|them|this|that|everything|all|(?:the |a |my |our |all |its |any |failing |model |gpu |api |ml |inference |whole |entire |old |new |failed |pending |stuck |affected |broken |ai )*"
    r"(?:pods?|deployments?|containers?|workloads?|replicas?|services?|servers?|applications?|apps?|api|nodes?|kubelet|cluster|stack|model|things|daemon set|rollout))",
    "at once": r"(?:first|first thing|right away|straight away|immediately|at once|to begin with|as a first step|quickly|before anything)",
}
_NEGATORS = re.compile(
    r"\b(?:not|never|no|avoid(?:ing)?|without|nor|neither|instead of|rather than|refus\w+|resist\w*|against|stop|hesitate|reject\w*|forbid\w*|nobody|nothing|none of|least of all|cannot)\b"
)
# Words that deny nothing, or deny the looking: taken out before anybody searches for a negation.
_NO_NEGATION = re.compile(
    r"\b(?:not (?:hesitate|only|just a|wait|bother|waste|care|even (?:look|check|read))|no (?:doubt|problem|harm|hesitation|matter|reason not|time|need to (?:look|check|read|investigate|wait))"
    r"|nothing wrong with|(?:never|not) hurts?|can not hurt|why not|without (?:hesitat\w+|waiting|thinking|looking|reading|checking|any|a second|further|asking|fear|measuring|testing|verifying|investigat\w+|review\w*|knowing|confirm\w*)"
    r"|not (?:need|have) to (?:look|check|read|measure|know|verify|understand)|not (?:working|ready|respond\w*|starting|start|running|work|enough|up|answering|serving|scheduled|healthy|available|sure|help|know|fit|run|come up|there)"
    r"|no (?:gpu|gpus|answer|endpoints?|luck|response|traffic|logs?|idea))\b"
)
_DISAPPROVAL_BEFORE = re.compile(
    r"\b(?:tempt\w*|mistake|wrong|bad idea|dangerous|danger|risky|harmful|reflex|trap|pointless|useless|worst|temptation|antipattern|anti pattern|red flag|blunder|people (?:who|often|would|just)|junior|instead of|rather than)\b"
)
_DISAPPROVAL_AFTER = re.compile(
    r"^(?:\W*\w+){0,7}?\W*\b(?:(?:is|are|would be|was|as|be) (?:(?:a|an|the|really|very|usually|often|only|just|also|always) )*"
    r"(?:wrong|bad|mistake|dangerous|risky|risk|pointless|useless|no fix|no solution|no help|no answer|tempting|guess\w*|blind\w*|unsafe|reflex|lie|not|never|last resort|out of the question)"
    r"|(?:does|do|would|will|can|could|must|should) (?:also |only |just )?(?:not|never|hide|hides|destroy|mask|lose|wipe|break|erase|delay|waste|repeat|open)"
    r"|(?:only |just |merely )?(?:hides|destroys|loses|wipes|masks|erases|throws away|changes nothing|solves nothing|fixes nothing|proves nothing|helps nobody|makes it worse|wastes|delays|repeats))\b"
)
_BECAUSE = re.compile(r"\b(?:because|since|as|so|and if|if)\b")
_CONDITION = re.compile(
    r"\b(?:only (?:after|when|if|once|as)|after i|after (?:that|confirming|measuring|reading|checking|looking|proving|i have|we have|the evidence)|once|as a last resort|last resort|unless|when the (?:evidence|logs?|events?|metrics)|"
    r"(?:if|when|where|after|because) (?:\w+ ){0,7}(?:confirm\w*|shows?|showed|shown|proves?|proved|proven|measur\w+|evidence|verified|identified|known?|says?|points?|understood|understand|tested|reviewed))\b"
)
_HASTE = re.compile(
    r"\b(?:first|immediately|right away|straight away|at once|blindly|just|simply|without (?:looking|checking|reading|measuring|verifying|review\w*|testing|thinking))\b"
)
_BOUNDARY = re.compile(
    r"(?:[.:]|\b(?:but|then|however|though|although|because|so|therefore|otherwise|until)\b|, (?:i|we|you|just|simply|then|first|my|let|the|it|a)\b|\b(?:i|we)\b)"
)
_TURNS_AROUND = frozenset("before until than without whether why".split())
_RETRACTION = re.compile(
    r"\b(?:actually|on second thoughts?|correction|i take (?:that|it) back|scrap that|wait|i was wrong|forget (?:that|what)|sorry|let me correct|i correct|no longer|i withdraw|that was wrong|i changed my mind|better)\b|^no\b"
)


@dataclass(frozen=True)
class Claim:
    """What was meant in a sentence."""

    sentence: int
    quote: str


def expression(source: str) -> re.Pattern[str]:
    """A regular expression of the data, with its macros {do}, {it} and {at once} filled in."""
    for name, meaning in MACROS.items():
        source = source.replace("{" + name + "}", meaning)
    return re.compile(source)


def denied(text: str, start: int, end: int) -> bool:
    """Whether what stands from `start` to `end` is denied or disapproved of in its sentence."""
    cut = 0
    for found in _BOUNDARY.finditer(text, 0, start + 1):
        before = text[: found.start()].split()
        if found.start() <= start and not (found[0] in ("i", "we") and before and before[-1] in _TURNS_AROUND):
            cut = found.start()
    if text[cut:start].split() and text[cut:start].split()[0] in ("until", "because", "so"):
        cut = cut + len(text[cut:].split()[0])
    said = text[cut:end]
    if re.search(r"\b(?:before|until|than)\b(?: \w+){0,5}$", text[cut:start]) or re.match(r"(?:before|until)\b", said):
        return True
    said = _NO_NEGATION.sub(lambda found: " " * len(found[0]), said)
    if _NEGATORS.search(said) or _DISAPPROVAL_BEFORE.search(text[:start].rpartition(" but ")[2]):
        return True
    after = text[end:]
    because = _BECAUSE.search(after)
    return bool(_DISAPPROVAL_AFTER.search(after[: because.start()] if because else after))


def conditional(text: str, start: int, end: int) -> bool:
    """Whether the sentence asks for evidence before it acts, and is in no haste."""
    around = text[max(0, start - 12) : end + 24]
    return bool(_CONDITION.search(text)) and not _HASTE.search(around)


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
        number > claim.sentence and any(_RETRACTION.search(said[at].text) for at in (number, number - 1) if at > claim.sentence)
        for number in denials
    )


def in_haste(text: str) -> bool:
    """Whether something is done first, at once, or without looking."""
    return bool(_HASTE.search(text))
