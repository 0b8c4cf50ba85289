"""Lab 03-pending: guards of its own, beside those in `lab_checks.guards`. Each ends the check with the words for one tempting wrong fix."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lab_checks import causes, guards, observe, placement
from lab_checks.context import Context
from lab_checks.observe import GPU, GPU_TAINT, amount, asked, named, see
from lab_checks.verdict import Outcome, Seen, Stop, Verdict, fail, idle, wait

Object = dict[str, Any]

RESTARTED = "kubectl.kubernetes.io/restartedAt"
_SAME = ("image", "command", "args", "env", "envFrom")
_WANTED_PLUGIN = "a device plugin's Pod on every GPU node, by a DaemonSet that tolerates the taint nvidia.com/gpu"
# A scheduler looks again within a second of a change; a busy machine needs a little longer.
_SETTLE_SECONDS = 3.0
_DOORS = ("hostNetwork", "hostPID", "hostIPC")


def _before(ctx: Context, name: str) -> Object:
    row: Object = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(name, {}).get("template", {})
    return row


def node_status_untouched(ctx: Context) -> None:
    """Nobody wrote a node's status: what it has is the kubelet's to say."""
    for deed in ctx.deeds.changes("nodes/status"):
        raise fail(
            f"the status of {deed.name} was written by hand",
            Seen(f"node/{deed.name}", "status", f"{deed.verb} of nodes/status"),
            expected="capacity and allocatable as the kubelet reports them: a number in the status is no device in the machine",
            next=f"ai-lab reset {ctx.exercise.key}; then ask who tells the kubelet about devices",
        )
    for facts in ctx.gpu_facts:
        if facts.allocatable > facts.promised:
            raise fail(
                f"{facts.name} offers more GPUs than it has",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", f"{facts.allocatable}, and {facts.promised} are built in"),
                expected="what the kubelet learned from the device plugin",
                next=f"kubectl describe node {facts.name}",
            )


def tolerates_only_gpus(ctx: Context, owner: Object) -> None:
    """The Pod tolerates no taint of any node but that of the GPU nodes."""
    spec = owner["spec"]["template"]["spec"]
    for node in ctx.nodes:
        for taint in node["spec"].get("taints") or []:
            if taint["key"] != GPU_TAINT and not taint["key"].startswith("node.kubernetes.io/") and placement.tolerates(spec, taint):
                raise fail(
                    f"{named(owner)} tolerates {taint['key']} as well",
                    see(owner, "tolerations", taint["key"]),
                    expected=f"a toleration for {GPU_TAINT} and no other: {node['metadata']['name']} keeps itself free for a reason",
                    next=f"remove the toleration for {taint['key']}",
                )


def same_server(ctx: Context, owner: Object) -> None:
    """The containers run the same image with the same settings and the same readiness probe, and open no door to the node."""
    spec, before = owner["spec"]["template"]["spec"], _before(ctx, owner["metadata"]["name"])
    for key in _DOORS:
        if spec.get(key) and not before.get(key):
            raise fail(f"{named(owner)} uses {key}", see(owner, key, "true"), expected="a Pod with walls of its own", next=f"remove {key}")
    if any(each.get("hostPath") for each in spec.get("volumes") or []) and not any(
        each.get("hostPath") for each in before.get("volumes") or []
    ):
        raise fail(
            f"{named(owner)} mounts a folder of the node",
            see(owner, "volumes", "hostPath"),
            expected="no hostPath: a device reaches a container through the device plugin, not through a folder",
            next="remove the volume",
        )
    if spec.get("schedulerName", "default-scheduler") != before.get("schedulerName", "default-scheduler"):
        raise fail(
            f"{named(owner)} asks for another scheduler", see(owner, "schedulerName", spec["schedulerName"]), next="remove schedulerName"
        )
    for old in before.get("containers") or []:
        new = observe.container(spec, old["name"])
        if not new:
            raise fail(
                f"{named(owner)} has no container {old['name']} any more", see(owner, "containers", [each["name"] for each in spec["containers"]]),
                expected="the same server", next=f"ai-lab reset {ctx.exercise.key}",
            )  # fmt: skip
        for key in _SAME:
            if new.get(key) != old.get(key):
                raise fail(
                    f"{named(owner)} no longer runs what it ran",
                    see(owner, f"containers[{old['name']}].{key}", new.get(key)),
                    expected=f"{key} as it was: the Pod is to be placed, and the program is not what kept it off the nodes",
                    next=f"ai-lab reset {ctx.exercise.key}",
                )
        if asked({"containers": [old]}, GPU) and not asked({"containers": [new]}, GPU):
            raise fail(
                f"container {old['name']} of {named(owner)} no longer asks for {GPU}",
                see(owner, f"containers[{old['name']}].resources.limits", (new.get("resources") or {}).get("limits", {})),
                expected="the GPU in the container that runs the model: a device is given to one container, not to the Pod",
                next="put the limit back where it was",
            )
        if probe_question(old) != probe_question(new):
            raise fail(
                f"the readiness probe of {named(owner)} is {'gone' if not probe_question(new) else 'another'}",
                see(owner, f"containers[{old['name']}].readinessProbe", probe_question(new) or "<none>"),
                expected="the probe that asks the model: a Pod that was never placed did not fail a probe",
                next="put the readinessProbe back",
            )


def probe_question(container: Object) -> Object:
    """What a readiness probe asks, without how often."""
    probe = container.get("readinessProbe") or {}
    kinds = ("httpGet", "exec", "tcpSocket", "grpc")
    return {key: {part: value for part, value in probe[key].items() if part != "scheme"} for key in kinds if key in probe}


def untouched(ctx: Context, deployment: Object) -> None:
    """Ends the check as not yet where nothing was done so far: without a word on the cause, which is the learner's to find."""
    name = deployment["metadata"]["name"]
    pods = ctx.pods_of(deployment)
    known = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
    if ctx.deeds.changes() or any(pod["metadata"]["uid"] not in known or pod["spec"].get("nodeName") for pod in pods):
        return
    if deployment["spec"]["template"]["spec"] != _before(ctx, name):
        return
    if not causes.found(causes.Scene(deployment, ctx.nodes, ctx.all_pods, ctx.api.list("daemonsets"))):
        return
    seen = see(pods[0], "PodScheduled", ctx.why_pending(pods[0])[0]) if pods else see(deployment, "status.replicas", 0)
    where = f"kubectl -n {ctx.namespace} get events --sort-by=.lastTimestamp"
    if ctx.answers.get("diagnosis", {}).get("accepted"):
        raise idle(f"the cause is found, and {name} has no running Pod yet", seen, expected="now the fix", next=where, credit=0.4)
    raise idle(f"{name} has no running Pod, and nothing has been done about it yet", seen, expected="the cause, then the fix", next=where)


def still_pending(ctx: Context, deployment: Object) -> None:
    """Ends the check where a Pod waits for a node: with what was tried, as far as it can be seen."""
    pending = [pod for pod in ctx.pods_of(deployment) if observe.is_pending_for_a_node(pod)]
    if not pending:
        return
    name = deployment["metadata"]["name"]
    line, _reasons = ctx.why_pending(pending[0])
    if not line or not causes.found(causes.Scene(deployment, ctx.nodes, ctx.all_pods, ctx.api.list("daemonsets"))):
        raise wait(f"a Pod of {name} waits for the scheduler", see(pending[0], "status.phase", "Pending"))
    if moving := _on_the_move(ctx):
        raise wait(f"a Pod of {name} is Pending, and something is still on the move", moving)
    seen = see(pending[0], "PodScheduled", line)
    where = f"kubectl -n {ctx.namespace} describe pod {pending[0]['metadata']['name']}"
    before = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
    template = deployment["spec"]["template"]
    if _same_needs(template["spec"], _before(ctx, name)):
        if RESTARTED in (template["metadata"].get("annotations") or {}):
            raise fail(
                f"{name} was restarted, and its new Pod is Pending for the same reason",
                seen,
                expected="a change to what keeps the Pod off the nodes: a restart asks the scheduler the same question again",
                next=where,
            )
        if before and all(pod["metadata"]["uid"] not in before for pod in pending):
            raise fail(
                f"the Pod of {name} was deleted, and the next one is Pending for the same reason",
                seen,
                expected="a change to what keeps the Pod off the nodes: its ReplicaSet makes every Pod from the same template",
                next=where,
            )
    raise fail(f"the Pod of {name} is still Pending", seen, expected="a node that takes it, by the rules that are there", next=where)


def _on_the_move(ctx: Context) -> Seen | None:
    """What may make room in a moment: a Pod that is going, a workload that changes its size, a command of just now."""
    for pod in ctx.pods:
        if "deletionTimestamp" in pod["metadata"]:
            return see(pod, "metadata.deletionTimestamp", pod["metadata"]["deletionTimestamp"])
    for each in ctx.api.list("deployments", ctx.namespace):
        status = each.get("status", {})
        if status.get("replicas", 0) > each["spec"].get("replicas", 1):
            return see(each, "status.replicas", f"{status['replicas']}, wants {each['spec'].get('replicas', 1)}")
    latest = max((deed.at for deed in ctx.deeds.changes()), default=0.0)
    if ctx.now - latest < _SETTLE_SECONDS:
        return Seen("cluster", "last change", f"{ctx.now - latest:.0f} s ago")
    return None


def _same_needs(spec: Object, before: Object) -> bool:
    keys = ("tolerations", "nodeSelector", "affinity")
    return all((spec.get(key) or None) == (before.get(key) or None) for key in keys) and [
        each.get("resources") for each in spec["containers"]
    ] == [each.get("resources") for each in before.get("containers") or []]


def would_be_placed_again(ctx: Context, pod: Object) -> None:
    """The node still takes this Pod by its rules: it did not slip in while a taint or a label was away."""
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == pod["spec"]["nodeName"])
    name = node["metadata"]["name"]
    if missing := placement.untolerated(pod["spec"], node):
        raise fail(
            f"the Pod runs on {name} and does not tolerate its taint",
            see(pod, "tolerations", pod["spec"].get("tolerations") or "<none>"),
            expected=f"a toleration for {missing[0]['key']}: the taint was away for a moment, and the next Pod will be Pending again",
            next="give the toleration to the Deployment's template",
        )
    if not placement.selects(pod["spec"], node["metadata"].get("labels") or {}, name):
        raise fail(
            f"the Pod runs on {name}, which does not carry the label that it selects",
            see(pod, "nodeSelector", pod["spec"].get("nodeSelector") or pod["spec"].get("affinity")),
            expected="a selector that fits the labels which nodes really have",
            next="kubectl get nodes -L nvidia.com/gpu.product",
        )


def bound_by_scheduler(ctx: Context) -> None:
    for deed in ctx.deeds.changes("pods/binding"):
        raise fail(
            "a Pod was bound to its node by hand",
            Seen(f"pod/{deed.name}", "binding", deed.agent),
            expected="the scheduler's choice: it alone knows what the node has left",
            next=f"ai-lab reset {ctx.exercise.key}",
        )


def _serving(ctx: Context, node: str) -> tuple[bool, bool]:
    """Whether a Ready Pod of a device plugin's DaemonSet runs on the node, and whether a plugin runs there that no DaemonSet made."""
    plugins = {each["metadata"]["uid"] for each in ctx.api.list("daemonsets") if causes.is_plugin(each)}
    by_set = by_hand = False
    for pod in ctx.all_pods:
        if pod["spec"].get("nodeName") != node or not observe.is_ready(pod):
            continue
        if any(owner["uid"] in plugins for owner in pod["metadata"].get("ownerReferences") or []):
            by_set = True
        elif causes.is_plugin({"spec": {"template": pod}}):
            by_hand = True
    return by_set, by_hand


def plugin_serves(ctx: Context) -> None:
    """On every GPU node a plugin of a DaemonSet runs, and the kubelet offers what is built in."""
    for facts in ctx.gpu_facts:
        if not facts.promised:
            continue
        by_set, by_hand = _serving(ctx, facts.name)
        if not by_set:
            raise fail(
                f"the device plugin on {facts.name} is {'a Pod by hand' if by_hand else 'not running'}",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", f"{facts.allocatable} of {facts.promised}"),
                expected="a device plugin on every GPU node, made by a DaemonSet: nodes come and go, and each needs one",
                next="kubectl -n kube-system get daemonset,pod -l app=gpu-device-plugin -o wide",
            )
        if facts.allocatable < facts.promised:
            raise wait(
                f"{facts.name} offers {facts.allocatable} of its {facts.promised} GPUs so far",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", str(facts.allocatable)),
                next=f"kubectl describe node {facts.name}",
            )


def plugin_is_a_daemonset(ctx: Context) -> None:
    """The repaired plugin: a DaemonSet that tolerates the GPU taint narrowly, without privileges, Ready on every GPU node."""
    plugins = [each for each in ctx.api.list("daemonsets") if causes.is_plugin(each)]
    if not plugins:
        raise fail(
            "there is no DaemonSet of a device plugin",
            Seen("namespace/kube-system", "daemonsets", "none is a device plugin"),
            expected=_WANTED_PLUGIN,
            next="kubectl -n kube-system get daemonset",
        )
    for plugin in plugins:
        spec = plugin["spec"]["template"]["spec"]
        guards.tolerates_narrowly(spec, plugin)
        tolerates_only_gpus(ctx, plugin)
        guards.not_privileged(spec, plugin)
        status = plugin.get("status", {})
        if status.get("observedGeneration", 0) < plugin["metadata"].get("generation", 0):
            raise wait(f"{named(plugin)} has just changed", see(plugin, "status.observedGeneration", "behind metadata.generation"))
    gpu_nodes = [node for node in ctx.nodes if causes.promised(node)]
    for node in gpu_nodes:
        if not any(placement.admits(plugin["spec"]["template"]["spec"], node) for plugin in plugins):
            plugin = plugins[0]
            desired = plugin.get("status", {}).get("desiredNumberScheduled", 0)
            raise fail(
                f"{named(plugin)} is not let onto {node['metadata']['name']}",
                see(plugin, "status.desiredNumberScheduled", f"{desired}, GPU nodes: {len(gpu_nodes)}"),
                expected=_WANTED_PLUGIN,
                next="kubectl -n kube-system describe daemonset, and kubectl describe node: what keeps Pods off?",
            )
        if not _serving(ctx, node["metadata"]["name"])[0]:
            raise wait(
                f"the device plugin on {node['metadata']['name']} is not Ready yet",
                Seen("namespace/kube-system", "pods", "none of the plugin's is Ready there"),
                next="kubectl -n kube-system get pods -l app=gpu-device-plugin -o wide",
            )


def admits_exactly(ctx: Context, owner: Object, product: str) -> None:
    """The template's selector admits every node with this product, also one that joins tomorrow, and no GPU node with another."""
    spec = owner["spec"]["template"]["spec"]
    for node in ctx.nodes:
        name = node["metadata"]["name"]
        labels = dict((ctx.baseline["nodes"].get(name) or {}).get("labels") or node["metadata"].get("labels") or {})
        if labels.get(f"{GPU}.present") != "true":
            continue
        right = labels.get(f"{GPU}.product") == product
        if placement.selects(spec, labels, name) and not right:
            raise fail(
                f"{named(owner)} would go to {name} as well",
                see(owner, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec) or "<none>"),
                Seen(f"node/{name}", f"labels[{GPU}.product]", labels.get(f"{GPU}.product", "")),
                expected=f"a selector for {product}: where the Pod lands must not be luck",
                next="kubectl get nodes -L nvidia.com/gpu.product",
            )
        another = {**labels, "kubernetes.io/hostname": "the-next-node-of-this-kind"}
        if right and placement.selects(spec, labels, name) and not placement.selects(spec, another, "the-next-node-of-this-kind"):
            raise fail(
                f"{named(owner)} is tied to {name} by its name",
                see(owner, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec)),
                expected=f"a selector for what the Pod needs ({GPU}.product={product}): the next node of this kind has another name",
                next="kubectl get nodes --show-labels",
            )


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


def does_not_wait_for_it(ctx: Context, name: str, owner: Object) -> None:
    """The workload that gave a GPU back does not stand in line for the same GPU, save behind one of higher priority."""
    other = ctx.need("deployments", name)
    mine = max((pod["spec"].get("priority", 0) for pod in ctx.pods_of(owner)), default=0)
    for pod in ctx.pods_of(other):
        if observe.is_pending_for_a_node(pod) and pod["spec"].get("priority", 0) >= mine:
            raise fail(
                f"{name} waits for the GPU that {owner['metadata']['name']} has now",
                see(pod, "status.phase", "Pending"),
                see(other, "spec.replicas", other["spec"].get("replicas")),
                expected=f"{name} without a GPU: at the next rollout the two change places",
                next=f"kubectl -n {ctx.namespace} describe deployment {name}: what does it say may be done with it?",
            )


def quota_respected(ctx: Context) -> None:
    """The quota is what it was, was not loosened for a moment, and what runs keeps to it."""
    for deed in ctx.deeds.changes("resourcequotas"):
        raise fail(
            f"the quota {deed.name or 'of the namespace'} was {'deleted' if deed.verb.startswith('delete') else 'changed'}",
            Seen(f"resourcequota/{deed.name}", "", f"{deed.verb} by {deed.agent.split('/')[0]}"),
            expected="the platform team's quota as it was: it is what keeps one team from taking every GPU",
            next=f"ai-lab reset {ctx.exercise.key}; then find what in your own namespace uses the quota up",
        )
    for quota in ctx.api.list("resourcequotas", ctx.namespace):
        hard = quota.get("status", {}).get("hard", {}).get(f"requests.{GPU}")
        used = sum(
            (asked(pod["spec"], GPU) for pod in ctx.pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")), Decimal(0)
        )
        if hard is not None and used > amount(hard):
            raise fail(
                f"the namespace holds {used} GPUs and its quota allows {hard}",
                see(quota, f"hard[requests.{GPU}]", hard),
                expected="no more than the quota: it was lifted for a moment",
                next=f"ai-lab reset {ctx.exercise.key}",
            )


def gpus_left_in_quota(ctx: Context) -> int:
    rooms = [
        int(amount(quota["status"]["hard"][f"requests.{GPU}"]) - amount(quota["status"].get("used", {}).get(f"requests.{GPU}", "0")))
        for quota in ctx.api.list("resourcequotas", ctx.namespace)
        if f"requests.{GPU}" in quota.get("status", {}).get("hard", {})
    ]
    return min(rooms, default=99)


def no_gpu_stranded(ctx: Context, cpu: Decimal) -> None:
    """Where a GPU is free there is CPU for the server that will use it."""
    for node in ctx.nodes:
        if placement.left(node, ctx.all_pods, GPU) >= 1 and placement.left(node, ctx.all_pods, "cpu") < cpu:
            name = node["metadata"]["name"]
            raise fail(
                f"now the GPUs of {name} are stranded",
                Seen(f"node/{name}", "allocatable minus requested [cpu]", f"{placement.left(node, ctx.all_pods, 'cpu'):g}"),
                expected=f"{cpu:g} CPU left on every node with a free GPU: what needs no GPU belongs on ai-lab-worker",
                next=f"kubectl describe node {name}",
            )


def diagnosed(ctx: Context, *seen: Seen) -> None:
    """The last guard: the Pod runs, and an accepted diagnosis says why it did not."""
    given = ctx.answers.get("diagnosis") or {}
    if given.get("accepted"):
        return
    raise Stop(
        Verdict(
            Outcome.FAILED if given else Outcome.NOT_YET,
            "the Pod runs, and nobody has said yet why it did not",
            seen,
            expected="the cause and its evidence: what mends a cluster by luck breaks it by luck",
            next=f"ai-lab reset {ctx.exercise.key}, then read, diagnose, and mend it again: it takes a minute",
            credit=0.6,
        )
    )
