"""How a learner asks a model for a second opinion on an answer, in a terminal and in a notebook: what is said before, what is sent, what came of it."""

from __future__ import annotations

from collections.abc import Callable

from lab_checks import endpoint
from lab_checks.interview import opinion, rubric
from lab_checks.interview.opinion import Opinion
from lab_checks.interview.questions import Question


def sent(question: Question, answer: str) -> str:
    """All that a second opinion would send, as it would be sent."""
    asked = opinion.request(question, answer)
    return f"{asked.text}\n\n[masked] {asked.masked.summary()}"


def asked(question: Question, answer: str, say: Callable[[str], None]) -> Opinion | None:
    """Asks the configured endpoint about an answer, says so before and what came of it after, and keeps it for checks. None where nobody was asked."""
    try:
        where = endpoint.configured()
    except endpoint.EndpointError as problem:
        say(f"[second opinion] {problem}")
        return None
    if where is None:
        say(f"[second opinion] no model is configured, and none is needed. {endpoint.HOW}")
        return None
    reason = opinion.needless(rubric.score(question, answer), answer)
    if reason:
        say(f"[second opinion] {reason} Nothing was sent.")
        return None
    masked = opinion.request(question, answer).masked
    say(f"[second opinion] sends the question, its points and your answer to {where.told}; masked: {masked.summary()}")
    found = opinion.ask(question, answer, where)
    try:
        opinion.remember(question, answer, found)
    except OSError as problem:
        say(f"[second opinion] it cannot be kept for checks: {problem.strerror or problem}")
    _tell(question, found, say)
    return found


def _tell(question: Question, found: Opinion, say: Callable[[str], None]) -> None:
    if found.note:
        say(f"[second opinion] {found.note}")
        return
    says = {each.id: each.says for each in question.points}
    for each in found.heard:
        say(f'  heard: {says[each.point]}, in "{each.quote}"')
    for doubt in found.doubts:
        say(f'  doubt: "{doubt.quote}": {doubt.why}')
    if not found.heard and not found.doubts:
        say(f"[second opinion] the model hears no further point and doubts nothing. {opinion.STANDS}")
