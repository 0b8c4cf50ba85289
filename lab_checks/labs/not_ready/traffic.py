"""Lab 04-not-ready: what clients got while a rollout went on, read from the log of the load generator that runs beside the API all the time."""

from __future__ import annotations

import json
from collections import Counter

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import moment, named, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import said
from lab_checks.labs.not_ready.causes import CLIENTS

# Seconds after the new Pod is Ready: by then the old one has gone, and its last requests have been answered or given up.
_AFTER = 2.0
# Requests in a second that are enough to have seen what clients see.
_ENOUGH = 2


def nobody_failed(ctx: Context, deployment: Object, pods: list[Object]) -> Seen:
    """Every request of the latest rollout was answered: from the new Pods' making until the old ones were gone. Returns what was counted."""
    clients = ctx.need("deployments", CLIENTS)
    over = observe.condition(deployment, "Progressing")
    if over.get("reason") != "NewReplicaSetAvailable":
        raise wait("the rollout goes on", see(deployment, "Progressing", over.get("reason", "<none>")))
    since = min(moment(pod["metadata"]["creationTimestamp"]) for pod in pods)
    # The condition keeps the moment at which the rollout was complete; a Pod's own Ready is later after its node was restarted.
    until = moment(over["lastUpdateTime"]) + _AFTER
    if ctx.now < until + 1 or any("deletionTimestamp" in pod["metadata"] and "log-summary" in pod["metadata"]["name"] for pod in ctx.pods):
        raise wait("the rollout is just over: the last requests are still being counted", see(clients, "log", "not there yet"))
    told = [
        each
        for pod in ctx.pods_of(clients)
        for previous in (True, False)
        for each in said.seconds(ctx.api.log(pod, timestamps=True, tail=int(ctx.now - since) + 20, previous=previous))
        if since + 1 <= each.until <= until
    ]
    outcomes = sum((Counter(each.outcomes) for each in told), Counter())
    seen = Seen(f"log of {named(clients)}", "answers during the latest rollout", json.dumps(dict(outcomes)))
    # A line a second, but for the ones at both ends.
    few = sum(sum(each.outcomes.values()) >= _ENOUGH for each in told) < until - since - 3
    if few or any(each.errors for each in told):
        raise fail(
            "too few requests were sent during the latest rollout to say anything" if few else "requests failed during the latest rollout",
            seen,
            expected="clients that ask all the time: only they see what a rollout does to them"
            if few
            else "no failed one: the old Pod answers until the new one says that its model is loaded",
            next=f"kubectl -n {ctx.namespace} logs deployment/{CLIENTS} --tail=20; where an earlier try is to blame: kubectl -n {ctx.namespace} "
            "rollout restart deployment/ai-log-summary-api, wait for it, and check again",
            credit=0.5,
        )
    return seen
