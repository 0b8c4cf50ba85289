"""Lab 07-guardrails: the requests of an exercise, tried on the learner's own cluster: who asks what, and what comes back now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_checks.judging import requests
from lab_checks.labs.guardrails import access, policy

if TYPE_CHECKING:
    from lab_checks.engine.api import Answer, Api

_LONGEST = 150


def rows(api: Api, exercise: str) -> list[tuple[str, str, str, str]]:
    """(who, what they ask for, allowed or refused, the API server's words) for every request of an exercise. Raises ApiUnreachable."""
    found = []
    for request in access.rows(exercise):
        answer = requests.send(api, request)
        found.append((request.who.name, request.asks, "allowed" if answer.allowed else "refused", _words(answer)))
    return found


def _words(answer: Answer) -> str:
    """The end of a refusal, which says why, or the warnings of policies."""
    said = answer.message.partition(" is forbidden: ")[2] or answer.message or "; ".join(policy.messages(answer.warnings))
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def show(api: Api, exercise: str) -> None:
    """Prints what comes back now for every request that the check of the exercise tries. Nothing is stored: writes are dry runs."""
    for who, asks, came, said in rows(api, exercise):
        print(f"{came:<8} {who}: {asks}" + (f"\n         {said}" if said else ""))
