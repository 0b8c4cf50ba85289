"""Guards against fixes that make the symptom go away and leave the cluster worse: each ends the check with words of its own.

A check calls the guards that its goal needs; a guard that finds nothing says nothing.
"""

from __future__ import annotations

from typing import Any

from lab_checks import observe
from lab_checks.baseline import TRUTHS, node_rules
from lab_checks.context import Context
from lab_checks.observe import GPU, amount, asked, named, see
from lab_checks.verdict import Seen, fail, wait

Object = dict[str, Any]


def nodes_untouched(ctx: Context, *, except_faults: bool = False) -> None:
    """Taints, truthful labels and cordons of all nodes are as they were."""
    now = {node["metadata"]["name"]: node for node in ctx.nodes}
    for name, before in ctx.baseline["nodes"].items():
        if name not in now:
            raise fail(
                f"node {name} is gone",
                Seen(f"node/{name}", "", "not found"),
                expected="all nodes still there",
                next="a node that was deleted comes back when its kubelet registers again: ask an operator, or start the lab over",
            )
        rules = node_rules(now[name])
        if gone := [taint for taint in before["taints"] if taint not in rules["taints"]]:
            text = ", ".join(_taint(each) for each in gone)
            raise fail(
                f"the taint on {name} was removed",
                see(now[name], "spec.taints", f"{text} is missing"),
                expected="the node keeps its taint: it keeps everything that needs no GPU off a node that costs a hundred times as much",
                next=f"put it back (kubectl taint nodes {name} {_taint(gone[0])}) and let the Pod tolerate it",
            )
        if added := [taint for taint in rules["taints"] if taint not in before["taints"]]:
            raise fail(
                f"{name} has a taint that it had not",
                see(now[name], "spec.taints", ", ".join(_taint(each) for each in added)),
                expected="nodes as they were",
                next=f"kubectl taint nodes {name} {added[0]['key']}-",
            )
        for key in sorted(before["labels"].keys() | rules["labels"].keys()):
            if key.startswith(TRUTHS) and before["labels"].get(key) != rules["labels"].get(key):
                raise fail(
                    f"the label {key} of {name} no longer tells the truth",
                    see(now[name], f"metadata.labels[{key}]", f"{rules['labels'].get(key)}, was {before['labels'].get(key)}"),
                    expected="a label describes the hardware; changing the label changes no hardware",
                    next=f"set it back to {before['labels'].get(key)} and change what the Pod asks for",
                )
        if rules["unschedulable"] != before["unschedulable"]:
            word = "cordoned" if rules["unschedulable"] else "uncordoned"
            raise fail(
                f"{name} was {word}", see(now[name], "spec.unschedulable", rules["unschedulable"]), expected="nodes as they were",
                next=f"kubectl {'uncordon' if rules['unschedulable'] else 'cordon'} {name}",
            )  # fmt: skip
        if not except_faults and rules["faults"] != before["faults"]:
            raise fail(f"the device faults on {name} were edited by hand", see(now[name], "metadata.annotations", rules["faults"]))


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


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
                if "spec" in row and kind in ("resourcequotas", "limitranges") and now[name]["spec"] != row["spec"]:
                    raise fail(
                        f"{kind.removesuffix('s')} {name} was changed",
                        see(now[name], "spec", now[name]["spec"]),
                        expected="the bounds that the platform team set, as they were",
                        next=f"ai-lab reset {ctx.exercise.key}, and ask for less instead of allowing more",
                    )


def requests_kept(ctx: Context, deployment: Object, resource: str, at_least: str = "") -> None:
    """The Deployment still asks for as much of `resource` as at the start, or for `at_least` where the exercise lets it ask for less."""
    name = deployment["metadata"]["name"]
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(name, {}).get("template", {})
    wanted = amount(at_least) if at_least else asked(before, resource)
    have = asked(deployment["spec"]["template"]["spec"], resource)
    if have < wanted:
        what = "no longer asks for" if have == 0 else "asks for too little"
        raise fail(
            f"deployment {name} {what} {resource}",
            see(deployment, f"resources {resource}", f"{have}, wants at least {wanted}"),
            expected="a workload that says what it needs: without a request the scheduler packs it where it will starve or be killed",
            next="size the request from what the server really uses, and do not drop it",
        )


def tolerates_narrowly(pod_spec: Object, owner: Object) -> None:
    """No toleration swallows every taint; a toleration names its key."""
    for each in pod_spec.get("tolerations") or []:
        if not each.get("key") and each.get("operator") == "Exists":
            raise fail(
                f"{named(owner)} tolerates every taint there is",
                see(owner, "tolerations", "operator: Exists without a key"),
                expected="a toleration for the key nvidia.com/gpu: with all of them the Pod also stays on nodes that are being drained or are broken",
                next="name the key, and the effect: {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}",
            )


def scheduled_by_the_scheduler(pod: Object) -> None:
    """The Pod was placed by the scheduler: nodeName in its template goes around it, and around what is free on the node."""
    if pod["spec"].get("nodeName") and not observe.scheduled_condition(pod):
        raise fail(
            f"{named(pod)} was put on its node by name", see(pod, "spec.nodeName", pod["spec"]["nodeName"]),
            expected="a Pod that the scheduler placed, because then it knows what the node has left", next="remove nodeName from the template",
        )  # fmt: skip


def template_has_no_node_name(deployment: Object) -> None:
    pinned = deployment["spec"]["template"]["spec"].get("nodeName")
    if pinned:
        raise fail(
            f"{named(deployment)} names its node",
            see(deployment, "spec.template.spec.nodeName", pinned),
            expected="the scheduler chooses: nodeName goes around it, and around what is free on the node",
            next="remove nodeName and let requests, tolerations and selectors say what the Pod needs",
        )


def not_privileged(pod_spec: Object, owner: Object) -> None:
    for each in pod_spec.get("containers") or []:
        if (each.get("securityContext") or {}).get("privileged"):
            raise fail(
                f"{named(owner)} runs privileged",
                see(owner, f"containers[{each['name']}].securityContext.privileged", "true"),
                expected="an unprivileged container: privileged opens the whole node, its devices included, to whoever gets into the model server",
                next="remove it; the device plugin hands the container its GPU",
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


def running_and_ready(ctx: Context, deployment: Object) -> list[Object]:
    """The Deployment's Pods, as many as asked, all Ready, and none of an older revision left; ends the check with why not."""
    name = deployment["metadata"]["name"]
    pods = ctx.pods_of(deployment)
    wanted = deployment["spec"].get("replicas", 1)
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
    ready = [pod for pod in pods if observe.is_ready(pod)]
    if len(ready) < wanted or len(pods) > wanted:
        raise wait(
            f"{len(ready)} of {wanted} Pods of {name} are Ready",
            see(deployment, "status.readyReplicas", deployment.get("status", {}).get("readyReplicas", 0)),
            next=f"kubectl -n {ctx.namespace} get pods -l {_selector(deployment)}",
        )
    return ready


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
