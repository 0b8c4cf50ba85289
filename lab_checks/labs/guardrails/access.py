"""What the teams and the assistant may do in the end, held against `rights.yaml`: the accounts that they may act as count as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen
from lab_checks.judging import requests, rights, words
from lab_checks.judging.requests import Person, Request, Table
from lab_checks.judging.rights import Meant, Right

AI_PLATFORM, RESEARCH = "ai-platform", "research"
TEAMS = {AI_PLATFORM: "mira", RESEARCH: "rosa"}


@cache
def _rights() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("rights.yaml").read_text())
    return found


def table() -> Table:
    return requests.table(Path(__file__).with_name("requests.yaml"))


def rows(exercise: str) -> Sequence[Request]:
    return table().requests[exercise]


def tried(ctx: Context, *, credit: float = 0.0) -> None:
    """Every request of the exercise comes back as its table says; ends the check at the first that does not."""
    requests.judge(ctx, rows(ctx.exercise.id), table(), credit=credit)


def count(exercise: str) -> tuple[int, int]:
    """How many requests of an exercise are right, and how many wrong."""
    right = sum(each.comes == requests.ALLOWED for each in rows(exercise))
    return right, len(rows(exercise)) - right


def seen(exercise: str) -> Seen:
    right, wrong = count(exercise)
    return Seen("requests", "", f"{right} right ones pass, {wrong} wrong ones are refused, each for its own reason")


def meant(*names: str, namespaces: tuple[str, ...] = ("*",)) -> list[Meant]:
    """The rows of `rights.yaml` under these names, in these namespaces."""
    return [Meant(tuple(row["verbs"]), tuple(row["resources"]), namespaces) for name in names for row in _rights()[name]]


def who_acts(ctx: Context, team: str) -> Iterator[Person]:
    """A team's members, and each ServiceAccount of its namespace: anyone who may create a Pod there can run it under any of them."""
    yield from (person for person in table().people.values() if person.group == team)
    for account in ctx.api.list("serviceaccounts", team):
        name = account["metadata"]["name"]
        yield Person(f"a Pod under the ServiceAccount {name} of {team}", f"system:serviceaccount:{team}:{name}")


def nothing_beyond(ctx: Context, people: Sequence[Person], allowed: Sequence[Meant], *, besides: Sequence[str] = ()) -> None:
    """None of them has a right that is not meant, in any namespace but `besides`; ends the check with the most serious one."""
    namespaces = [name for each in ctx.api.list("namespaces") if (name := each["metadata"]["name"]) not in besides]
    found = [(person, right) for person in people for right in rights.beyond(ctx.api, person, namespaces, allowed)]
    if not found:
        return
    person, right = min(found, key=lambda each: _kind(each[1])[0])
    by = rights.given_by(ctx.api, person, right)
    where = f" -n {right.namespace}" if by.startswith("rolebinding/") else ""
    end = words.wait if requests.is_new(ctx) else words.fail
    raise end(
        ctx,
        _kind(right)[1],
        Seen(f"as {person.name}", "", str(right)),
        *([Seen(by, "", "gives it")] if by else []),
        who=person.name,
        right=right,
        by=f"{by}{where}" if by else "rolebindings,clusterrolebindings -A",
    )


def _kind(right: Right) -> tuple[int, str]:
    """How serious a right is, 0 first, and the name of its words."""
    for rank, row in enumerate(_rights()["too-much"]):
        if Meant(tuple(row["verbs"]), tuple(row["resources"])).covers(right):
            return rank, str(row["words"])
    return len(_rights()["too-much"]), "may-change"
