"""Lab 02-model-server: the server that runs: what it says of itself on /metrics, and why it runs where it does."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import guards
from lab_checks.labs.model_server.guards import API, HEADROOM, MIB, PORT, quantity

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([\d.eE+-]+)$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Said:
    """One Pod's /metrics: peak memory in MiB, the device, summaries answered well, and lines by kind."""

    peak_mib: float
    device: str
    summaries: int
    lines: dict[str, int] = field(default_factory=dict)


def read_metrics(text: str) -> Said:
    peak, device, summaries, lines = 0.0, "", 0, {}
    for name, labels_text, value in _SAMPLE.findall(text):
        labels = dict(_LABEL.findall(labels_text))
        if name == "process_peak_resident_memory_bytes":
            peak = float(value) / MIB
        elif name == "model_info":
            device = labels.get("device", "")
        elif name == "model_requests_total" and labels.get("kind") == "summarize" and labels.get("code") == "200":
            summaries = int(float(value))
        elif name == "model_lines_total":
            lines[labels.get("kind", "")] = int(float(value))
    return Said(peak, device, summaries, lines)


def said(ctx: Context, pod: Object) -> Said:
    """What the Pod's server says; not yet while it says nothing."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:{PORT}", ctx.namespace, "metrics")
    if not text:
        raise wait(
            "the server does not answer on /metrics yet",
            see(pod, "GET :8080/metrics", "no answer"),
            next=f"kubectl -n {ctx.namespace} get pods",
        )
    return read_metrics(text)


def fits(ctx: Context, deployment: Object, pod: Object) -> Said:
    """Request and limit against what the server really took."""
    found = said(ctx, pod)
    spec = deployment["spec"]["template"]["spec"]
    request, limit = asked(spec, "memory"), asked(spec, "memory", "limits")
    peak = see(pod, "process_peak_resident_memory_bytes", f"{found.peak_mib:.0f}Mi")
    if float(request) < found.peak_mib * MIB:
        raise fail(
            "the memory request is below what the server uses",
            see(deployment, "resources.requests[memory]", quantity("memory", request)),
            peak,
            expected="a request of at least that: a Pod above its request is the first to be evicted when the node is short",
            next="size it from peak_mib in the log",
        )
    if float(limit) < found.peak_mib * MIB * HEADROOM:
        raise fail(
            "the memory limit leaves no headroom",
            see(deployment, "resources.limits[memory]", quantity("memory", limit)),
            peak,
            expected=f"at least {HEADROOM:g} times the peak: requests in flight take memory too, and one page above the limit is OOMKilled",
            next="raise the limit",
        )
    return found


def _waits_for_its_turn(ctx: Context, deployment: Object) -> None:
    """Not yet where a new Pod has no node so far, and an older one is on its way out or is the next to go."""
    new = ctx.pods_of(deployment)
    pending = [pod for pod in new if observe.is_pending_for_a_node(pod)]
    names = {pod["metadata"]["name"] for pod in new}
    older = [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("app") == API and pod["metadata"]["name"] not in names]
    going = [pod for pod in older if "deletionTimestamp" in pod["metadata"] or lets_go_first(deployment)]
    if pending and (going or (lets_go_first(deployment) and not older and _has_room(ctx, pending[0]))):
        raise wait(
            "the new Pod waits until the old one has let go of its GPU",
            see(pending[0], "status.phase", "Pending"),
            next=f"kubectl -n {ctx.namespace} rollout status deployment/{API}",
        )


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
    """The one Pod, Ready on a GPU node for a reason that holds tomorrow, with the device in its container; and what its server says."""
    _waits_for_its_turn(ctx, deployment)
    pods = guards.running_and_ready(ctx, deployment)
    pod = pods[0]
    guards.holds_gpus(ctx, pod)
    guards.would_be_placed_again(ctx, pod)
    found = fits(ctx, deployment, pod)
    if not found.device.startswith("cuda"):
        raise fail(
            "the server holds a GPU and runs on the CPU",
            see(pod, "model_info device", found.device or "<none>"),
            expected="cuda:0",
            next=f"kubectl -n {ctx.namespace} logs deployment/{API} | grep -i device",
        )
    return pod, found


def rolled_out(ctx: Context, deployment: Object) -> None:
    """No Pod of an older revision is left; those on their way out do not count."""
    new = {pod["metadata"]["uid"] for pod in ctx.pods_of(deployment)}
    for pod in ctx.pods:
        labels = pod["metadata"].get("labels") or {}
        if labels.get("app") == API and pod["metadata"]["uid"] not in new and "deletionTimestamp" not in pod["metadata"]:
            raise wait(
                "a Pod of an older revision is still there",
                see(pod, "status.phase", pod.get("status", {}).get("phase", "")),
                next=f"kubectl -n {ctx.namespace} rollout status deployment/{API}",
            )


def seen_of(pod: Object, found: Said) -> tuple[Seen, ...]:
    return (
        see(pod, "spec.nodeName", pod["spec"]["nodeName"]),
        see(pod, "model_info device", found.device),
        see(pod, "peak memory", f"{found.peak_mib:.0f}Mi"),
        see(pod, "limits[memory]", observe.container(pod["spec"], "model-server")["resources"]["limits"]["memory"]),
    )
