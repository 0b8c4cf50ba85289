"""Who goes first: the priority classes of serving and batch, and what the scheduler did by them."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.guardrails.access import RESEARCH

TRAINING = "nightly-training"


def classes(ctx: Context) -> tuple[Object, Object]:
    """The two PriorityClasses; ends the check where they are not there, or serving is not above batch."""
    found = {}
    for name in ("serving", "batch"):
        there = ctx.api.get("priorityclasses", name)
        if there is None:
            raise words.idle(ctx, "class-missing", name=name)
        found[name] = there
    serving, batch = found["serving"], found["batch"]
    if serving["value"] <= max(batch["value"], 0):
        raise words.fail(ctx, "serving-not-above", see(serving, "value", serving["value"]), see(batch, "value", batch["value"]))
    if serving.get("preemptionPolicy") == "Never":
        raise words.fail(ctx, "serving-never-preempts", see(serving, "preemptionPolicy", "Never"))
    return serving, batch


def uses(ctx: Context, deployment: Object, name: str) -> None:
    """The Deployment's Pods are of that class."""
    have = deployment["spec"]["template"]["spec"].get("priorityClassName")
    if have != name:
        raise words.idle(
            ctx,
            "class-not-used",
            see(deployment, "spec.template.spec.priorityClassName", have),
            of=deployment["metadata"]["name"],
            name=name,
        )


def preempted(ctx: Context) -> list[Object]:
    """The scheduler's events on trainers that it stopped for the API; ends the check where there is none."""
    by_hand = [deed for deed in ctx.deeds.deleted("pods") if deed.namespace == RESEARCH]
    if by_hand:
        raise words.fail(ctx, "deleted-by-hand", Seen(f"pod/{by_hand[0].name or '*'}", "", "deleted by hand"))
    found = [each for each in ctx.told("Preempted", RESEARCH) if each["involvedObject"]["name"].startswith(f"{TRAINING}-")]
    if not found:
        raise words.idle(ctx, "nothing-preempted", credit=0.7)
    return found


def came_back(ctx: Context, training: Object) -> int:
    """How many trainers run: all that the API leaves a GPU for, while the others wait for one and are not lost."""
    pods = [pod for pod in ctx.pods_of(training) if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")]
    running = [pod for pod in pods if observe.is_ready(pod)]
    free = sum(each.allocatable - each.held for each in ctx.gpu_facts)
    if len(pods) < training["spec"]["replicas"] or free > 0:
        raise words.wait(ctx, "not-back-yet", Seen(f"deployment/{TRAINING}", "Pods", f"{len(running)} running, {len(pods)} in all"))
    return len(running)
