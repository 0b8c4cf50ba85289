"""Lab 05-oom: why a server does not stay up, as rules over its containers' endings, its log and its events."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import Ending, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging.diagnosis import Engine, Finding

API, SERVER = "ai-log-summary-api", "model-server"
_CUDA = re.compile(r"CUDA out of memory|OutOfMemoryError")


@dataclass(frozen=True)
class Scene:
    """A workload's Pods, what their containers printed before and now, and the events about them."""

    pods: list[Object]
    log: str
    events: list[str]


def look(ctx: Context) -> Scene:
    pods = ctx.pods_of(ctx.need("deployments", API))
    names = {pod["metadata"]["name"] for pod in pods}
    log = "\n".join(ctx.api.log(pod, SERVER, previous=previous) for pod in pods for previous in (True, False))
    return Scene(pods, log, [each.get("message", "") for each in ctx.events if each["involvedObject"].get("name") in names])


def endings(now: Scene) -> dict[str, Seen]:
    """The causes for which Pods and containers of the server ended, and how each of them ended."""
    found = {}
    for pod in now.pods:
        if pod.get("status", {}).get("reason") == "Evicted":
            found["evicted"] = see(pod, "status", pod["status"].get("message", "Evicted"))
        for each in observe.endings(pod):
            if each.container == SERVER:
                found[_why(now, each)] = see(pod, "lastState", each.told)
    return found


def _why(now: Scene, ending: Ending) -> str:
    """The cause of one ending; empty for one that is no fault."""
    if ending.reason == "OOMKilled":
        return "memory-limit"
    if ending.code and _CUDA.search(now.log):
        return "gpu-memory"
    if any("failed liveness probe" in each for each in now.events):
        return "killed-by-liveness"
    return "program-error" if ending.code else ""


def rule(cause: str) -> Callable[[Scene], Finding]:
    """Whether something of the server ended for this cause."""

    def holds(now: Scene) -> Finding:
        seen = endings(now)
        mine = seen.get(cause) or next(iter(seen.values()), None)
        return Finding(
            cause in seen, f"it ended so: {mine.value}" if mine else "no container of the server has ended", (mine,) if mine else ()
        )

    return holds


ENGINE = Engine(
    lab="05-oom",
    look=look,
    parts=lambda _now: {"workload": [API]},
    rules={cause: rule(cause) for cause in ("memory-limit", "gpu-memory", "program-error", "killed-by-liveness", "evicted")},
)
