"""Lab 06-observe: an alert that wakes somebody for a reason: tried on the recorded hour, and looked for in the monitoring that runs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.metrics import Alert, MetricsError, Rule
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import words
from lab_checks.labs.observe import recorded
from lab_checks.labs.observe.recorded import BURST, END, FAULT, REPLACED, STEP, Firing, RuleProblem, clock

RULES = "prometheus-rules"
# Seconds after which a fault that goes on has to have woken somebody, and after which nothing of a harmless time is left in any sensible range.
LATEST, AFTER = 300.0, 420.0


def rules(ctx: Context) -> list[Any]:
    """The rules that page: alerting rules with the label severity: page. Ends the check where there is none, or where a file cannot be read."""
    files = (ctx.api.get("configmaps", RULES, "monitoring") or {}).get("data") or {}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            try:
                found += recorded.rules_of(Path(name).name, text, Path(folder))
            except RuleProblem as problem:
                raise words.fail(ctx, "rules-unreadable", Seen(f"configmap/{RULES}", name, str(problem))) from None
    paging = [each for each in found if each.labels.get("severity") == "page"]
    if not paging:
        raise words.fail(
            ctx, "nobody-is-paged", Seen(f"configmap/{RULES}", "alerting rules", ", ".join(each.alert for each in found) or "<none>")
        )
    return paging


def tried(ctx: Context, paging: list[Any]) -> tuple[Any, Firing]:
    """The rule that fires first on the fault of the recorded hour, and when; ends the check where one fires otherwise, or none in time."""
    woke: list[tuple[Any, Firing]] = []
    for rule in paging:
        try:
            found = recorded.firings(rule)
        except RuleProblem as problem:
            raise words.fail(ctx, "rule-fails", Seen(f"configmap/{RULES}", rule.alert, str(problem))) from None
        early = next((each for each in found if each.since < FAULT), None)
        if early:
            raise words.fail(ctx, _harmless(early.since), _seen(rule, early), rule=rule.alert, at=clock(early.since))
        if found:
            woke.append((rule, found[0]))
    if not woke:
        raise words.fail(ctx, "sleeps-through", *(Seen(f"rule/{each.alert}", "expr", each.expr) for each in paging), fault=clock(FAULT))
    rule, first = min(woke, key=lambda each: each[1].since)
    if first.since > FAULT + LATEST:
        raise words.fail(ctx, "too-late", _seen(rule, first), rule=rule.alert, at=clock(first.since), fault=clock(FAULT), credit=0.5)
    if first.until < END - STEP:
        raise words.fail(ctx, "stops", _seen(rule, first), rule=rule.alert, at=clock(first.until), credit=0.5)
    return rule, first


def _harmless(since: float) -> str:
    """The words on an alert in a harmless time."""
    if REPLACED <= since < REPLACED + AFTER:
        return "wakes-on-replacement"
    return "wakes-on-burst" if BURST <= since < BURST + AFTER else "wakes-on-nothing"


def _seen(rule: Any, firing: Firing) -> Seen:
    return Seen(f"rule/{rule.alert}", "fires in the recorded hour", f"{clock(firing.since)} to {clock(firing.until)}")


def firing_now(ctx: Context, rule: Any) -> Alert:
    """The rule's alert as it fires on the cluster now; not yet while the rule is not read, or its time is not over."""
    try:
        problem, loaded = ctx.metrics.reload_error(), ctx.metrics.rules()
    except MetricsError as error:
        raise wait(str(error), next=error.next) from None
    if problem:
        raise words.fail(ctx, "rules-unreadable", Seen("monitoring", "rule files", problem))
    mine = [each for each in loaded if each.kind == "alerting" and each.name == rule.alert and not _is_older(ctx, each, rule)]
    if not mine or all(each.health == "unknown" for each in mine):
        names = ", ".join(f"{each.name}: {each.query}" for each in loaded)
        raise words.wait(ctx, "not-read-yet", Seen("monitoring", "rules", names or "<none>"), credit=0.7)
    alerts = [each for each in ctx.alerts() if each.name == rule.alert]
    now = next((each for each in alerts if each.state == "firing"), None)
    if now is not None:
        return now
    if alerts:
        raise words.wait(ctx, "pending", Seen(f"alert/{alerts[0].name}", alerts[0].state, f"since {alerts[0].active_at}"), credit=0.8)
    raise words.fail(ctx, "sleeps-now", Seen(f"rule/{rule.alert}", "state", mine[0].state), credit=0.7)


def _is_older(ctx: Context, loaded: Rule, rule: Any) -> bool:
    """Whether a loaded rule of that name is the one from before the change: the kubelet brings files into Pods some time later.

    A server writes expressions in its own form, so that a difference alone says nothing.
    """
    if loaded.hold != rule.hold / 1000:
        return True
    before = (ctx.before("configmaps", RULES, "monitoring").get("data") or {}).values()
    query = _bare(loaded.query)
    return query != _bare(rule.expr) and any(query in _bare(text) for text in before)


def _bare(expression: str) -> str:
    return re.sub(r"[\s'\"]", "", expression)
