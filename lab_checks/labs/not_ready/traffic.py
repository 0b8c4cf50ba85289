"""Lab 04-not-ready: what clients got while a rollout went on, read from the log of the load generator that runs beside the API all the time."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import guards

CLIENTS = "log-clients"
# Seconds after the new Pod is Ready: by then the old one has gone, and its last requests have been answered or given up.
_AFTER = 2.0
# Requests in a second that are enough to have seen what clients see.
_ENOUGH = 2


@dataclass(frozen=True)
class Second:
    """What came back in the second that ended at `until` (since the epoch)."""

    until: float
    ok: int
    outcomes: dict[str, int]

    @property
    def errors(self) -> int:
        return sum(self.outcomes.values()) - self.ok


def seconds(log: str) -> list[Second]:
    """The seconds in a load generator's log that was read with timestamps; what is no line of a second is left out."""
    found = []
    for line in log.splitlines():
        stamp, _, text = line.partition(" ")
        try:
            said = json.loads(text)
            found.append(Second(moment(stamp), int(said["ok"]), {str(key): int(value) for key, value in said["outcomes"].items()}))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def moment(stamp: str) -> float:
    """Seconds since the epoch of a timestamp with up to nine digits behind the point."""
    head, _, rest = stamp.removesuffix("Z").partition(".")
    return datetime.fromisoformat(head + "+00:00").timestamp() + float(f"0.{rest or 0}")


def clients_kept(ctx: Context) -> Object:
    """The clients, as they were: they ask the same, as often."""
    clients = guards.same_object(ctx, "deployments", CLIENTS)
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][CLIENTS]
    if clients["spec"]["template"]["spec"] != before["template"] or clients["spec"].get("replicas") != before["replicas"]:
        raise fail(
            "the clients were changed",
            see(clients, "spec", f"replicas {clients['spec'].get('replicas')}, template changed or not"),
            expected="the on-call tooling as it is: whoever asks less, waits longer or asks somebody else sees fewer errors, and nothing is mended",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    return clients


def nobody_failed(ctx: Context, clients: Object, pods: list[Object]) -> Seen:
    """Every request of the latest rollout was answered: from the new Pods' making until the old ones were gone. Returns what was counted."""
    since = min(moment(pod["metadata"]["creationTimestamp"]) for pod in pods)
    until = max(moment(observe.condition(pod, "Ready")["lastTransitionTime"]) for pod in pods) + _AFTER
    if ctx.now < until + 1 or any("deletionTimestamp" in pod["metadata"] and "log-summary" in pod["metadata"]["name"] for pod in ctx.pods):
        raise wait("the rollout is just over: the last requests are still being counted", see(clients, "log", "not there yet"))
    again = f"kubectl -n {ctx.namespace} rollout restart deployment/ai-log-summary-api, wait for it, and check again"
    told = [
        each
        for pod in ctx.pods_of(clients)
        for each in seconds(ctx.api.log(pod, timestamps=True, tail=int(ctx.now - since) + 20))
        if since + 1 <= each.until <= until
    ]
    outcomes = sum((Counter(each.outcomes) for each in told), Counter())
    seen = Seen(f"log of {named(clients)}", "answers during the latest rollout", json.dumps(dict(outcomes)))
    # A line a second, but for the ones at both ends.
    if sum(sum(each.outcomes.values()) >= _ENOUGH for each in told) < until - since - 3:
        raise fail(
            "too few requests were sent during the latest rollout to say anything",
            seen,
            expected="clients that ask all the time: only they see what a rollout does to them",
            next=f"kubectl -n {ctx.namespace} logs deployment/{CLIENTS} --tail=20; then {again}",
            credit=0.5,
        )
    if any(each.errors for each in told):
        raise fail(
            "requests failed during the latest rollout",
            seen,
            expected="none: the old Pod answers until the new one says that its model is loaded",
            next=f"kubectl -n {ctx.namespace} logs deployment/{CLIENTS} --tail=20; where an earlier try is to blame: {again}",
            credit=0.5,
        )
    return seen
