"""Lab 12-incident: what an assistant said, judged claim by claim by the learner: whether it holds, and a line of the cluster that settles it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen
from lab_checks.judging import answers, claims, quotes, sheet, words
from lab_checks.judging.claims import Against, Claim, Deed, Session

HOLDS = {"holds": True, "yes": True, "true": True, "does not hold": False, "no": False, "false": False, "wrong": False}
RIGHT, WRONG, DANGEROUS = "right", "wrong", "dangerous"
# What a restart of the fine-tuning costs, by its own description.
_HOURS = 9.0


def truth(ctx: Context) -> dict[str, dict[str, bool]]:
    """Of each session of the exercise, by the number of the claim, whether the cluster shows it now."""
    against = Against(ctx)
    found = claims.sessions(ctx.exercise.lab, ctx.exercise.id)
    return {name: {str(each.number): against.held(each).holds for each in session.claims} for name, session in found.items()}


def kind(session: Session, held: dict[str, bool]) -> str:
    """What a session is as a whole: dangerous where it proposes harm, else wrong where a claim does not hold, else right."""
    if any(each.deed is Deed.HARMS for each in session.proposals):
        return DANGEROUS
    return RIGHT if all(held.values()) else WRONG


def judge(ctx: Context) -> list[Seen]:
    """Ends the check where a claim was judged wrongly, or not shown by a line that settles it; else what was seen."""
    against, held = Against(ctx), ctx.baseline.get("held") or truth(ctx)
    recorded = claims.sessions(ctx.exercise.lab, ctx.exercise.id)
    given = {name: ctx.answers.get(name) for name in recorded}
    if not any(given.values()):
        raise words.idle(ctx, "sessions-untouched")
    for number, (name, session) in enumerate(recorded.items()):
        rows = list(_rows(given[name]))
        if not rows:
            raise words.idle(ctx, "session-open", credit=0.25 * number, session=name)
        if len(rows) != len(session.claims):
            raise words.fail(
                ctx,
                "claims-miscounted",
                Seen(f"answer {name}", "claims", str(len(rows))),
                credit=0.25 * number,
                session=name,
                count=len(session.claims),
            )
        for claim, (said, line) in zip(session.claims, rows, strict=True):
            _claim(ctx, against, name, claim, said, line, held[name][str(claim.number)], 0.25 * number)
    sheet.judge(ctx, [*_kinds(recorded, held), _loss()], done=0.75)
    return [Seen(f"session {name}", "", f"{sum(held[name].values())} of {len(held[name])} claims hold") for name in recorded]


def _rows(given: Any) -> Iterator[tuple[bool | None, str]]:
    """(whether it is said to hold, the quoted line) for each claim, from pairs or from texts like `holds: the line`."""
    for row in given if isinstance(given, list | tuple) else []:
        parts = [str(each) for each in row] if isinstance(row, list | tuple) else list(map(str.strip, str(row).partition(":")[::2]))
        said, line = (*parts, "", "")[:2]
        yield HOLDS.get(" ".join(said.lower().split())), line


def _claim(ctx: Context, against: Against, name: str, claim: Claim, said: bool | None, line: str, holds: bool, credit: float) -> None:
    told = {"session": name, "number": claim.number, "claim": claim.says, "look": claim.look}
    seen = Seen(f"{name}, claim {claim.number}", "", claim.says)
    if said is None:
        raise words.fail(ctx, "claim-unjudged", seen, credit=credit, **told)
    if said != holds:
        raise words.fail(ctx, "claim-believed" if said else "claim-doubted", seen, credit=credit, **told)
    lines = quotes.lines_of(line)
    if not lines:
        raise words.fail(ctx, "claim-unproved", seen, credit=credit, **told)
    standing = [each for each in lines if against.places(each)]
    if not standing:
        raise words.fail(ctx, "claim-nowhere", seen, Seen("your line", "", line[:160]), credit=credit, **told)
    if not any(against.settles(claim, each) for each in standing):
        raise words.fail(ctx, "claim-beside", seen, Seen("your line", "", line[:160]), credit=credit, **told)


def _kinds(recorded: dict[str, Session], held: dict[str, dict[str, bool]]) -> list[sheet.Blank]:
    told = {
        (DANGEROUS, RIGHT): "its claims hold; now read what it proposes, and whose work that is",
        (DANGEROUS, WRONG): "its claims hold; look at what it proposes",
        (WRONG, RIGHT): "one of its claims does not hold, as you said yourself",
        (WRONG, DANGEROUS): "its proposal ends nobody's work; which of its claims does not hold?",
        (RIGHT, WRONG): "all of its claims hold",
        (RIGHT, DANGEROUS): "its claims hold, and it proposes nothing that ends somebody's work",
    }
    found = []
    for name, session in recorded.items():
        right = kind(session, held[name])
        found.append(
            sheet.Blank(
                f"{name}_is", lambda said: answers.choice(said, (RIGHT, WRONG, DANGEROUS)), right, f"{RIGHT}, {WRONG} or {DANGEROUS}",
                f'lab.assistant.work("three-sessions", "{name}")', told={said: why for (is_, said), why in told.items() if is_ == right},
                form=f"{RIGHT}, {WRONG} or {DANGEROUS} is asked for",
            )
        )  # fmt: skip
    return found


def _loss() -> sheet.Blank:
    def hours(given: object) -> float | None:
        found = answers.number(given)
        return None if found is None else found.value / 3600 if found.measures == "time" else found.value

    return sheet.number(
        "hours_lost", _HOURS, "hours of somebody's work that the proposal of one session would cost",
        "kubectl -n ai-platform describe deployment nightly-fine-tune", reads=hours, told={0.0: "read the whole line that the session quotes a part of"},
    )  # fmt: skip
