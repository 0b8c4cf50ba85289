"""Lab 08-release: a PodDisruptionBudget, and the drain that had to respect it."""

from __future__ import annotations

import math

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.release.serving import API

NODE = "ai-lab-worker2"


def required(ctx: Context) -> None:
    """Pods left the node by eviction: nobody deleted them, which no budget prevents."""
    for deed in ctx.deeds.deleted("pods"):
        if deed.namespace == ctx.namespace:
            raise words.fail(ctx, "pods-deleted", Seen(f"pod/{deed.name}", "", f"{deed.verb} with {deed.agent.split('/')[0]}"))


def bounds(budget: Object) -> str:
    spec = budget["spec"]
    return (
        ", ".join(f"{key} {spec[key]}" for key in ("minAvailable", "maxUnavailable") if spec.get(key) is not None)
        or "neither minAvailable nor maxUnavailable"
    )


def fits(ctx: Context, deployment: Object) -> Object:
    """The one budget for the Deployment's Pods, which lets one of them go and not both."""
    found = ctx.api.list("poddisruptionbudgets", ctx.namespace)
    if not found:
        raise words.idle(ctx, "no-budget", Seen(f"namespace/{ctx.namespace}", "poddisruptionbudgets", "none"))
    if len(found) > 1:
        raise words.fail(ctx, "two-budgets", *(see(each, "spec.selector", each["spec"].get("selector")) for each in found))
    budget, labels, replicas = found[0], deployment["spec"]["template"]["metadata"]["labels"], deployment["spec"].get("replicas", 1)
    selector = budget["spec"].get("selector") or {}
    chosen = see(budget, "spec.selector", selector)
    wanted = selector.get("matchLabels") or {}
    if not wanted and not selector.get("matchExpressions"):
        raise words.fail(
            ctx, "budget-for-all", chosen, see(budget, "status.expectedPods", (budget.get("status") or {}).get("expectedPods", 0))
        )
    if selector.get("matchExpressions"):
        expected = observe.whole(str((budget.get("status") or {}).get("expectedPods", 0)))
        if expected != replicas:
            raise words.fail(ctx, "budget-for-others", chosen, see(budget, "status.expectedPods", expected))
    elif not wanted or not wanted.items() <= {**labels, "pod-template-hash": ""}.items():
        raise words.fail(ctx, "budget-for-others", chosen, see(deployment, "template labels", labels))
    if "app.kubernetes.io/version" in wanted or "pod-template-hash" in wanted:
        raise words.fail(ctx, "budget-for-one-version", chosen)
    spare = _may_go(budget["spec"], replicas)
    if spare <= 0:
        raise words.fail(ctx, "nobody-may-go", see(budget, "spec", bounds(budget)))
    if spare >= replicas:
        raise words.fail(ctx, "all-may-go", see(budget, "spec", bounds(budget)))
    return budget


def _may_go(spec: Object, replicas: int) -> int:
    """How many of `replicas` Pods may be missing by an eviction; shares are rounded up, of both bounds (the disruption controller does so)."""
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        return _count(most, replicas)
    return replicas - _count(least, replicas) if least is not None else replicas


def _count(value: object, replicas: int) -> int:
    text = str(value)
    return math.ceil(replicas * float(text[:-1]) / 100) if text.endswith("%") else int(text)


def drained(ctx: Context) -> None:
    """The Pods that were on the node at the start are gone from it."""
    there = [pod for pod in ctx.pods if pod["metadata"]["uid"] in _at_start(ctx)]
    if there:
        node = next(each for each in ctx.nodes if each["metadata"]["name"] == NODE)
        cordoned = bool(node["spec"].get("unschedulable"))
        raise (words.wait if cordoned else words.idle)(
            ctx, "not-drained", see(there[0], "spec.nodeName", there[0]["spec"].get("nodeName")), credit=0.3
        )
    # A rollout makes new Pods as well, before the drain or after it: that a Pod was evicted and the node closed stands in the audit log, where there is one.
    evicted = any(deed.namespace == ctx.namespace and deed.name.startswith(f"{API}-") for deed in ctx.deeds.changes("pods/eviction"))
    closed = any(deed.name == NODE for deed in ctx.deeds.changes("nodes"))
    if ctx.deeds.known and not (evicted and closed):
        raise words.fail(ctx, "never-drained", Seen(f"node/{NODE}", "evictions", "none"))


def _at_start(ctx: Context) -> set[str]:
    return {
        row["uid"] for row in ctx.baseline["pods"][ctx.namespace].values() if row["node"] == NODE and "on-call-tooling" not in row["owner"]
    }


def node_is_back(ctx: Context) -> None:
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == NODE)
    if node["spec"].get("unschedulable"):
        raise words.idle(ctx, "still-cordoned", see(node, "spec.unschedulable", True), credit=0.6)
