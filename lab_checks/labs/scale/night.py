"""Lab 11-scale-and-cost: a Deployment at zero and back: seen in what its clients got."""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.scale import clients
from lab_checks.labs.scale.autoscaler import API

# Seconds by which a cold start that was read off a log may be off, and good seconds after which it is over.
_OFF, _AWAKE = 2.5, 2


@dataclass(frozen=True)
class Gap:
    """`cold`: seconds from the Pod's creation to the first good answer; `silent`: seconds of the clients' log without one before that."""

    cold: float
    silent: int


def was_at_zero(ctx: Context, deployment: Object) -> None:
    """The Deployment was scaled to zero since the start: a deleted Pod is another thing, its successor comes at once."""
    if not ctx.deeds.known:
        return
    for deed in ctx.deeds.changes("deployments/scale", "deployments"):
        if deed.name == API and ((deed.body or {}).get("spec") or {}).get("replicas", 1) == 0:
            return
    told = words.fail if ctx.deeds.deleted("pods") else words.idle
    raise told(ctx, "never-asleep", see(deployment, "spec.replicas", deployment["spec"].get("replicas", 1)))


def gap(ctx: Context, pod: Object) -> Gap:
    """What clients had of the newest start; not yet before two good seconds."""
    rows, created = clients.all_rows(ctx), observe.moment(pod["metadata"]["creationTimestamp"])
    awake = [row for row in rows if row.until > created and row.ok and not row.silent]
    if len(awake) < _AWAKE:
        raise words.wait(ctx, "not-awake-yet", Seen(f"deployment/{clients.CLIENT}", "good seconds since then", str(len(awake))))
    return Gap(awake[0].until - created, sum(1 for row in rows if row.silent and row.until < awake[0].until))


def is_cold_start(given: float, found: Gap, load: float) -> bool:
    return abs(given - found.cold) <= _OFF and given > load + 0.2


def told(given: float, found: Gap, load: float) -> str:
    if abs(given - load) <= 0.2:
        return "that is the load of the model alone: the first user waits for the scheduler, the container and the readiness probe as well"
    if found.silent > found.cold + _OFF and abs(given - found.silent) <= _OFF:
        return "that is the whole time without an answer, the night among it"
    return "the clients' log and the Pod's creationTimestamp say another number"
