"""Pods by themselves: started by the scheduler's choice, the same ones as at the start, and no others that hold a GPU."""

from __future__ import annotations

from datetime import UTC, datetime

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.registry import everywhere
from lab_checks.engine.verdict import Seen, Stop, Verdict, fail, wait
from lab_checks.judging.guards.scheduling import would_be_placed_again

_CANNOT_START = ("ErrImage", "ImagePull", "InvalidImage", "CreateContainer", "RunContainer")


def pod_started(ctx: Context, pod: Object) -> None:
    """The scheduler gave the Pod a node, its containers were started, and none ended badly; ends the check with what keeps it."""
    look = f"kubectl -n {ctx.namespace} describe pod {pod['metadata']['name']}"
    status = pod.get("status", {})
    if observe.is_pending_for_a_node(pod):
        line, _reasons = ctx.why_pending(pod)
        if not line:
            raise wait("the Pod waits for the scheduler", see(pod, "status.phase", "Pending"))
        raise fail("the Pod is Pending", see(pod, "PodScheduled", line), expected="a node that takes it", next=look)
    mine = [each for each in ctx.events if each["involvedObject"].get("uid") == pod["metadata"]["uid"]]
    if mine and not any(each["reason"] == "Scheduled" for each in mine):
        raise fail(
            "the Pod was put on its node by name",
            see(pod, "spec.nodeName", pod["spec"]["nodeName"]),
            expected="the scheduler's choice: nodeName goes around it, and around what is free on the node",
            next="remove nodeName, and tolerate the taint",
        )
    would_be_placed_again(ctx, pod)
    for ending in observe.endings(pod):
        if ending.code:
            raise fail(
                f"the container ended with exit code {ending.code}",
                see(pod, f"containerStatuses[{ending.container}]", f"{ending.reason}, exit code {ending.code}"),
                expected="a program that ends with 0",
                next=f"kubectl -n {ctx.namespace} logs {pod['metadata']['name']}",
            )
    if status.get("phase") == "Failed":
        said = status.get("message") or status.get("reason", "")
        raise fail("the Pod failed before its container ran", see(pod, "status", said), expected="a Pod that its node admits", next=look)
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        reason = each.get("state", {}).get("waiting", {}).get("reason", "")
        if reason.startswith(_CANNOT_START):
            raise fail(f"the container cannot start: {reason}", see(pod, f"containerStatuses[{each['name']}]", reason), next=look)
    if status.get("phase") not in ("Running", "Succeeded"):
        raise wait("the Pod has a node, and its container starts", see(pod, "status.phase", status.get("phase", "")))


# How a verdict begins on what was timed before a stop of the nodes.
STOPPED = "the nodes were stopped since"


def timed_before_a_stop(pods: list[Object], again: str, container: str = "model-server") -> None:
    """The Pods' own times are those of their first start; not yet where their node was stopped since: each container starts anew then, and the
    times of before are no longer told. `again` is the command that measures anew.
    """
    for pod in pods:
        if since := observe.restarted_by_itself(pod, container, 0):
            raise wait(
                f"{STOPPED} {pod['metadata']['name']} started: how long it took is no longer told",
                see(pod, f"containerStatuses[{container}]", f"started again at {datetime.fromtimestamp(since, UTC):%H:%M:%S} UTC"),
                expected="a start that was measured while the nodes ran",
                next=again,
            )


def no_other_holds_a_gpu(ctx: Context, pod: Object) -> None:
    """No Pod that came since the start, in whatever namespace, asks for a GPU beside this one."""
    there = {row["uid"] for rows in ctx.baseline["pods"].values() for row in rows.values()} | {pod["metadata"]["uid"]}
    for other in ctx.all_pods:
        over = "deletionTimestamp" in other["metadata"] or other.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if other["metadata"]["uid"] not in there and not over and asked(other["spec"], GPU):
            raise fail(
                f"another Pod asks for GPUs as well: {other['metadata']['name']}",
                see(other, f"limits[{GPU}]", int(asked(other["spec"], GPU))),
                expected="one Pod with one GPU: what is held and not used nobody else gets",
                next=f"kubectl -n {other['metadata']['namespace']} delete pod {other['metadata']['name']}",
            )


def plugin_not_restarted(ctx: Context) -> None:
    """The device plugin's Pods are the ones of the start."""
    now = {pod["metadata"]["uid"] for pod in ctx.all_pods if "deletionTimestamp" not in pod["metadata"]}
    plugins = {each["metadata"]["name"] for each in ctx.api.list("daemonsets", "kube-system") if observe.is_plugin(each)}
    for name, row in ctx.baseline["pods"].get("kube-system", {}).items():
        if row["owner"] in plugins and row["uid"] not in now:
            raise fail(
                f"the device plugin on {row['node']} was restarted",
                Seen(f"pod/{name}", "", "gone"),
                expected="the plugin as it was: it only reports what the driver says, and a restart takes its log away",
                next=f"ai-lab reset {ctx.exercise.key}; read the plugin's log before anything else",
            )


@everywhere
def plugin_stayed(ctx: Context) -> Verdict | None:
    """The failed verdict where the device plugin was restarted in an exercise that allows nothing of it: while it is away its node offers no GPU."""
    if any(each.startswith("daemonsets/kube-system/") for each in ctx.exercise.allow) or not ctx.baseline.get("pods"):
        return None
    try:
        plugin_not_restarted(ctx)
    except Stop as stop:
        return stop.verdict
    return None
