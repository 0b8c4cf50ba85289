"""Workloads: the same objects, as many, asking for as much, and running."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging.guards.stray_pods import nothing_beside


def pods_kept_running(ctx: Context, name: str, why: str) -> None:
    """Every Pod of somebody else's Deployment is the same one as at the start, and runs."""
    before = ctx.baseline["pods"][ctx.namespace]
    now = {pod["metadata"]["uid"]: pod for pod in ctx.pods}
    if ctx.get("deployments", name) is None:
        raise fail(
            f"deployment {name} was deleted", Seen(f"deployment/{name}", "", "not found"), expected=f"it goes on: {why}",
            next=f"ai-lab reset {ctx.exercise.key}",
        )  # fmt: skip
    for pod_name, row in before.items():
        if not row["owner"].startswith(f"{name}-"):
            continue
        pod = now.get(row["uid"])
        if pod is None or "deletionTimestamp" in pod["metadata"] or not observe.is_ready(pod):
            raise fail(
                f"the Pod of {name} was stopped",
                Seen(f"pod/{pod_name}", "status.phase", "gone" if pod is None else pod.get("status", {}).get("phase", "")),
                expected=f"it goes on: {why}",
                next=f"ai-lab reset {ctx.exercise.key}; who else holds a GPU, and does that one need it?",
            )


# Seconds that a container runs before its last ending, which was not its own fault, is let be.
_SETTLED = 5.0


def running_and_ready(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's Pods, as many as asked, all Ready, and none of an older revision left; ends the check with why not."""
    name = deployment["metadata"]["name"]
    pods = ctx.pods_of(deployment)
    wanted = deployment["spec"].get("replicas", 1)
    if not wanted:
        raise fail(
            f"deployment {name} was scaled to 0: nothing of it runs",
            see(deployment, "spec.replicas", 0),
            expected="a Pod that runs",
            next=f"kubectl -n {ctx.namespace} scale deployment/{name} --replicas=1",
        )
    # A container reads ConfigMaps and Secrets when it starts: what ended before the learner put one right is past.
    changed = max((deed.at for deed in ctx.deeds.changes("configmaps", "secrets")), default=0.0)
    for pod in pods:
        if observe.is_pending_for_a_node(pod):
            line, _ = ctx.why_pending(pod)
            if going := [each for each in ctx.all_pods if "deletionTimestamp" in each["metadata"]]:
                raise wait(
                    f"a Pod of {name} is Pending, and another Pod is on its way out",
                    see(going[0], "metadata.deletionTimestamp", going[0]["metadata"]["deletionTimestamp"]),
                )
            if line:
                raise fail(
                    f"a Pod of {name} is still Pending",
                    see(pod, "PodScheduled", line),
                    expected="a node that takes it",
                    next=f"kubectl -n {ctx.namespace} describe pod -l {_selector(deployment)}",
                )
            raise wait(f"a Pod of {name} waits for the scheduler", see(pod, "status.phase", "Pending"))
        for ending in observe.endings(pod):
            if since := observe.restarted_by_itself(pod, ending.container, changed):
                if ctx.now - since < _SETTLED:
                    raise wait(
                        f"a container of {name} has just started again",
                        see(pod, "containerStatuses", f"running for {ctx.now - since:.0f} s"),
                    )
                continue
            if observe.will_read_it_anew(pod, ending.container, changed):
                raise wait(
                    f"a container of {name} ended before it could read the latest change, and has not started again yet",
                    see(pod, f"containerStatuses[{ending.container}]", ending.told),
                    next=f"wait for its next start, or kubectl -n {ctx.namespace} rollout restart deployment/{name}",
                )
            if ending.reason not in ("Completed",):
                raise fail(
                    f"a container of {name} ended: {ending.reason or 'Error'}, exit code {ending.code}",
                    see(pod, f"containerStatuses[{ending.container}]", ending.told),
                    expected="a container that keeps running",
                    next=f"kubectl -n {ctx.namespace} logs deployment/{name} --previous",
                )
    ready = [pod for pod in pods if observe.is_ready(pod) and pod["spec"].get("nodeName")]
    if not pods and wanted and (refused := observe.condition(deployment, "ReplicaFailure")):
        raise wait(
            f"there is no Pod of {name}: admission refuses it",
            see(deployment, "ReplicaFailure", refused.get("message", "")),
            expected="a template that admission lets through",
            next=f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp",
        )
    if len(ready) < wanted or len(pods) > wanted:
        raise wait(
            f"{len(ready)} of {wanted} Pods of {name} are Ready",
            *_waiting(pods),
            see(deployment, "status.readyReplicas", deployment.get("status", {}).get("readyReplicas", 0)),
            next=f"kubectl -n {ctx.namespace} get pods -l {_selector(deployment)}",
        )
    for pod in ready:
        nothing_beside(pod)
    return ready


def _waiting(pods: list[Object]) -> list[Seen]:
    """What the kubelet says of containers that do not run: a wrong image, a missing ConfigMap."""
    return [
        see(pod, f"containerStatuses[{each['name']}].state.waiting", f"{reason['reason']} {reason.get('message', '')}".strip())
        for pod in pods
        for each in pod.get("status", {}).get("containerStatuses") or []
        if (reason := each.get("state", {}).get("waiting") or {}).get("reason") not in (None, "ContainerCreating", "PodInitializing")
    ]


def _selector(deployment: Object) -> str:
    return ",".join(f"{key}={value}" for key, value in (deployment["spec"]["selector"].get("matchLabels") or {}).items())


def holds_gpus(ctx: Context, pod: Object, count: int = 1) -> None:
    """The Pod asks for `count` GPUs and runs on a node whose kubelet has as many."""
    have = int(asked(pod["spec"], GPU, "limits"))
    if have < count:
        raise fail(
            f"{named(pod)} runs without a GPU" if have == 0 else f"{named(pod)} has {have} GPU, {count} are needed",
            see(pod, f"limits[{GPU}]", have),
            expected=f"a limit of {count} {GPU}: without one the server starts on the CPU, if it starts at all",
            next="the limit is what asks for a device",
        )
    node = ctx.node(pod["spec"]["nodeName"])
    if node.allocatable < count:
        raise fail(
            f"{node.name} has no GPU to give", Seen(f"node/{node.name}", f"allocatable[{GPU}]", str(node.allocatable)),
            next=f"kubectl describe node {node.name}",
        )  # fmt: skip
