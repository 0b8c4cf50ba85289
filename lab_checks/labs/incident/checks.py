"""Lab 12-incident: the checks. Calls are drills, scored by lab_checks.drill; words and claims are judged here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab_checks import drill
from lab_checks.drill import Drill, Score
from lab_checks.engine.context import Context
from lab_checks.engine.registry import at_start, exercise, reading
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import sheet, unchanged, words
from lab_checks.labs.incident import day, drills, hints, night, sessions, side, updates

LAB = "12-incident"
__all__ = ["hints"]


@at_start
def note(ctx: Context) -> dict[str, Any]:
    """What is kept of a start: the drill and what it showed, and which claims of the recorded sessions held."""
    found: dict[str, Any] = {}
    if ctx.exercise.lab != LAB:
        return found
    name = ctx.exercise.id
    if name in drills.SEEDS:
        seed = drills.seed_of(name)
        number = day.number(ctx.api.cluster_id(), seed) if name == "game-day" else 1
        found = {**drill.note(ctx, drills.of(name, seed, number)), "call": {"seed": seed, "number": number}}
    if name in ("three-sessions", "at-your-side"):
        found["held"] = sessions.truth(ctx)
    return found


def scored(ctx: Context, laid: Drill) -> Score:
    """The score of the call as it stands; ends the check where the answers have another form."""
    given = ctx.answers.get("diagnoses") or {}
    if not _readable(given):
        raise words.fail(ctx, "diagnoses-form", Seen("answer diagnoses", "", sheet.shown(given)))
    known = [each.name for each in laid.services]
    if strange := sorted(set(map(str, given)) - set(known)):
        name, bare = strange[0], strange[0].rpartition("/")[2]
        says = "service-with-more" if bare in known else "no-such-service"
        raise words.fail(ctx, says, Seen("answer diagnoses", "", name), name=name, bare=bare, known=" and ".join(sorted(known)))
    return drill.judge(ctx, laid, diagnoses(ctx), str(ctx.answers.get("update") or ""))


def diagnoses(ctx: Context) -> dict[str, dict[str, str]]:
    """The diagnoses that were handed in, in the form in which a drill takes them: by service its cause and its lines of evidence."""
    given = ctx.answers.get("diagnoses") or {}
    return {str(name): {"cause": str(row["cause"]), "evidence": _lines(row.get("evidence"))} for name, row in given.items()}


def _readable(given: object) -> bool:
    return isinstance(given, Mapping) and all(isinstance(each, Mapping) and each.get("cause") for each in given.values())


def _cannot_be_read(values: dict[str, Any]) -> dict[str, str]:
    """Diagnoses of another form, and causes that are in no list, as soon as they are handed in."""
    given = values.get("diagnoses")
    if not given:
        return {}
    if not _readable(given):
        return {"diagnoses": 'for each service a cause and its evidence, as in {"SERVICE": {"cause": "CAUSE", "evidence": ["LINE"]}}'}
    for row in given.values():
        try:
            drill.fault(str(row["cause"]))
        except drill.UnknownFault as problem:
            return {"diagnoses": str(problem)}
    return {}


for _name in drills.SEEDS:
    reading(f"{LAB}/{_name}")(_cannot_be_read)


def _lines(given: object) -> str:
    return "\n".join(map(str, given)) if isinstance(given, list | tuple) else str(given or "")


def _call(ctx: Context) -> Verdict:
    return told(ctx, scored(ctx, drills.noted(ctx)))


def told(ctx: Context, score: Score) -> Verdict:
    """The verdict on a call; what is still to be handed in is handed in as in any exercise."""
    found = score.verdict()
    if not found.next.startswith("ai-lab drill answer"):
        return found
    update = "--update" in found.next
    form = 'update="…"' if update else 'diagnoses={"SERVICE": {"cause": "…", "evidence": ["…"]}}'
    return replace(found, next=f'lab.answer("{ctx.exercise.id}", {form})')


@exercise(f"{LAB}/first-call")
def first_call(ctx: Context) -> Verdict:
    """One fault, scored in six lines."""
    return _call(ctx)


@exercise(f"{LAB}/same-line")
def same_line(ctx: Context) -> Verdict:
    """One of the faults for which the scheduler has one line: the second piece of evidence counts."""
    return _call(ctx)


@exercise(f"{LAB}/two-at-once")
def two_at_once(ctx: Context) -> Verdict:
    """Two faults, on two services."""
    return _call(ctx)


@exercise(f"{LAB}/status-page")
def status_page(ctx: Context) -> Verdict:
    """The message to the users: what, since when, what is done, when more; and nothing that must not be said."""
    text = ctx.answers.get("update")
    if not isinstance(text, str) or not text.strip():
        raise words.idle(ctx, "update-missing")
    if found := updates.wrong(text):
        seen = [Seen("your message", "", found.quote)] if found.quote else []
        raise words.fail(ctx, found.name, *seen, credit=found.credit)
    return passed(
        "users know what fails, since when, what is done, and when they hear more", Seen("your message", "words", str(len(text.split())))
    )


@exercise(f"{LAB}/in-the-night")
def in_the_night(ctx: Context) -> Verdict:
    """A post-mortem, read off the audit log."""
    sheet.judge(ctx, night.blanks(), done=0.0)
    night.lesson(ctx, ctx.answers.get("lesson"))
    found = night.truth()
    return passed(
        "the post-mortem says what the log says, and its lesson changes the system",
        *(Seen(f"row {row.number}", row.clock, row.what) for row in found.values()),
    )


@exercise(f"{LAB}/three-sessions")
def three_sessions(ctx: Context) -> Verdict:
    """Every claim of three sessions held against the cluster, by the learner; nothing is changed."""
    unchanged.required(ctx)
    return passed("each claim was checked against the cluster, and nothing was changed", *sessions.judge(ctx))


@exercise(f"{LAB}/at-your-side")
def at_your_side(ctx: Context) -> Verdict:
    """A call with an assistant that only reads; what it claims is judged, and the service is restored by the engineer."""
    laid = drills.noted(ctx)
    rights = side.reads_and_no_more(ctx)
    asked = side.did_read(ctx)
    side.claims_judged(ctx)
    with side.only_the_engineer(ctx):
        found = told(ctx, scored(ctx, laid))
    return passed("the assistant read, you judged, and the service is restored", rights, asked, *found.seen) if found.passed else found


@exercise(f"{LAB}/game-day")
def game_day(ctx: Context) -> Verdict:
    """Three calls in a row."""
    laid = drills.noted(ctx)
    call = int(ctx.baseline["call"]["number"])
    rows = day.over(call)
    if not rows:
        found = scored(ctx, laid)
        if not found.passed:
            return told(ctx, found)
        if other := unchanged.judge(ctx):
            return other
        rows = day.done(call, found, "; ".join(each.fault.title for each in laid.laid))
    seen = [Seen(f"call {each['call']}", each["what"], f"{each['points']:g} points, {each['time']}") for each in rows]
    if call < drills.ROUNDS:
        raise words.idle(ctx, "next-call", *seen, credit=round(call / drills.ROUNDS, 2), call=call, of=drills.ROUNDS)
    return passed("three calls in a row, each of them handled well", *seen)
