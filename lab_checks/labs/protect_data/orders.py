"""Lab 09-protect-data: a log line that gives orders: who sent it, what became of it, and what the assistant that reads it may do."""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import shown
from lab_checks.engine.verdict import Seen
from lab_checks.judging import answers, words
from lab_checks.judging.sheet import Blank
from lab_checks.labs.protect_data import callers, rights

ACCOUNT = "assistant"
# The recorded answer in manifests/09-protect-data/assistant.toml that does what the line says.
OBEYED = "green"
_ORDER = re.compile(r'client=(\S+) agent="Assistant:')
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
# What helps at night: (group, resource).
_NEEDED = (("", "pods"), ("", "pods/log"), ("", "events"))


def _address(said: object) -> str | None:
    found = _ADDRESS.findall(str(said))
    return found[0] if len(set(found)) == 1 else None


def blanks(ctx: Context) -> list[Blank]:
    log = ctx.api.log(callers.pod_of(ctx, NAMESPACE, "gateway"))
    senders = set(_ORDER.findall(log))
    return [
        Blank(
            "client", _address, lambda given: given in senders, "the address of the client that wrote the order into the log",
            f"kubectl -n {NAMESPACE} logs deployment/gateway: client= of that line", told=lambda _given: "that client sent no order",
            form="one address is asked for",
        ),
        Blank(
            "passed_on", lambda said: answers.choice(said, ("yes", "no")), "yes", "yes or no: does the model's summary of this log repeat the order?",
            "the summary, its Clearest line", told={"no": "read the summary to its end"}, form="yes or no is asked for",
        ),
        Blank(
            "obeyed", lambda said: answers.choice(said, ("amber", "blue", "green")), OBEYED, "the recorded answer that does what the line says",
            "lab.assistant.recorded(name)", told=lambda _given: "that answer treats the line as a line", form="amber, blue or green",
        ),
    ]  # fmt: skip


def reads_and_no_more(ctx: Context, given: list[Object]) -> None:
    """The assistant's account reads Pods, logs and events, no Secrets, and changes nothing."""
    if found := list(rights.writes(given)):
        raise words.fail(ctx, "assistant-may-act", Seen(f"account {ACCOUNT}", "may", shown(found[:4])), credit=0.6)
    if inside := rights.reaches_into_pods(given):
        raise words.fail(ctx, "assistant-in-pods", Seen(f"account {ACCOUNT}", "may get", inside), credit=0.6, resource=inside)
    if rights.reads_secrets(given):
        raise words.fail(ctx, "assistant-reads-secrets", Seen(f"account {ACCOUNT}", "rules", shown(given)[:160]), credit=0.6)
    for group, resource in _NEEDED:
        if not rights.may(given, {"get", "list"}, group, resource):
            raise words.fail(ctx, "assistant-blind", Seen(f"account {ACCOUNT}", "rules", shown(given)[:160]), credit=0.6, resource=resource)


def nobody_else_gained(ctx: Context) -> None:
    """No binding of the namespace that was made or changed names anyone but the assistant's account."""
    for key, binding in ctx.everything.get("rolebindings", {}).items():
        if not key.startswith(f"{NAMESPACE}/") or binding == ctx.start.get("rolebindings", {}).get(key):
            continue
        others = [each["name"] for each in binding.get("subjects") or [] if (each["kind"], each["name"]) != ("ServiceAccount", ACCOUNT)]
        if others:
            raise words.fail(
                ctx, "others-bound", Seen(f"rolebinding/{binding['metadata']['name']}", "subjects", ", ".join(others)), credit=0.6
            )
