"""What a ValidatingAdmissionPolicy says to each request: its warnings, in words of its author, each rule in other words."""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen
from lab_checks.judging import requests, words
from lab_checks.judging.requests import Request
from lab_checks.labs.guardrails import access

# How the API server begins what a policy has to say (apiserver/pkg/admission/plugin/policy/validating/dispatcher.go).
_SAID = re.compile(r"ValidatingAdmissionPolicy '[^']*' with binding '[^']*'(?: denied request)?: (?P<message>.*)")
# What it says where the author wrote no message, and where the expression itself broke.
_UNWRITTEN = re.compile(r"^failed expression: ")
_BROKE = re.compile(r"resulted in error|no such key|no such overload")


def messages(warnings: tuple[str, ...]) -> list[str]:
    """The words of policies among warnings."""
    return [found["message"] for each in warnings if (found := _SAID.search(each))]


def warned(ctx: Context) -> None:
    """Right requests come back without a warning, wrong ones with the warning of their rule, and none is refused."""
    said: dict[str, set[str]] = {}
    for request in sorted(access.rows(ctx.exercise.id), key=lambda each: bool(each.rule)):
        answer = requests.send(ctx.api, request)
        told = messages(answer.warnings)
        if not answer.allowed:
            raise _ends(ctx, "refuses-already", request, answer.message)
        if told and not request.rule:
            raise _ends(ctx, "warns-of-a-right-one", request, told[0])
        if request.rule and not told:
            raise _ends(ctx, "warns-not", request, "no warning")
        if request.rule:
            _in_words(ctx, request, told)
            said.setdefault(request.rule, set()).update(told)
    _apart(ctx, said)


def refused(ctx: Context) -> None:
    """What was refused was refused in the words of its rule, and each rule has its own. The requests themselves were judged before."""
    said: dict[str, set[str]] = {}
    for request in access.rows(ctx.exercise.id):
        if request.rule:
            told = messages((requests.send(ctx.api, request).message,))
            _in_words(ctx, request, told)
            said.setdefault(request.rule, set()).update(told)
    _apart(ctx, said)


def _in_words(ctx: Context, request: Request, told: list[str]) -> None:
    for message in told:
        if _BROKE.search(message):
            raise _ends(ctx, "expression-broke", request, message)
        if _UNWRITTEN.search(message):
            raise _ends(ctx, "no-message", request, message)


def _apart(ctx: Context, said: dict[str, set[str]]) -> None:
    """No two rules say the same."""
    for rule, told in said.items():
        for other, theirs in said.items():
            if rule < other and told & theirs:
                raise words.fail(ctx, "same-words", Seen("message", "", sorted(told & theirs)[0]))


def _ends(ctx: Context, name: str, request: Request, said: str) -> Exception:
    end = words.wait if requests.is_new(ctx) else words.fail
    return end(
        ctx, name, Seen(f"as {request.who.name}: {request.does}", "", said), asks=request.asks, why=request.expected, look=request.next
    )


def breaking(deployments: list[Object]) -> set[str]:
    """The Deployments that break a rule of the platform, by name: what the learner's count is held against."""
    return {each["metadata"]["name"] for each in deployments if _breaks(each["spec"])}


def _breaks(spec: Object) -> bool:
    pod = spec["template"]["spec"]
    containers = [*(pod.get("initContainers") or []), *pod["containers"]]
    unnamed = any("@" not in each["image"] and re.search(r":latest$|^[^:]*$|:\d+/[^:]*$", each["image"]) for each in containers)
    to_gpus = any(each.get("key") == "nvidia.com/gpu" or not each.get("key") for each in pod.get("tolerations") or [])
    asks = any("nvidia.com/gpu" in (each.get("resources", {}).get("limits") or {}) for each in containers)
    return unnamed or (to_gpus and not asks) or spec.get("replicas", 1) > 3
