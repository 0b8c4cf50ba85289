"""Lab 05-oom: why a server does not stay up, worked out of its container's endings, its log and its events; and whether a quote shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, Verdict, fail, failed, passed
from lab_checks.judging import evidence

_CUDA = re.compile(r"CUDA out of memory|OutOfMemoryError")
_OOM = re.compile(r"OOMKilled|(?:exit ?code|exitCode)\D{0,4}137|^137$", re.I)
_SHOWS = {
    "memory-limit": _OOM,
    "gpu-memory": _CUDA,
    "program-error": re.compile(r"Error|error|exit ?code", re.I),
    "killed-by-liveness": re.compile(r"failed liveness probe", re.I),
    "evicted": re.compile(r"Evicted|low on resource", re.I),
}


@dataclass(frozen=True)
class Scene:
    """A workload's Pods, what their containers printed before and now, and the events about them."""

    pods: list[Object]
    log: str
    events: list[str]


def scene(ctx: Context, deployment: Object) -> Scene:
    pods = ctx.pods_of(deployment)
    names = {pod["metadata"]["name"] for pod in pods}
    log = "\n".join(ctx.api.log(pod, "model-server", previous=previous) for pod in pods for previous in (True, False))
    return Scene(pods, log, [each.get("message", "") for each in ctx.events if each["involvedObject"].get("name") in names])


def causes(now: Scene) -> dict[str, str]:
    """The causes that hold, each with what shows it."""
    endings = [ending for pod in now.pods for ending in observe.endings(pod) if ending.container == "model-server"]
    found = {}
    for ending in endings:
        words = f"{ending.reason}, exit code {ending.code}, {ending.restarts} restarts"
        if ending.reason == "OOMKilled":
            found["memory-limit"] = words
        elif ending.code and _CUDA.search(now.log):
            found["gpu-memory"] = words
        elif any("failed liveness probe" in each for each in now.events):
            found["killed-by-liveness"] = words
        elif ending.code:
            found["program-error"] = words
    for pod in now.pods:
        if pod.get("status", {}).get("reason") == "Evicted":
            found["evicted"] = pod["status"].get("message", "")
    return found


def judge(ctx: Context, cause: str, quotes: str) -> Verdict:
    """The verdict on a diagnosis of the API: the cause holds, the quoted lines stand on the cluster, and one of them shows it."""
    now = scene(ctx, ctx.need("deployments", "ai-log-summary-api"))
    holding = causes(now)
    if not holding:
        raise fail(
            "no container of the API has ended: there is nothing to diagnose any more",
            expected="a diagnosis while the evidence is still there",
            next=f"ai-lab reset {ctx.exercise.key} brings the broken start back; diagnose first, then mend",
        )
    lines, shown = evidence.lines_of(quotes), evidence.Shown(ctx)
    where = f"kubectl -n {ctx.namespace} describe pod -l app=ai-log-summary-api, and logs with --previous"
    if not lines:
        raise fail("a diagnosis needs evidence", expected="a line that kubectl printed, copied as it is", next=where)
    for line in lines:
        if not shown.stands(line):
            raise fail(
                "a quoted line is nowhere on the cluster", Seen("your evidence", "", line[:160]), expected="words that kubectl printed, copied", next=where
            )  # fmt: skip
    if cause not in holding:
        seen = next(iter(holding.values()))
        return failed(
            f"{cause} is not how the container ended",
            Seen("containerStatuses", "lastState", seen),
            expected="the cause that the ending shows",
            next=where,
        )
    if not any(_SHOWS[cause].search(line) for line in [*lines, " ".join(lines)]):
        return failed(
            f"the cause is right, and this evidence does not show it: {lines[0][:120]}",
            expected="the line that names it: in Last State, or in the log of the container that ended",
            next=where,
            credit=0.2,
        )
    return passed(f"the cause is {cause}, and the evidence shows it", Seen("containerStatuses", "lastState", holding[cause]))
