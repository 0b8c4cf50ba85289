"""What the clients of a service got: the load generator's own log, a line a second, read with Kubernetes' timestamps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lab_checks.drill.generator import Service
from lab_checks.engine.context import Context
from lab_checks.judging import said
from lab_checks.judging.said import Second

# The last seconds that have to be without an error, and how old the newest line may be.
STEADY = 3
_FRESH = 15.0


@dataclass(frozen=True)
class Heard:
    """What clients got since the incident began. Moments are in seconds since the epoch, 0 where there was none."""

    answered: int
    failed: int
    first_error: float
    last_error: float
    steady: bool


def told(got: Heard) -> str:
    """What clients got, in words."""
    return f"{got.answered} answered, {got.failed} failed since the incident began"


def heard(ctx: Context, service: Service, since: float) -> Heard:
    """What the clients of the service have got since then. A client that was made anew has forgotten what came before."""
    rows: list[Second] = []
    for pod in ctx.all_pods:
        made = pod["metadata"]
        if made["namespace"] == service.namespace and (made.get("labels") or {}).get("app") == service.clients:
            rows += said.seconds(ctx.api.log(pod, timestamps=True))
    return summary(sorted(rows, key=lambda each: each.until), since, time.time())


def summary(rows: Sequence[Second], since: float, now: float) -> Heard:
    """The same, of seconds in their order."""
    after = [each for each in rows if each.until > since]
    bad = [each.until for each in after if each.errors]
    last = after[-STEADY:]
    steady = (
        len(last) == STEADY and not any(each.errors for each in last) and any(each.ok for each in last) and now - last[-1].until < _FRESH
    )
    return Heard(
        sum(each.ok for each in after), sum(each.errors for each in after), bad[0] if bad else 0.0, bad[-1] if bad else 0.0, steady
    )
