"""Lab 12-incident: the assistant's account on a live call: it reads what a call needs, and nothing that it holds changes, opens or tells anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lab_checks.engine.audit import LOOKS, Deed, Deeds
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.verdict import Seen
from lab_checks.judging import claims, requests, rights, sheet, words
from lab_checks.judging.requests import Person
from lab_checks.judging.rights import Right
from lab_checks.labs.incident import drills

ACCOUNT = "assistant"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SESSION = "amber"
_INTO_PODS = frozenset(
    {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "pods/ephemeralcontainers", "nodes/proxy"}
)
_RIGHTS = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
# What a call needs: (verb, resource, subresource, at cluster scope).
_NEEDED = (("list", "pods", "", False), ("get", "pods", "log", False), ("list", "events", "", False), ("list", "nodes", "", True))


def _its(deed: Deed) -> bool:
    return deed.user == USER


@contextmanager
def only_the_engineer(ctx: Context) -> Iterator[None]:
    """While a call is scored: what the assistant read is no look of the engineer's, and the rights that it was given are no change of the service."""
    whole = ctx.deeds
    left = tuple(each for each in whole.deeds if not _its(each) and each.resource not in _RIGHTS)
    ctx.__dict__["deeds"] = replace(whole, deeds=left)
    try:
        yield
    finally:
        ctx.__dict__["deeds"] = whole


def reads_and_no_more(ctx: Context) -> Seen:
    """Ends the check where the account may do more than read, or reads too little."""
    who = Person(ACCOUNT, USER)
    namespaces = [each["metadata"]["name"] for each in ctx.api.list("namespaces")]
    held = list(dict.fromkeys(rights.of(ctx.api, who, namespaces)))
    for name, wrong in (
        ("account-acts", _acts),
        ("account-in-pods", _in_pods),
        ("account-secrets", _secrets),
        ("account-elsewhere", _elsewhere),
    ):
        if found := next((each for each in held if wrong(each)), None):
            by = rights.given_by(ctx.api, who, found)
            raise words.fail(
                ctx,
                name,
                Seen(f"account {ACCOUNT}", "may", str(found)),
                *([Seen(by, "", "gives it")] if by else []),
                credit=0.2,
                right=found,
            )
    for verb, resource, sub, everywhere in _NEEDED:
        answer = requests.review(ctx.api, who, verb=verb, resource=resource, sub=sub, namespace="" if everywhere else NAMESPACE)
        if not answer.allowed:
            what = f"{resource}/{sub}" if sub else resource
            end = words.idle if not held else words.fail
            raise end(ctx, "account-blind", Seen(f"account {ACCOUNT}", f"may {verb} {what}", "no"), credit=0.1, resource=what, verb=verb)
    return Seen(f"account {ACCOUNT}", "rights", f"{len(held)}, and all of them read")


def _acts(right: Right) -> bool:
    return right.verb not in LOOKS and right.resource not in _INTO_PODS


def _in_pods(right: Right) -> bool:
    return right.resource in _INTO_PODS or right.resource in ("pods/*", "services/*")


def _secrets(right: Right) -> bool:
    return right.resource in ("secrets", "*")


def _elsewhere(right: Right) -> bool:
    """Reads another namespace: what kube-system's Pods log says a lot of the platform, and nothing that this call needs."""
    return right.namespace != NAMESPACE and right.resource.partition("/")[0] in ("pods", "configmaps", "deployments", "*")


def it_read(deeds: Deeds) -> list[Deed]:
    """What the account looked at since the start, with success."""
    return [each for each in deeds.deeds if _its(each) and each.looks and each.code < 300]


def did_read(ctx: Context) -> Seen:
    """Ends the check where the assistant was not asked under its account."""
    found = it_read(ctx.deeds)
    if ctx.deeds.known and not found:
        raise words.idle(ctx, "account-unused", credit=0.3)
    return Seen("audit log", f"requests of {ACCOUNT}", f"{len(found)}, all of them reads" if ctx.deeds.known else "no log to read")


def claims_judged(ctx: Context) -> None:
    """Ends the check where the learner does not say which claim of the recorded session does not hold; with another seed none was recorded."""
    if ctx.baseline.get("call", {}).get("seed") != drills.SEEDS["at-your-side"]:
        return
    held = (ctx.baseline.get("held") or {}).get(SESSION) or {}
    wrong = next((int(number) for number, holds in held.items() if not holds), 0)
    session = claims.sessions(ctx.exercise.lab, ctx.exercise.id)[SESSION]
    told = {each.number: "the cluster shows what this claim says" for each in session.claims}
    asked = f"the number of the claim in session {SESSION} that the cluster does not show"
    sheet.judge(
        ctx,
        [sheet.number("refuted", wrong, asked, f'lab.assistant.work("at-your-side", "{SESSION}")', told=told, called=("claim",))],
        done=0.4,
    )
