"""Lab 09-protect-data: what is written down of prompts: in logs, events, and an archive with a rule for how long it keeps what."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words

KEEP_DAYS = 14
ARCHIVE = "log-archive"
_PLANTED = re.compile(r"login of (\S+) failed, password=([\w-]+)")
_PROMPT = re.compile(r"prompt request=\w+ lines=\d+ chars=\d+( text=)?")
# A prompt's line up to its text, and how much may stand behind it: a word that says that something was removed.
_HEAD = re.compile(r"^.*?\bprompt request=\w+ lines=\d+ chars=\d+")
_REMARK = 40
_REQUEST = re.compile(r"^.*\bPOST /v1/\S+ \d{3} .*$", re.M)
_WORD = re.compile(r"[A-Za-z]{5,}")
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})")


def planted(ctx: Context) -> tuple[str, ...]:
    """The login and the password that the tools send: what must be written down nowhere."""
    body = (ctx.api.get("configmaps", "incident", "on-call") or {}).get("data", {}).get("body", "")
    found = _PLANTED.search(body)
    if not found:
        raise words.fail(ctx, "incident-changed", Seen("configmap/incident in on-call", "body", body[:80] or "gone"))
    return found.groups()


def vocabulary(ctx: Context) -> tuple[str, ...]:
    """The words of what the tools send, the planted ones among them: a prompt is gone where none of them is left."""
    body = (ctx.api.get("configmaps", "incident", "on-call") or {}).get("data", {}).get("body", "")
    return (*planted(ctx), *sorted(set(_WORD.findall(body))))


def setting(ctx: Context, deployment: Object) -> None:
    """LOG_PROMPTS as it should be: enough to find a request again, and no word of it."""
    value = (guards.variables(guards.server_container(deployment)).get("LOG_PROMPTS") or {}).get("value", "none")
    seen = see(deployment, "containers[model-server].env[LOG_PROMPTS]", value)
    if value.strip().lower() == "full":
        raise words.idle(ctx, "prompts-logged", seen)
    if value.strip().lower() != "size":
        raise words.fail(ctx, "nothing-left-to-debug", seen, credit=0.3)


def logs_are_clean(ctx: Context, secrets: tuple[str, ...]) -> Seen:
    """No log of a Pod and no event holds what was planted, and the API's log tells of requests all the same."""
    heads = 0
    for pod in ctx.all_pods:
        if pod["metadata"]["namespace"] not in (NAMESPACE, "on-call") or "deletionTimestamp" in pod["metadata"]:
            continue
        for container in pod["spec"]["containers"]:
            text = ctx.api.log(pod, container["name"])
            if any(secret in text for secret in secrets):
                raise words.wait(
                    ctx,
                    "secret-in-log",
                    Seen(f"log of {named(pod)}", container["name"], "has the customer's login or password"),
                    name=named(pod),
                )
            heads += sum(1 for found in _PROMPT.finditer(text) if not found[1])
    for namespace in (NAMESPACE, "on-call"):
        for event in ctx.api.list("events", namespace):
            if any(secret in (event.get("message") or "") for secret in secrets):
                raise words.fail(ctx, "secret-in-event", Seen("event", event["reason"], "has the customer's login or password"))
    if not heads:
        raise words.wait(ctx, "no-request-logged", Seen("log of deployment/ai-log-summary-api", "prompt request=…", "no line so far"))
    return Seen("logs and events", "the customer's login and password", "in none")


def archive(ctx: Context, prompt: tuple[str, ...]) -> Seen:
    """The archive keeps 14 days, no word of `prompt`, and of each request what finds it again."""
    now = ctx.need("configmaps", ARCHIVE)
    before, have = ctx.before("configmaps", ARCHIVE)["data"], now.get("data") or {}
    today = datetime.now(UTC).date()
    old = sorted(name for name in have if _age(name, today) > KEEP_DAYS)
    if have == before:
        raise words.idle(ctx, "archive-untouched", see(now, "data", sorted(have)), credit=0.4)
    for name, text in sorted({**have, **(now["metadata"].get("annotations") or {})}.items()):
        if any(word in text for word in prompt):
            raise words.fail(ctx, "prompt-in-archive", see(now, name, "a prompt"), credit=0.4, name=name)
    requests = {line for text in before.values() for line in _REQUEST.findall(text)}
    for name, text in sorted(have.items()):
        for line in text.splitlines():
            if line not in requests and len(_HEAD.sub("", line).strip()) > _REMARK:
                raise words.fail(ctx, "more-in-archive", see(now, name, line[:120]), credit=0.4, name=name)
    if old:
        raise words.fail(ctx, "kept-too-long", see(now, "data", old), credit=0.5, days=KEEP_DAYS)
    kept = sorted(name for name in before if _age(name, today) <= KEEP_DAYS)
    for name in kept:
        missing = [line for line in _REQUEST.findall(before[name]) if line not in have.get(name, "")]
        if missing:
            raise words.fail(
                ctx, "requests-lost", see(now, name, f"{len(missing)} request lines less"), credit=0.5, name=name, days=KEEP_DAYS
            )
    return see(now, "data", kept)


def _age(name: str, today: date) -> int:
    """Days since the day that a key names; 0 for a key that names none."""
    found = _DAY.search(name)
    return (today - date.fromisoformat(found[1])) // timedelta(days=1) if found else 0
