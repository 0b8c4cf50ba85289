"""What the callers of this lab say: each line of their logs is a URL and what came back, with the moment at which it was printed."""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words

# Longer than a call may last before it is given up.
_CALL_SECONDS = 3.0
# So many calls in a row have to say the same.
_IN_A_ROW = 2


@dataclass(frozen=True)
class Call:
    """`at` is when it ended, in seconds since the epoch; `outcome` a status, or why there was none."""

    at: float
    url: str
    outcome: str


def pod_of(ctx: Context, namespace: str, name: str) -> Object:
    """The Pod of a caller's Deployment; not yet while there is none that runs."""
    found = [
        pod
        for pod in ctx.all_pods
        if pod["metadata"]["namespace"] == namespace
        and any(owner["name"].startswith(f"{name}-") for owner in pod["metadata"].get("ownerReferences") or [])
        and "deletionTimestamp" not in pod["metadata"]
    ]
    running = [pod for pod in found if observe.is_ready(pod)]
    if not running:
        raise words.wait(ctx, "no-caller", Seen(f"namespace/{namespace}", "pods", f"none of {name} is Ready"), name=name, where=namespace)
    return running[0]


def calls(ctx: Context, namespace: str, name: str, *, tail: int = 0) -> list[Call]:
    """Every call of a caller, oldest first; only the last `tail` lines where that is given."""
    found = []
    for line in ctx.api.log(pod_of(ctx, namespace, name), timestamps=True, tail=tail).splitlines():
        stamp, _, said = line.partition(" ")
        url, _, outcome = said.partition(" ")
        if url.startswith("http") and outcome:
            found.append(Call(_moment(stamp), url, outcome.strip()))
    return found


def _moment(stamp: str) -> float:
    """Seconds since the epoch of a log line's timestamp; 0 for what is none."""
    try:
        return observe.moment(stamp)
    except ValueError:
        return 0.0


def latest(ctx: Context, namespace: str, name: str, about: str = "") -> list[Call]:
    """The last calls of a caller to URLs with `about` in them, begun after the learner's last change; fewer than are needed where they are not there yet."""
    changed = max((deed.at for deed in ctx.deeds.changes()), default=0.0)
    rows = [each for each in calls(ctx, namespace, name, tail=40) if about in each.url and each.at > changed + _CALL_SECONDS]
    return rows[-_IN_A_ROW:]


def end_in(ctx: Context, namespace: str, name: str, wanted: str, about: str = "") -> Seen:
    """The last calls of a caller all end in `wanted`; not yet while they do not."""
    rows = latest(ctx, namespace, name, about)
    said = Seen(
        f"log of deployment/{name} in {namespace}",
        rows[-1].url if rows else "calls",
        rows[-1].outcome if rows else "none since the last change",
    )
    if len(rows) < _IN_A_ROW or any(each.outcome != wanted for each in rows):
        raise words.wait(ctx, "calls-say-otherwise", said, name=name, where=namespace, wanted=wanted)
    return said
