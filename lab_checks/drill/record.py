"""What is kept of a drill: a report that can be replayed by its seed, its timeline from the audit log, and a post-mortem that is begun from it.

A report is plain JSON; moments are seconds since the epoch. Until the drill is passed it does not name a cause that the learner has not named.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from lab_checks.drill import clients
from lab_checks.drill.generator import VERSION, Drill
from lab_checks.drill.judging import Diagnoses, began, restored_at
from lab_checks.drill.score import Score
from lab_checks.drill.views import writes
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import Context
from lab_checks.redact import redact

Report = dict[str, Any]

# What the course asks with the learner's own kubeconfig, to tell one cluster from another.
_OURS = ("namespaces", "kube-system")
# Of what was sent with a change so many characters are kept.
_BODY = 300


def report(ctx: Context, drill: Drill, score: Score, diagnoses: Diagnoses | None = None, message: str = "") -> Report:
    """All that can be said of a drill now; `diagnoses` and `message` are what was handed in."""
    since, now = began(ctx), time.time()
    heard = {each.name: clients.heard(ctx, each, since) for each in drill.services}
    rows = [*timeline(ctx.deeds), *_handed_in(diagnoses or {}), *_felt(heard)]
    return {
        "generator": VERSION,
        "seed": drill.seed,
        "faults": drill.faults,
        "again": drill.command,
        "services": [{"name": each.name, "namespace": each.namespace, "gpu": each.product} for each in drill.services],
        "began": since,
        "written": now,
        "restored_at": restored_at(ctx, drill, since) if score.restored else None,
        "score": score.to_json(),
        "impact": {
            name: {"answered": each.answered, "failed": each.failed, "first_error": each.first_error or None, "last_error": each.last_error or None}
            for name, each in heard.items()
        },
        "diagnoses": {name: {"cause": str(row.get("cause", "")), "evidence": str(row.get("evidence", ""))} for name, row in (diagnoses or {}).items()},
        "causes": {each.service.name: {"cause": each.fault.id, "title": each.fault.title} for each in drill.laid} if score.passed else {},
        "update": message,
        "timeline": sorted(rows, key=lambda row: row["at"]),
    }  # fmt: skip


def timeline(deeds: Deeds) -> list[dict[str, Any]]:
    """What the learner did, in order: changes one by one, reads of the same kind that follow each other told once with their number."""
    found: list[dict[str, Any]] = []
    changes = {id(each) for each in writes(deeds)}
    for each in sorted(deeds.deeds, key=lambda deed: deed.at):
        if (each.resource, each.name) == _OURS:
            continue
        if each.looks and each.code < 300:
            what = f"read {each.resource}{f' {each.name}' if each.name else ''}{f' in {each.namespace}' if each.namespace else ''}"
            last = found[-1] if found else {}
            if last.get("what") == what:
                last["times"] += 1
            else:
                found.append({"at": each.at, "kind": "read", "what": what, "times": 1})
        elif id(each) in changes:
            found.append({"at": each.at, "kind": "change", "what": _change(each), "sent": _sent(each), "times": 1})
    return found


def _change(deed: Deed) -> str:
    named = f" {deed.name}" if deed.name else ""
    return f"{deed.verb} {deed.resource}{named}{f' in {deed.namespace}' if deed.namespace else ''}"


def _sent(deed: Deed) -> str:
    """What was sent with a change, where the log keeps it: secrets masked, on one line."""
    if not deed.body or deed.resource.startswith("secrets"):
        return ""
    text = redact(json.dumps(deed.body)).text
    return text if len(text) <= _BODY else f"{text[:_BODY]}…"


def _handed_in(diagnoses: Diagnoses) -> Iterator[dict[str, Any]]:
    for name, row in diagnoses.items():
        if row.get("at"):
            yield {"at": float(row["at"]), "kind": "diagnosis", "what": f"{row.get('cause')} named as the cause on {name}", "times": 1}


def _felt(heard: Mapping[str, clients.Heard]) -> Iterator[dict[str, Any]]:
    for name, each in heard.items():
        if each.failed:
            yield {"at": each.first_error, "kind": "impact", "what": f"first error of a client of {name}", "times": 1}
            yield {"at": each.last_error, "kind": "impact", "what": f"newest error of a client of {name}", "times": 1}


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")


def _minutes(found: Report, moment: float) -> str:
    return f"+{max(0.0, moment - found['began']) / 60:.1f} min"


def report_text(found: Report) -> str:
    """The report as plain text."""
    score = found["score"]
    state = "passed" if score["passed"] else "restored, not passed" if score["restored"] else "not restored"
    lines = [
        f"Drill {found['seed']}, {found['faults']} fault{'s' if found['faults'] != 1 else ''} (generator {found['generator']}): {state}, "
        f"{score['total']:g} of {score['of']} points",
        f"again: {found['again']}",
        f"began {_clock(found['began'])} UTC" + (f", restored {_minutes(found, found['restored_at'])}" if found["restored_at"] else ""),
        "",
        *(f"  {each['name']:<11} {each['points']:>4g} of {each['of']:<3} {each['why']}" for each in score["lines"]),
        "",
        "What clients got:",
        *(f"  {name}: {each['answered']} answered, {each['failed']} failed" for name, each in found["impact"].items()),
        "",
        "Timeline:",
        *(f"  {_minutes(found, each['at']):>10}  {each['kind']:<9}  {each['what']}{_times(each)}" for each in found["timeline"]),
    ]
    return "\n".join(lines)


def _times(row: Mapping[str, Any]) -> str:
    return f" ({row['times']} times)" if row["times"] > 1 else ""


_TEMPLATE = """\
# Post-mortem: drill {seed}

Blameless: it asks what made the mistake possible, and not who made it. Lines in italics are yours to write.

| | |
|---|---|
| services | {services} |
| began | {began} UTC |
| restored | {restored} |
| clients | {clients} |
| score | {score} |

## What happened

{summary}

## Timeline (UTC, from the audit log)

| at | | what |
|---|---|---|
{timeline}

## Cause and evidence

{causes}

## What was changed

{changes}

## What users were told

{update}

## What went well, what went badly, where we were lucky

*…*

## Why it was possible, and what will make it impossible

| action | owner | by when |
|---|---|---|
| *a check that refuses this change before it is applied* | | |
| *an alert that tells of it before the users do* | | |
"""


def post_mortem(found: Report) -> str:
    """A post-mortem in Markdown: what the audit log and the clients know is filled in, the rest is left to be written."""
    impact, diagnoses = found["impact"], found["diagnoses"]
    rows = [f"| {_clock(each['at'])} | {each['kind']} | {_cell(each['what'])}{_times(each)} |" for each in found["timeline"]]
    changes = [
        f"- {_clock(each['at'])} {each['what']}" + (f": `{each['sent']}`" if each.get("sent") else "")
        for each in found["timeline"]
        if each["kind"] == "change"
    ]
    causes = [
        f"- **{name}**: {row['cause']}\n\n" + "\n".join(f"      {line}" for line in row["evidence"].splitlines())
        for name, row in diagnoses.items()
    ]
    return _TEMPLATE.format(
        seed=found["seed"],
        services=", ".join(f"{each['name']} ({each['namespace']})" for each in found["services"]),
        began=_clock(found["began"]),
        restored=f"{_clock(found['restored_at'])} UTC, {_minutes(found, found['restored_at'])}" if found["restored_at"] else "not yet",
        clients="; ".join(f"{name}: {each['answered']} answered, {each['failed']} failed" for name, each in impact.items()),
        score=f"{found['score']['total']:g} of {found['score']['of']}",
        summary="*In two sentences: what users saw, and why.*",
        timeline="\n".join(rows) or "| | | nothing was noted |",
        causes="\n".join(causes) or "*no cause was named yet*",
        changes="\n".join(changes) or "nothing",
        update="\n".join(f"> {line}" for line in found["update"].splitlines()) or "*nothing yet*",
    )  # fmt: skip


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
