"""Lab 05-oom: how much a container takes, by its own measurement, and whether request and limit follow from it.

Sizes are in MiB. `Measured` is read off a server's /metrics; the rules are functions from numbers to words.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import wait
from lab_checks.judging import said
from lab_checks.judging.said import MIB

# What is measured twice is never quite the same.
TOLERANCE = 0.15


@dataclass(frozen=True)
class Measured:
    """`now` and `peak` in MiB since the server was started; `served` counts the requests that it answered."""

    now: float
    peak: float
    served: float


def read(page: str) -> Measured | None:
    """What a page of /metrics says; None where it does not tell the memory."""
    now, peak = said.resident_mib(page), said.peak_mib(page)
    return Measured(now, max(peak, now), said.total(page, "model_requests_total", code="200")) if now else None


def measure(ctx: Context, pod: Object) -> Measured:
    """What the server in this Pod takes now, and has taken at the most. Ends the check as not yet while it does not answer."""
    page = ctx.api.through("pods", f"{pod['metadata']['name']}:8080", ctx.namespace, "metrics")
    found = read(page or "")
    if found is None:
        raise wait(
            "the server does not tell its memory yet", see(pod, "/metrics", "no answer"), next=f"kubectl -n {ctx.namespace} get pods"
        )
    return found


def size(spec: Object, name: str, kind: str) -> float:
    """The memory request or limit that holds for a container of a Pod, in MiB; 0 where there is none. A limit alone is a request too.

    What is said for the whole Pod holds for a container that says nothing of its own.
    """
    own = {"containers": [observe.container(spec, name)]}
    found = observe.asked(own, "memory", kind) or observe.asked({**own, "resources": spec.get("resources") or {}}, "memory", kind)
    return float(found) / MIB


@dataclass(frozen=True)
class Rule:
    """A limit or a request lies between `least` and `most` times a peak, and may exceed that by `slack` MiB; what is said where it does not."""

    least: float
    most: float
    slack: float
    too_small: str
    too_large: str
    why: str


# Both are held against the peak and not against what is in use now: that swings with every request, and a verdict must not.
RULES = {
    "limits": Rule(
        1.1, 3.0, 100, "has hardly any room above its peak", "may take many times what it ever took",
        "room for the next larger request, and still a limit: without one a leak takes the node's memory from everybody on it",
    ),
    "requests": Rule(
        0.75, 2.0, 64, "requests less memory than it works with", "requests far more memory than it ever took",
        "what is used and not requested is taken from others, and the Pod is evicted first; what is requested and not used nobody else can have, and "
        "the GPU beside it is stranded",
    ),
}  # fmt: skip


def problem(kind: str, size: float, peak: float) -> tuple[str, str]:
    """(what is wrong with a limit or a request of that size in MiB, what is expected); two empty strings where nothing is."""
    rule = RULES[kind]
    least, most = peak * rule.least, peak * rule.most + rule.slack
    if least <= size <= most:
        return "", ""
    says = "has no memory limit" if kind == "limits" and not size else rule.too_small if size < least else rule.too_large
    return says, f"between {least:.0f} and {most:.0f} MiB for a peak of {peak:.0f}: {rule.why}"


def agrees(given: float, measured: float) -> bool:
    """Whether a size in MiB that the learner measured is the one that the server tells, within the tolerance."""
    return abs(given - measured) <= max(8.0, measured * TOLERANCE)
