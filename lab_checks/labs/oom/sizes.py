"""Lab 05-oom: how much a container takes, by its own measurement, and whether request and limit follow from it.

Sizes are in MiB. `Measured` is read off a server's /metrics; the rules are functions from numbers to words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import wait
from lab_checks.judging import answers

MIB = 2**20
# A limit below this much above the peak ends the server at the next larger request; above this many times, it stops nothing.
LEAST_ROOM, MOST_TIMES = 1.1, 3.0
# Of the peak: below that share the scheduler is told of too little.
LEAST_REQUEST = 0.75
_SLACK_MIB = 64
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
    now, peak = _sum(page, "process_resident_memory_bytes"), _sum(page, "process_peak_resident_memory_bytes")
    return Measured(now / MIB, max(peak, now) / MIB, _sum(page, "model_requests_total", 'code="200"')) if now else None


def _sum(page: str, name: str, label: str = "") -> float:
    """The sum of a metric's series; with `label`, of those that carry it."""
    rows = re.findall(rf"^{name}(\{{[^}}]*\}})? ([0-9.e+]+)$", page, re.M)
    return sum(float(value) for labels, value in rows if label in labels)


def measure(ctx: Context, pod: Object) -> Measured:
    """What the server in this Pod takes now, and has taken at the most. Ends the check as not yet while it does not answer."""
    page = ctx.api.through("pods", f"{pod['metadata']['name']}:8080", ctx.namespace, "metrics")
    found = read(page or "")
    if found is None:
        raise wait(
            "the server does not tell its memory yet", see(pod, "/metrics", "no answer"), next=f"kubectl -n {ctx.namespace} get pods"
        )
    return found


def size(container: Object, kind: str) -> float:
    """The container's own memory request or limit in MiB; 0 where it has none. A limit alone is a request too."""
    return float(observe.asked({"containers": [container]}, "memory", kind)) / MIB


def limit_problem(limit: float, peak: float) -> tuple[str, str]:
    """(what is wrong with this limit, what is expected); two empty strings where nothing is."""
    if not limit:
        return "has no memory limit", "a limit: without one a leak takes the node's memory from everybody on it"
    least, most = peak * LEAST_ROOM, peak * MOST_TIMES + _SLACK_MIB
    room = f"between {least:.0f} and {most:.0f} MiB for a peak of {peak:.0f}: room for the next larger request, and still a limit"
    if limit < least:
        return "has hardly any room above its peak", room
    if limit > most:
        return "may take many times what it ever took", room
    return "", ""


def request_problem(request: float, peak: float) -> tuple[str, str]:
    """The same of a request: the scheduler keeps that much free, for this Pod and from all others.

    It is held against the peak and not against what is in use now: that swings with every request, and a verdict must not.
    """
    least, most = peak * LEAST_REQUEST, peak * 2 + _SLACK_MIB
    if request < least:
        return (
            "requests less memory than it works with",
            f"at least {least:.0f} MiB for a peak of {peak:.0f}: what is used and not requested is taken from others, and the Pod is evicted first",
        )
    if request > most:
        return (
            "requests far more memory than it ever took",
            f"at most {most:.0f} MiB for a peak of {peak:.0f}: what is requested and not used nobody else can have, and the GPU beside it is stranded",
        )
    return "", ""


def agrees(given: object, measured: float) -> bool:
    """Whether a number that the learner measured is the one that the server tells, within the tolerance."""
    number = answers.mebibytes(given)
    return number is not None and abs(number - measured) <= max(8.0, measured * TOLERANCE)
