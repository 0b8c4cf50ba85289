"""Lab 11-scale-and-cost: an autoscaler, held against the GPUs that there are, and against what it did.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ describes its fields and conditions.
"""

from __future__ import annotations

import math

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words

API, QUEUE = "ai-log-summary-api", "model_queue_depth"
_KINDS = {"Pods": "pods", "Object": "object", "External": "external"}


def gpus(ctx: Context) -> int:
    """GPUs that the cluster's kubelets offer."""
    return sum(each.allocatable for each in ctx.gpu_facts)


def the_one(ctx: Context) -> Object:
    """The one autoscaler of the namespace, and it scales the API."""
    found = ctx.api.list("horizontalpodautoscalers", ctx.namespace)
    if not found:
        raise words.idle(ctx, "no-autoscaler", Seen(f"namespace/{ctx.namespace}", "horizontalpodautoscalers", "none"))
    if len(found) > 1:
        raise words.fail(
            ctx, "two-autoscalers", *(see(each, "spec.scaleTargetRef", each["spec"]["scaleTargetRef"]["name"]) for each in found)
        )
    target = found[0]["spec"]["scaleTargetRef"]
    if (target["kind"], target["name"]) != ("Deployment", API):
        raise words.fail(ctx, "another-target", see(found[0], "spec.scaleTargetRef", f"{target['kind']}/{target['name']}"))
    return found[0]


def scales_by_the_queue(ctx: Context, scaler: Object) -> None:
    """Every metric of the autoscaler is the queue: not what a waiting request leaves idle."""
    metrics = scaler["spec"].get("metrics") or []
    names = [_name(each) for each in metrics]
    seen = see(scaler, "spec.metrics", ", ".join(names) or "none")
    if any(each["type"] in ("Resource", "ContainerResource") for each in metrics):
        raise words.fail(ctx, "by-cpu", seen)
    if names != [QUEUE]:
        raise words.fail(
            ctx, "another-metric", seen, see(scaler, "ScalingActive", observe.condition(scaler, "ScalingActive").get("message"))
        )


def _name(metric: Object) -> str:
    kind = metric["type"]
    if kind in _KINDS:
        return str(metric[_KINDS[kind]]["metric"]["name"])
    return str(next(iter(value for key, value in metric.items() if key != "type"))["name"])


def fits_the_gpus(ctx: Context, scaler: Object) -> None:
    """One Pod at the least, and at the most as many as there are GPUs."""
    least, most, there = scaler["spec"].get("minReplicas", 1), scaler["spec"]["maxReplicas"], gpus(ctx)
    seen = (see(scaler, "spec.minReplicas, spec.maxReplicas", f"{least}, {most}"), Seen("nodes", "nvidia.com/gpu", f"{there} in all"))
    if most > there:
        raise words.fail(ctx, "above-the-gpus", *seen, gpus=there, most=most)
    if most < there:
        raise words.fail(ctx, "below-the-gpus", *seen, gpus=there, most=most)
    if least > 1:
        raise words.fail(ctx, "never-one", *seen, least=least)


def comes_down_again(ctx: Context, scaler: Object) -> None:
    """Nothing keeps the autoscaler from taking Pods away once it is quiet."""
    if ((scaler["spec"].get("behavior") or {}).get("scaleDown") or {}).get("selectPolicy") == "Disabled":
        raise words.fail(ctx, "never-down", see(scaler, "spec.behavior.scaleDown.selectPolicy", "Disabled"))


def _target(scaler: Object) -> float:
    """The value for each Pod that the autoscaler aims at; 0 where its first metric has none."""
    metric: Object = next(iter(scaler["spec"].get("metrics") or []), {})
    target = metric.get(_KINDS.get(metric.get("type", ""), ""), {}).get("target") or {}
    return float(amount(target.get("averageValue") or "0"))


def sees_the_bounded_queue(ctx: Context, scaler: Object, deployment: Object) -> None:
    """With every server's queue full the autoscaler asks for a Pod on each GPU; ends the check where it would take Pods away from a full load.

    It asks for ceil(Pods × value ÷ target): https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
    """
    most = observe.whole(guards.variables(guards.server_container(deployment)).get("MAX_QUEUE", {}).get("value", "64"))
    target, there = _target(scaler), gpus(ctx)
    if target and (wanted := math.ceil(there * most / target)) < there:
        seen = (see(deployment, "env[MAX_QUEUE]", most), see(scaler, "target.averageValue", f"{target:g}"))
        raise words.fail(ctx, "queue-too-short", *seen, most=most, target=f"{target:g}", wanted=wanted, gpus=there, credit=0.6)


def not_by_hand(ctx: Context) -> None:
    """Nobody but the autoscaler set the number of Pods."""
    for deed in ctx.deeds.changes("deployments/scale", "deployments"):
        if deed.name == API and deed.namespace == ctx.namespace and "replicas" in ((deed.body or {}).get("spec") or {}):
            raise words.fail(ctx, "by-hand", Seen(f"deployment/{API}", "spec.replicas", f"{deed.verb} with {deed.agent.split('/')[0]}"))


def reached_its_maximum(ctx: Context, scaler: Object) -> None:
    """The autoscaler has seen its metric and asks for as many Pods as it may."""
    status, most = scaler.get("status") or {}, scaler["spec"]["maxReplicas"]
    active = observe.condition(scaler, "ScalingActive")
    seen = (
        see(scaler, "status.desiredReplicas", status.get("desiredReplicas", 0)),
        see(scaler, "ScalingActive", active.get("message") or "not looked yet"),
    )
    if active.get("status") == "False":
        # The adapter knows a rate from its second reading on; a gauge such as the queue is known at once.
        raise words.wait(ctx, "no-metric", *seen)
    if status.get("desiredReplicas", 0) < most:
        raise words.wait(ctx, "not-grown-yet", *seen, see(scaler, "value, target", f"{_value(status)}, {_target(scaler):g}"), most=most)


def _value(status: Object) -> str:
    """What the autoscaler read last, for each Pod, as it writes it."""
    metric: Object = next(iter(status.get("currentMetrics") or []), {})
    return str((metric.get(_KINDS.get(metric.get("type", ""), ""), {}).get("current") or {}).get("averageValue", "none"))
