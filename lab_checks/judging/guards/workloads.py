"""Workloads: the same objects, as many, asking for as much, and running."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen, fail, wait


def same_object(ctx: Context, kind: str, name: str) -> Object:
    """The object that the exercise laid, and not one that was deleted and made again: returns it."""
    found = ctx.need(kind, name)
    before = ctx.baseline["namespaces"][ctx.namespace][kind].get(name)
    if before is not None and found["metadata"]["uid"] != before["uid"]:
        raise fail(
            f"{kind.removesuffix('s')} {name} was deleted and made again",
            see(found, "metadata.uid", f"{found['metadata']['uid']}, was {before['uid']}"),
            expected="the same object, changed: deleting throws away its history, and the next one starts with the same mistake",
            next=f"ai-lab reset {ctx.exercise.key}, then change it in place: kubectl edit, patch, set or apply",
        )
    return found


def others_untouched(ctx: Context, *allowed: str) -> None:
    """No workload, quota, limit range or Service was deleted or scaled but those that are named (`deployments/api`)."""
    for namespace, before in ctx.baseline["namespaces"].items():
        for kind, rows in before.items():
            if kind == "pods" or not rows:
                continue
            now = {each["metadata"]["name"]: each for each in ctx.api.list(kind, namespace)}
            for name, row in rows.items():
                if f"{kind}/{name}" in allowed:
                    continue
                if name not in now or now[name]["metadata"]["uid"] != row["uid"]:
                    raise fail(
                        f"{kind.removesuffix('s')} {name} was deleted",
                        Seen(f"{kind.removesuffix('s')}/{name}", "", f"no longer in namespace {namespace}"),
                        expected="what belongs to others, and what keeps the cluster in its bounds, is still there",
                        next=f"ai-lab reset {ctx.exercise.key} brings it back",
                    )
                replicas = now[name]["spec"].get("replicas")
                if "replicas" in row and replicas != row["replicas"]:
                    raise fail(
                        f"{kind.removesuffix('s')} {name} was scaled",
                        see(now[name], "spec.replicas", f"{replicas}, was {row['replicas']}"),
                        expected="other workloads as they were",
                        next=f"kubectl -n {namespace} scale {kind.removesuffix('s')}/{name} --replicas={row['replicas']}",
                    )
                template = (now[name]["spec"].get("template") or {}).get("spec") or {}
                if "template" in row and template != row["template"]:
                    changed = sorted(key for key in {*template, *row["template"]} if template.get(key) != row["template"].get(key))
                    raise fail(
                        f"{kind.removesuffix('s')} {name} was changed",
                        see(now[name], "spec.template.spec", ", ".join(changed)),
                        expected="other workloads as they were: they did not keep this Pod off the nodes, or they are not yours to change",
                        next=f"kubectl -n {namespace} rollout undo {kind.removesuffix('s')}/{name}, or ai-lab reset {ctx.exercise.key}",
                    )
                if "spec" in row and kind in ("resourcequotas", "limitranges") and now[name]["spec"] != row["spec"]:
                    raise fail(
                        f"{kind.removesuffix('s')} {name} was changed",
                        see(now[name], "spec", now[name]["spec"]),
                        expected="the bounds that the platform team set, as they were",
                        next=f"ai-lab reset {ctx.exercise.key}, and ask for less instead of allowing more",
                    )


def replicas_kept(ctx: Context, deployment: Object) -> None:
    name = deployment["metadata"]["name"]
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(name, {}).get("replicas")
    now = deployment["spec"].get("replicas", 1)
    if before is not None and now != before:
        raise fail(
            f"deployment {name} was scaled to {now}",
            see(deployment, "spec.replicas", f"{now}, was {before}"),
            expected=f"{before}: more Pods that cannot run are more of the same, and fewer serve nobody",
            next=f"kubectl -n {ctx.namespace} scale deployment/{name} --replicas={before}",
        )


def kept(ctx: Context, name: str, why: str) -> Object:
    """One of our own workloads that may be scaled, but neither deleted nor made again."""
    found = ctx.get("deployments", name)
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(name, {})
    if found is None or (before and found["metadata"]["uid"] != before["uid"]):
        raise fail(
            f"deployment {name} was deleted", Seen(f"deployment/{name}", "", "not found" if found is None else "made again"),
            expected=why, next=f"ai-lab reset {ctx.exercise.key}",
        )  # fmt: skip
    return found


def goes_on(ctx: Context, name: str, why: str) -> None:
    """Every Pod of somebody else's Deployment is the same one as at the start, and runs."""
    before = ctx.baseline["namespaces"][ctx.namespace]
    now = {pod["metadata"]["uid"]: pod for pod in ctx.pods}
    if ctx.get("deployments", name) is None:
        raise fail(
            f"deployment {name} was deleted", Seen(f"deployment/{name}", "", "not found"), expected=f"it goes on: {why}",
            next=f"ai-lab reset {ctx.exercise.key}",
        )  # fmt: skip
    for pod_name, row in before["pods"].items():
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
    # A container reads ConfigMaps and Secrets when it starts: what ended before the learner put one right is past.
    changed = max((deed.at for deed in ctx.deeds.changes("configmaps", "secrets")), default=0.0)
    for pod in pods:
        if observe.is_pending_for_a_node(pod):
            line, _ = ctx.why_pending(pod)
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
            if ending.reason not in ("Completed",):
                raise fail(
                    f"a container of {name} ended: {ending.reason or 'Error'}, exit code {ending.code}",
                    see(
                        pod,
                        f"containerStatuses[{ending.container}]",
                        f"{ending.reason}, exit code {ending.code}, {ending.restarts} restarts",
                    ),
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
