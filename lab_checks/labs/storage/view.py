"""Lab 10-storage: how long starts took, as a table of the learner's own Pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeobjects import Object
from lab_checks.engine import observe

if TYPE_CHECKING:
    from lab_checks.engine.api import Api

_STEPS = ("PodScheduled", "Initialized", "Ready")


def row(pod: Object) -> str | None:
    """Seconds from when the Pod was created to each of its conditions; None for one that is not Ready."""
    if not observe.is_ready(pod):
        return None
    created = observe.moment(pod["metadata"]["creationTimestamp"])
    took = [observe.moment(observe.condition(pod, step)["lastTransitionTime"]) - created for step in _STEPS]
    app = (pod["metadata"].get("labels") or {}).get("app", "")
    return f"{app:<20}{pod['metadata']['creationTimestamp'][11:19]}" + "".join(f"{each:10.0f} s" for each in took)


def show_starts(api: Api, namespace: str = "ai-platform") -> None:
    """Prints, for each Ready Pod, when it was created, and after how many seconds it had a node, had its init containers behind it, and was Ready."""
    pods = sorted(
        api.list("pods", namespace),
        key=lambda pod: ((pod["metadata"].get("labels") or {}).get("app", ""), pod["metadata"]["creationTimestamp"]),
    )
    rows = [found for pod in pods if "app" in (pod["metadata"].get("labels") or {}) and (found := row(pod))]
    if not rows:
        print("no Pod is Ready: start an exercise first")
        return
    print(f"{'Pod of':<20}{'created':<8}{'scheduled':>12}{'initialized':>12}{'Ready':>12}")
    print("\n".join(rows))
