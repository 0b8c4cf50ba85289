"""Lab 10-storage: how long a start took, read off a Pod's own conditions and container statuses. Kubernetes writes them in whole seconds."""

from __future__ import annotations

from typing import Any

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named
from lab_checks.engine.registry import at_start
from lab_checks.engine.verdict import Seen
from lab_checks.judging import said, words

API, PORT, FETCH = "ai-log-summary-api", 8080, "fetch-weights"
_NOTED = ("10-storage/each-time-anew",)
# Seconds by which a time may be off: both ends of it are written in whole seconds.
OFF = 2.0
# Seconds that a difference of two such times may be too large.
_ROUNDED = 1.0


def seconds(pod: Object) -> float:
    """From when the Pod was created until it was Ready; 0 for one that is not.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
    """
    ready = observe.condition(pod, "Ready")
    if ready.get("status") != "True":
        return 0.0
    return observe.moment(ready["lastTransitionTime"]) - observe.moment(pod["metadata"]["creationTimestamp"])


def seen(pod: Object) -> Seen:
    return Seen(named(pod), "created to Ready", f"{seconds(pod):.0f} s")


def half_at_most(first: float, second: float) -> bool:
    """Whether the second start took half of the first or less, by times that are written in whole seconds."""
    return second <= first / 2 + _ROUNDED


@at_start
def note(ctx: Context) -> dict[str, Any]:
    """The start-up of the server's Pod as the exercise begins, in seconds: what a later one is held against."""
    if ctx.exercise.key not in _NOTED:
        return {}
    ready = [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == API and observe.is_ready(pod)]
    return {"startup": max(map(seconds, ready), default=0.0)}


def fetched(ctx: Context, pod: Object) -> bool:
    """Whether the Pod's init container had to fetch the weights; its log says so. False where they lay there already."""
    return " is there already" not in ctx.api.log(pod, FETCH)


def loaded(ctx: Context, pod: Object) -> str:
    """The SHA-256 of the file that the running server has loaded, by its metrics; ends the check while it does not tell."""
    page = ctx.api.through("pods", f"{pod['metadata']['name']}:{PORT}", ctx.namespace, "metrics")
    found = [labels.get("sha256", "") for labels, value in said.samples(page or "", "model_weights_info") if value]
    if not found:
        raise words.wait(ctx, "nothing-loaded", Seen(named(pod), "model_weights_info", "none"))
    return found[0]


def card(ctx: Context, name: str) -> str:
    """The SHA-256 that a model card names."""
    return str(ctx.need("configmaps", name)["data"]["sha256"])


def serves(ctx: Context, pod: Object, wanted: str) -> Seen:
    """The server has loaded the file of this digest and no other."""
    digest = loaded(ctx, pod)
    found = Seen(named(pod), "model_weights_info sha256", digest)
    if digest != wanted:
        raise words.fail(ctx, "another-file", found, wanted=wanted[:12])
    return found


def load_failure(ctx: Context, pods: list[Object]) -> Seen | None:
    """The last line with which one of these servers says that it could not load; None where none does."""
    for pod in pods:
        if observe.is_ready(pod):
            continue
        for before in (False, True):
            lines = [line for line in ctx.api.log(pod, "model-server", tail=20, previous=before).splitlines() if "failed to load" in line]
            if lines:
                return Seen(f"log of {named(pod)}", "", lines[-1].partition("model failed to load: ")[2] or lines[-1])
    return None
