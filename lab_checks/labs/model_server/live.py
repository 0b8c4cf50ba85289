"""Lab 02-model-server: the server that runs: what it says of itself on /metrics, and why it runs where it does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, said, words
from lab_checks.labs.model_server.written import API, MIB, PORT, quantity

# A limit, in peaks.
HEADROOM, MOST_HEADROOM = 1.2, 3.0


@dataclass(frozen=True)
class Said:
    """One Pod's /metrics: peak memory in MiB, the device, summaries answered well, and lines by kind."""

    peak_mib: float
    device: str
    summaries: int
    lines: dict[str, int] = field(default_factory=dict)


def read_metrics(page: str) -> Said:
    """What a model server's page of metrics says."""
    device = next((labels.get("device", "") for labels, _value in said.samples(page, "model_info")), "")
    lines = {labels.get("kind", ""): int(value) for labels, value in said.samples(page, "model_lines_total")}
    return Said(said.peak_mib(page), device, int(said.total(page, "model_requests_total", kind="summarize", code="200")), lines)


def fits(ctx: Context, deployment: Object, pod: Object) -> Said:
    """Request and limit against what the server really took; not yet while it says nothing."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:{PORT}", ctx.namespace, "metrics")
    if not text:
        raise words.wait(ctx, "no-metrics-yet", see(pod, "GET :8080/metrics", "no answer"))
    found, spec = read_metrics(text), deployment["spec"]["template"]["spec"]
    request, limit = asked(spec, "memory"), asked(spec, "memory", "limits")
    peak = see(pod, "process_peak_resident_memory_bytes", f"{found.peak_mib:.0f}Mi")
    if float(request) < found.peak_mib * MIB:
        raise words.fail(ctx, "request-below-use", see(deployment, "resources.requests[memory]", quantity("memory", request)), peak)
    if float(limit) < found.peak_mib * MIB * HEADROOM:
        seen = see(deployment, "resources.limits[memory]", quantity("memory", limit))
        raise words.fail(ctx, "no-headroom", seen, peak, headroom=HEADROOM)
    return found


def _waits_for_its_turn(ctx: Context, deployment: Object) -> None:
    """Not yet where a new Pod has no node so far, and an older one is on its way out or is the next to go."""
    new = ctx.pods_of(deployment)
    pending = [pod for pod in new if observe.is_pending_for_a_node(pod)]
    older = _older(ctx, new)
    going = [pod for pod in older if "deletionTimestamp" in pod["metadata"] or lets_go_first(deployment)]
    if pending and (going or (lets_go_first(deployment) and not older and _has_room(ctx, pending[0]))):
        raise words.wait(ctx, "waits-for-its-gpu", see(pending[0], "status.phase", "Pending"))


def _older(ctx: Context, new: list[Object]) -> list[Object]:
    """The API's Pods that are not of the newest revision."""
    uids = {pod["metadata"]["uid"] for pod in new}
    return [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == API and pod["metadata"]["uid"] not in uids]


def _has_room(ctx: Context, pod: Object) -> bool:
    """Whether a node has a free GPU for this Pod by now, so that the scheduler's word is about to change."""
    return any(placement.admits(pod["spec"], node) and placement.left(node, ctx.all_pods, GPU) >= 1 for node in ctx.nodes)


def lets_go_first(deployment: Object) -> bool:
    """Whether the strategy ends the old Pod before it makes the new one, so that no GPU is needed twice."""
    strategy = deployment["spec"].get("strategy") or {}
    return strategy.get("type") == "Recreate" or surge(strategy, deployment["spec"].get("replicas", 1)) == 0


def surge(strategy: Object, replicas: int) -> int:
    """How many Pods more than `replicas` a rollout may make; a share is rounded up."""
    value = str((strategy.get("rollingUpdate") or {}).get("maxSurge", "25%"))
    return math.ceil(replicas * float(value[:-1]) / 100) if value.endswith("%") else int(value)


def on_gpu(ctx: Context, deployment: Object) -> tuple[Object, Said]:
    """The one Pod, made from the template, Ready on a GPU node for a reason that holds tomorrow, with the device in it; and what its server says."""
    _waits_for_its_turn(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    guards.holds_gpus(ctx, pod)
    guards.would_be_placed_again(ctx, pod)
    found = fits(ctx, deployment, pod)
    if not found.device.startswith("cuda"):
        raise words.fail(ctx, "on-the-cpu", see(pod, "model_info device", found.device))
    return pod, found


def behind_its_service(ctx: Context, deployment: Object) -> tuple[Object, Said]:
    """As `on_gpu`; no Pod of an older revision is left but those on their way out, and the Service lists the one."""
    pod, found = on_gpu(ctx, deployment)
    for older in _older(ctx, ctx.pods_of(deployment)):
        if "deletionTimestamp" not in older["metadata"]:
            raise words.wait(ctx, "older-revision", see(older, "status.phase", older.get("status", {}).get("phase", "")))
    guards.listed_behind_service(ctx, API, [pod])
    return pod, found


def seen_of(pod: Object, found: Said) -> tuple[Seen, ...]:
    return (
        see(pod, "spec.nodeName", pod["spec"]["nodeName"]),
        see(pod, "model_info device", found.device),
        see(pod, "peak memory", f"{found.peak_mib:.0f}Mi"),
        see(pod, "limits[memory]", observe.container(pod["spec"], "model-server")["resources"]["limits"]["memory"]),
    )
