"""The engineer's order: look, say what it is, change one thing."""

from __future__ import annotations

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Outcome, Seen, Stop, Verdict

# Reading one of these is a look at evidence; a look at the workload's own YAML is not.
_EVIDENCE = ("events", "pods", "pods/log", "nodes", "replicasets", "endpoints", "endpointslices", "resourcequotas", "daemonsets")


def diagnosed(ctx: Context, *seen: Seen) -> None:
    """The last guard: it works, an accepted diagnosis says why it did not, and something was looked at before something was changed."""
    given = ctx.answers.get("diagnosis") or {}
    if not given.get("accepted"):
        raise _again(
            Outcome.FAILED if given else Outcome.NOT_YET,
            "it works now, and nobody has said yet why it did not",
            seen,
            "the cause and its evidence: what repairs a cluster by luck breaks it by luck",
            ctx,
        )
    changes = ctx.deeds.changes()
    if changes and min(deed.at for deed in changes) < given.get("at", 0.0) and not ctx.deeds.looked_before_changing(*_EVIDENCE):
        raise _again(
            Outcome.FAILED,
            "the first change came before the first look at the evidence",
            (*seen, Seen("audit log", "first change", f"{changes[0].verb} {changes[0].resource} {changes[0].name}".strip())),
            "events, logs or nodes read before anything is changed",
            ctx,
        )


def _again(outcome: Outcome, headline: str, seen: tuple[Seen, ...], expected: str, ctx: Context) -> Stop:
    where = f"ai-lab reset {ctx.exercise.key}, then read, diagnose, and repair it again: it takes a minute"
    # Idle: the cluster stands still, and a longer look at it brings no diagnosis.
    return Stop(Verdict(outcome, headline, seen, expected=expected, next=where, credit=0.6, idle=True))
