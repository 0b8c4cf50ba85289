"""Lab 03-pending: the scheduler's line taken apart, one row a node, from the learner's own cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeobjects import placement
from lab_checks.engine.observe import GPU, asked

if TYPE_CHECKING:
    from lab_checks.engine.api import Api, Object


def rows(template: Object, nodes: list[Object], pods: list[Object]) -> list[tuple[str, str]]:
    """(node, what it would answer): the first filter that says no, in the scheduler's order, else `fits`."""
    found = []
    for node in sorted(nodes, key=lambda each: str(each["metadata"]["name"])):
        name = node["metadata"]["name"]
        if taints := placement.untolerated(template, node):
            answer = f"untolerated taint {taints[0]['key']}"
        elif not placement.selects(template, node["metadata"].get("labels") or {}, name):
            answer = "does not match the selector"
        else:
            short = [each for each in ("cpu", "memory", GPU) if asked(template, each) > placement.left(node, pods, each)]
            answer = ", ".join(f"Insufficient {each}" for each in short) or "fits"
        found.append((name, answer))
    return found


def show(api: Api, namespace: str = "ai-platform", name: str = "ai-log-summary-api") -> None:
    """Prints what each node would answer to the Deployment's Pod now."""
    deployment = api.get("deployments", name, namespace)
    if deployment is None:
        print(f"there is no deployment {name} yet: start an exercise first")
        return
    for node, answer in rows(deployment["spec"]["template"]["spec"], api.list("nodes"), api.list("pods")):
        print(f"{node:<24}{answer}")
