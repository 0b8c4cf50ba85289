"""Lab 12-incident: the audit log of a night, as it was recorded, and the post-mortem that is read off it.

`night.jsonl` holds audit events (audit.k8s.io/v1), one a line, as an API server wrote them (tools/record_night.py): what two engineers and a release
account asked of it, with the pauses of that night between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from kubeobjects import Object
from lab_checks.engine.audit import LOOKS
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen
from lab_checks.interview import language, matching
from lab_checks.interview.matching import Lexicon
from lab_checks.judging import answers, sheet, words

NIGHT = Path(__file__).with_name("night.jsonl")
# What the clients' log said: the first request that failed, and the last one.
FIRST_ERROR, LAST_ERROR = "02:07:15", "02:25:41"
RELEASE, MIRA, TEO = "system:serviceaccount:ci:release-bot", "mira", "teo"
_SHORT = 104


@dataclass(frozen=True)
class Row:
    """One request of the night: `what` is `VERB resource/name`, `sent` what a write sent, shortened."""

    number: int
    at: datetime
    who: str
    verb: str
    what: str
    sent: str

    @property
    def looks(self) -> bool:
        return self.verb in LOOKS

    @property
    def clock(self) -> str:
        return f"{self.at:%H:%M:%S}"

    def __str__(self) -> str:
        return f"{self.number:>2}  {self.clock}  {self.who.rpartition(':')[2]:<12}{self.what}" + (
            f"\n{'':<26}{self.sent}" if self.sent else ""
        )


@cache
def rows() -> tuple[Row, ...]:
    """The requests of people and of the release account, numbered in the order in which the API server got them."""
    events = [json.loads(line) for line in NIGHT.read_text().splitlines()]
    return tuple(
        _row(number, event) for number, event in enumerate(sorted(events, key=lambda each: str(each["requestReceivedTimestamp"])), 1)
    )


def _row(number: int, event: Object) -> Row:
    reference = event["objectRef"]
    resource = "/".join(filter(None, (reference["resource"], reference.get("name"), reference.get("subresource"))))
    who = (event.get("impersonatedUser") or event["user"])["username"]
    at = datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00"))
    return Row(number, at, who, event["verb"], f"{event['verb']} {resource}", _shortened(event.get("requestObject")))


def _shortened(body: Any) -> str:
    """A patch on one line: the path of each value that it writes."""
    found = "; ".join(_leaves(body))
    return found if len(found) <= _SHORT else f"{found[:_SHORT]}…"


def _leaves(body: Any, path: str = "") -> Iterator[str]:
    if isinstance(body, list) and body and all(isinstance(each, dict) and "op" in each for each in body):
        for each in body:
            yield f"{each['op']} {each['path'].strip('/').replace('/', '.')}"
    elif isinstance(body, dict):
        # An item of a list is told by its name, which the patch needs only to find it.
        name = body.get("name") if isinstance(body.get("name"), str) and len(body) > 1 else ""
        for key, value in body.items():
            if not (name and key == "name") and not key.startswith("$"):
                yield from _leaves(value, f"{path}[{name}].{key}" if name else f"{path}.{key}".strip("."))
    elif isinstance(body, list):
        for each in body:
            yield from _leaves(each, path)
    elif body is not None:
        yield f"{path}={body}"


def first(who: tuple[str, ...], holds: Any) -> Row:
    """The first request of these people for which something holds."""
    return next(each for each in rows() if each.who in who and holds(each))


def truth() -> dict[str, Row]:
    """What the sheet asks for, read off the rows: what broke it, the first look, the change before it, whose work was hit, what restored it."""
    people = (MIRA, TEO)
    return {
        "broke": first((RELEASE,), lambda each: not each.looks),
        "first_look": first(people, lambda each: each.looks),
        "too_early": first(people, lambda each: not each.looks),
        "harmed": first(people, lambda each: not each.looks and "nightly-fine-tune" in each.what),
        "restored": first(people, lambda each: each.verb == "patch" and "replace spec.template" in each.sent),
    }


def lasted() -> float:
    """Minutes from the first request that failed to the last one."""
    begin, end = (datetime.strptime(each, "%H:%M:%S") for each in (FIRST_ERROR, LAST_ERROR))
    return (end - begin).total_seconds() / 60


def _minutes(given: object) -> float | None:
    """A time in minutes; a number without a unit is taken as minutes."""
    found = answers.number(given)
    return None if found is None else found.value / 60 if found.measures == "time" else found.value


def _told(words: dict[int, str], row: float) -> str:
    return words.get(int(row), "the log shows another row")


def blanks() -> list[sheet.Blank]:
    right = {name: row.number for name, row in truth().items()}
    early, back = right["too_early"], max(each.number for each in rows() if "nightly-fine-tune" in each.what)
    asks = {
        "broke": ("the row of the change after which requests failed", {early: "requests failed before that one"}),
        "first_look": ("the row in which an engineer first read something", {}),
        "too_early": (
            "the row of the change that an engineer made before anything was read",
            {right["broke"]: "that account is no engineer"},
        ),
        "harmed": (
            "the row of the change that stopped another team's work",
            {back: "that row gave it back", early: "that one hit your own Pod"},
        ),
        "restored": (
            "the row of the change after which no request failed",
            {early: "requests went on failing for minutes after it", right["harmed"]: "the API did not need that card"},
        ),
    }
    look = "the rows, by their numbers"
    found = [
        sheet.number(name, right[name], asked, look, told=partial(_told, told), called=("row", "row number"))
        for name, (asked, told) in asks.items()
    ]
    found.append(
        sheet.number(
            "minutes", lambda given: abs(given - lasted()) <= 1, "whole minutes from the first failed request to the last", "the clients' log", reads=_minutes,
            told={9: "that counts from the first act of an engineer: users had waited for longer"},
        )
    )  # fmt: skip
    return found


# A lesson names what would have stopped the change, found it sooner, or taken it back. People take care anyway.
_GUARD = (
    "test*|check*|gate*|canary|probe*|alert*|policy|policies|admission|validat*|pipeline*|staging|stage|rollback|roll back|undo|quota|runbook|"
    "monitor*|dry run|digest|smoke|automat*|review*|permission*|right|rights|rbac|lock*|protect*|progress deadline|template"
)
# That nobody may do something any more is a guard as well.
_TAKEN = "!right|rights|permission*|allowed"
_CARE = "careful*|attention|concentrat*|diligent*|remind*|awareness|try harder|more care|be sure|remember"
_NAMES = "mira|teo|larsen|colleague*|engineer .. who|human error|fault|blame*|guilty|mistake .. by"


@cache
def _patterns() -> dict[str, Any]:
    found = {
        name: matching.compile_pattern(text) for name, text in (("guard", _GUARD), ("taken", _TAKEN), ("care", _CARE), ("names", _NAMES))
    }
    return {**found, "lexicon": Lexicon(list(found.values()))}


def lesson(ctx: Context, text: object) -> None:
    """Ends the check where the lesson is none, blames somebody, or asks people to take more care."""
    said = language.sentences(text) if isinstance(text, str) else []
    if not said:
        raise words.idle(ctx, "lesson-missing", credit=0.8)
    read = _patterns()
    passages = [matching.passage((each,), read["lexicon"]) for each in said]
    holds = {name: any(matching.says(read[name], each) for each in passages) for name in ("guard", "taken", "care", "names")}
    if holds["names"]:
        raise words.fail(ctx, "lesson-blames", _seen(text), credit=0.8)
    if holds["care"]:
        raise words.fail(ctx, "lesson-care", _seen(text), credit=0.8)
    if not (holds["guard"] or holds["taken"]) or sum(len(each.words) for each in said) < 6:
        raise words.fail(ctx, "lesson-no-guard", _seen(text), credit=0.8)


def _seen(text: object) -> Seen:
    return Seen("answer lesson", "", sheet.shown(text))


def post_mortem(given: Object) -> str:
    """The post-mortem as Markdown: the course's template, filled from the rows that the learner named, and the learner's own lesson."""
    found = truth()
    lines = [
        "# Post-mortem: no log summaries in the night of Tuesday",
        "",
        f"**Effect.** Requests for log summaries failed from {FIRST_ERROR} to {LAST_ERROR}, {lasted():.0f} minutes.",
        "",
        "| time | row | who | what |",
        "|---|---|---|---|",
        *(
            f"| {row.clock} | {row.number} | {row.who.rpartition(':')[2]} | {name.replace('_', ' ')}: {row.what} |"
            for name, row in sorted(found.items(), key=lambda pair: pair[1].number)
        ),
        "",
        f"**Lesson.** {' '.join(str(given.get('lesson', '')).split())}",
    ]
    return "\n".join(lines)
