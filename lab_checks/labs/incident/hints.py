"""Lab 12-incident: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.judging import claims
from lab_checks.labs.incident import day, drills, night, side

_LAB = "12-incident"


def _call(ctx: Context) -> str:
    """Whom it hits, what was not read yet, and what is still to be handed in."""
    laid = drills.noted(ctx)
    given = ctx.answers.get("diagnoses") or {}
    if not ctx.deeds.looked_at("pods", "events", "pods/log"):
        clients = ", ".join(f"deployment/{each.clients} in {each.namespace}" for each in laid.services)
        return f"What do users get? The clients' logs say so all the time: {clients}. Which of the two services fails?"
    unwell = [each for each in ctx.all_pods if each["metadata"]["namespace"] in laid.namespaces and not observe.is_ready(each)]
    if not given and unwell:
        line = ctx.first_refusal(unwell)
        more = f" The scheduler says: {line}. What does the node, or its plugin, show about that?" if line else ""
        return f"{observe.named(unwell[0])} is not Ready. What do its events, its log and the log of the previous container say?{more}"
    if not given:
        return "Every Pod is Ready. What stands between a Ready Pod and its clients: Service, endpoints, port, version?"
    if not ctx.answers.get("update"):
        return "A cause is named. What do the users know so far, and what should they do until it is over?"
    return "The score has six lines. Which one lost most, and what would have earned it?"


for _each in ("first-call", "same-line", "two-at-once"):
    first_hint(f"{_LAB}/{_each}")(_call)


@first_hint(f"{_LAB}/game-day")
def which_call(ctx: Context) -> str:
    call = int((ctx.baseline.get("call") or {}).get("number", 1))
    if day.over(call):
        return "This call is over. Are you ready for the next one? The same start begins it."
    return f"Call {call} of {drills.ROUNDS}. {_call(ctx)}"


@first_hint(f"{_LAB}/status-page")
def what_users_ask(ctx: Context) -> str:
    text = str(ctx.answers.get("update") or "")
    return "A user reads one message between two meetings. Which four questions does it have to answer?" if not text.strip() else (
        "Read your message as a customer, then as a lawyer, then as K. Larsen. Who of the three stops at which word?"
    )  # fmt: skip


@first_hint(f"{_LAB}/in-the-night")
def which_rows(ctx: Context) -> str:
    people = sum(row.who != night.RELEASE for row in night.rows())
    return f"The log has {len(night.rows())} rows, {people} of them by engineers. Which came before the first failed request, and which after the last?"


@first_hint(f"{_LAB}/three-sessions")
def which_claim(ctx: Context) -> str:
    recorded = claims.sessions(_LAB, "three-sessions")
    name = next((each for each in recorded if not ctx.answers.get(each)), "")
    if not name:
        return "All claims are judged. What does each session propose, and who would pay for it?"
    first = recorded[name].claims[0]
    return f'Session {name} says first: "{first.says}" Which object would show it, and which line of it settles the question?'


@first_hint(f"{_LAB}/at-your-side")
def what_may_it(ctx: Context) -> str:
    if not side.it_read(ctx.deeds):
        look = f"kubectl auth can-i --list -n {ctx.namespace} --as={side.USER}"
        return f"Nothing was read under the assistant's account so far. What may it do now? `{look}`"
    return "The assistant has read. Which of its claims quotes a real line that shows something else?"
