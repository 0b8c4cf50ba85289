"""Lab 06-observe: what a server is full of. Five resources, each as a share of what there is: queue, CPU, memory, GPU, the GPU's memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import asked, see
from lab_checks.engine.verdict import Seen, wait
from lab_checks.judging import answers, guards
from lab_checks.judging.sheet import Blank

RESOURCES = ("queue", "cpu", "memory", "gpu", "gpu memory")
# What people call them as well.
_CALLED = {
    "gpu-memory": "gpu memory",
    "fb": "gpu memory",
    "vram": "gpu memory",
    "framebuffer": "gpu memory",
    "ram": "memory",
    "processor": "cpu",
}
# Percent by which two looks at a busy server may differ: what is loaded stays, what works and waits moves.
_NEAR = {"queue": 15.0, "cpu": 15.0, "memory": 6.0, "gpu": 10.0, "gpu memory": 4.0}


@dataclass(frozen=True)
class Use:
    """How full each resource of a server is, in percent; what it does not have is left out."""

    server: str
    percent: dict[str, float]

    @property
    def fullest(self) -> str:
        return max(self.percent, key=lambda each: self.percent[each])


def measure(ctx: Context, deployment: Object) -> Use:
    """How full a server is by what was scraped of it; not yet while something is missing."""
    name = deployment["metadata"]["name"]
    spec = deployment["spec"]["template"]["spec"]
    most_waiting = float(guards.variables(guards.server_container(deployment))["MAX_QUEUE"]["value"])
    held = f'{{exported_namespace="{ctx.namespace}",exported_pod=~"{name}-.+"}}'
    asked_for = {
        "queue": (f'avg_over_time(model_queue_depth{{job="{name}"}}[20s])', most_waiting),
        "cpu": (f'rate(process_cpu_seconds_total{{job="{name}"}}[30s])', float(asked(spec, "cpu", "limits"))),
        "memory": (f'process_resident_memory_bytes{{job="{name}"}}', float(asked(spec, "memory", "limits"))),
    }
    if asked(spec, observe.GPU):
        asked_for["gpu"] = (f"avg_over_time(DCGM_FI_DEV_GPU_UTIL{held}[20s])", 100.0)
        asked_for["gpu memory"] = (
            f"DCGM_FI_DEV_FB_USED{held} / ignoring (__name__) (DCGM_FI_DEV_FB_USED{held} + DCGM_FI_DEV_FB_FREE{held})",
            1.0,
        )
    percent = {}
    for resource, (promql, whole) in asked_for.items():
        found = ctx.query(promql)
        if not found:
            raise wait(f"the {resource} of {name} has not been scraped yet", Seen("monitoring", promql, "no series"))
        percent[resource] = 100 * found[0].value / whole
    return Use(name, percent)


def blank(use: Use) -> Blank:
    """The blank of a server: which resource is the fullest, and how full it is."""

    def right(said: tuple[str, float]) -> bool:
        return said[0] == use.fullest and abs(said[1] - use.percent[use.fullest]) <= _NEAR[use.fullest]

    def told(said: tuple[str, float]) -> str:
        if said[0] not in use.percent:
            return f"{use.server} holds no GPU"
        if said[0] != use.fullest:
            return f"its {said[0]} is at {use.percent[said[0]]:.0f} %, and something else is fuller"
        return f"it is the {said[0]}, and not at {said[1]:.0f} % of what there is"

    return Blank(
        use.server, read, right, f"what is the fullest of {', '.join(RESOURCES)}, and how full in percent, such as \"cpu 40 %\"",
        f"lab.query(…) for each of them, with job=\"{use.server}\" or exported_pod=~\"{use.server}-.+\"", told,
        "one of queue, cpu, memory, gpu and gpu memory is asked for, and a percentage",
    )  # fmt: skip


def read(said: object) -> tuple[str, float] | None:
    """`memory 92 %`, ("memory", 92), `gpu memory: 0.92`."""
    text = " ".join(map(str, said)) if isinstance(said, list | tuple) else str(said)
    number = re.search(r"\d+(?:\.\d+)?\s*%?", text)
    if not number:
        return None
    percent = answers.percent(number[0])
    words = re.sub(r"[^a-z-]+", " ", text.replace(number[0], " ").lower()).split()
    said_of = " ".join(
        _CALLED.get(each, each) for each in words if each not in ("is", "at", "the", "of", "percent", "its", "full", "busy", "used")
    )
    resource = answers.choice(said_of, RESOURCES)
    return (resource, percent) if resource and percent is not None else None


def facts(uses: list[Use], deployments: list[Object]) -> tuple[Seen, ...]:
    return tuple(see(each, use.fullest, f"{use.percent[use.fullest]:.0f} %") for use, each in zip(uses, deployments, strict=True))
