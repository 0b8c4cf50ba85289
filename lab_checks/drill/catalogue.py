"""The failures that a drill can have, read from `faults/*.toml`: one file a fault, named by its id.

A file says how the healthy platform is broken, what shows it, what proves it, when it is mitigated, what may be changed meanwhile, and one way to solve
it. `%name%` in any text is filled in by the drill (`generator.py` lists the names); what a drill does not know stays as it is.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks.engine.course import Evidence

FOLDER = Path(__file__).with_name("faults")
# What users notice of a service that does not answer.
_IMPACT = (
    "unavailable", "not available", "unreachable", "not reachable", "down", "offline", "no answer", "not answer", "without answer", "no response",
    "not respond", "outage", "fail", "error", "refused", "timed out", "time out", "timeout", "interrupt", "could not", "cannot", "can not", "unable",
    "not work",
)  # fmt: skip
_NAME = re.compile(r"%(\w+)%")
# Where a fault reaches: its service, the node of that service, or every GPU node.
REACHES = ("service", "node", "platform")


class UnknownFault(LookupError):
    """A fault that there is not; the message says which ones are near."""


@dataclass(frozen=True)
class Condition:
    """What a kubectl command prints once something is so: `matches` is a regular expression; `says` tells in words what is missing until then.

    With `absent` the expression must match nothing. `expected` and `next` go into a verdict, as everywhere.
    """

    run: str
    matches: str
    says: str = ""
    expected: str = ""
    next: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Break:
    """One step of breaking the platform: a command, or a patch (`patch` names the object, `body` is YAML), or manifests (`apply`)."""

    run: str = ""
    patch: str = ""
    body: str = ""
    namespace: str = "%namespace%"
    type: str = "strategic"
    apply: str = ""


@dataclass(frozen=True)
class Fault:
    """One failure.

    `rows` are those of the course's table of failures that it stands for, `where` the node that its service needs: `any`, `one` (the product of which
    there is one device) or `many`. `spare` says that its solution takes the device that the platform has left.
    `reads` are the resources of which one shows the evidence; `values` the choices that a seed draws from; `update` groups of words, of each of which
    a message to the users has to have one.
    """

    id: str
    rows: tuple[int, ...]
    title: str
    where: str
    reach: str
    spare: bool
    values: Mapping[str, tuple[Any, ...]]
    breaks: tuple[Break, ...]
    symptom: tuple[Condition, ...]
    evidence: tuple[Evidence, ...]
    look: str
    alone: str
    reads: tuple[str, ...]
    mitigated: tuple[Condition, ...]
    allow: Mapping[str, tuple[str, ...]]
    solution: tuple[str, ...]
    proof: tuple[str, ...]
    tempting: tuple[str, ...]
    temptation: str
    impact: tuple[str, ...]
    guards: tuple[str, ...]


def filled(text: str, values: Mapping[str, Any], *, pattern: bool = False) -> str:
    """The text with `%name%` filled in; in a regular expression the value stands for itself."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        text = str(values[found[1]])
        return re.escape(text) if pattern else text

    return _NAME.sub(value, text)


def _fault(path: Path) -> Fault:
    row = tomllib.loads(path.read_text(encoding="utf-8"))
    known = {
        "id", "rows", "title", "where", "reach", "spare", "values", "break", "symptom", "evidence", "look", "alone", "reads", "mitigated", "allow",
        "solution", "proof", "tempting", "temptation", "impact", "guards",
    }  # fmt: skip
    if strange := sorted(set(row) - known):
        raise ValueError(f"{path.name}: {strange[0]} is no part of a fault")
    if row["id"] != path.stem or row.get("reach", "service") not in REACHES:
        raise ValueError(f"{path.name}: id and file name differ, or reach is none of {', '.join(REACHES)}")
    return Fault(
        id=row["id"],
        rows=tuple(row["rows"]),
        title=row["title"],
        where=row.get("where", "any"),
        reach=row.get("reach", "service"),
        spare=row.get("spare", False),
        values={name: tuple(choices) for name, choices in row.get("values", {}).items()},
        breaks=tuple(Break(**each) for each in row["break"]),
        symptom=tuple(Condition(**each) for each in row["symptom"]),
        evidence=tuple(Evidence(tuple(each["shows"]), each["told"], tuple(each.get("of", ()))) for each in row["evidence"]),
        look=row.get("look", "kubectl -n %namespace% get events --sort-by=.lastTimestamp"),
        alone=row.get("alone", ""),
        reads=tuple(row.get("reads", ("events", "pods", "pods/log"))),
        mitigated=tuple(Condition(**each) for each in row.get("mitigated", ())),
        allow={name: tuple(fields) for name, fields in row["allow"].items()},
        solution=tuple(row["solution"]),
        proof=tuple(row["proof"]),
        tempting=tuple(row["tempting"]),
        temptation=row["temptation"],
        impact=tuple(row.get("impact", _IMPACT)),
        guards=tuple(row.get("guards", ("gpu",))),
    )


@cache
def load() -> dict[str, Fault]:
    """All faults by id, in the order of their names. Raises ValueError for a file that is none."""
    found = [_fault(path) for path in sorted(FOLDER.glob("*.toml"))]
    return {each.id: each for each in found}


def fault(name: str) -> Fault:
    """The fault of that id. Raises UnknownFault."""
    found = load().get(name)
    if found is None:
        near = difflib.get_close_matches(name, load(), n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise UnknownFault(f'there is no cause "{name}"{meant}')
    return found
