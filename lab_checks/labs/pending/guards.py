"""Lab 03-pending: guards of its own, beside those in `lab_checks.judging.guards`. Each ends the check with the words for one tempting wrong fix."""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import unchanged
from lab_checks.labs.pending import causes

RESTARTED = "kubectl.kubernetes.io/restartedAt"
# A scheduler looks again within a second of a change; a busy machine needs a little longer.
_SETTLE_SECONDS = 3.0


def still_pending(ctx: Context, deployment: Object) -> None:
    """Ends the check where a Pod waits for a node: with what was tried, as far as it can be seen."""
    pending = [pod for pod in ctx.pods_of(deployment) if observe.is_pending_for_a_node(pod)]
    if not pending:
        return
    name = deployment["metadata"]["name"]
    line, _ = ctx.why_pending(pending[0])
    if not line or not causes.ENGINE.holding(ctx):
        raise wait(f"a Pod of {name} waits for the scheduler", see(pending[0], "status.phase", "Pending"))
    if moving := on_the_move(ctx):
        raise wait(f"a Pod of {name} is Pending, and something is still on the move", moving)
    seen = see(pending[0], "PodScheduled", line)
    where = f"kubectl -n {ctx.namespace} describe pod {pending[0]['metadata']['name']}"
    restarted = RESTARTED in (deployment["spec"]["template"]["metadata"].get("annotations") or {})
    deleted = any(deed.verb.startswith("delete") for deed in ctx.deeds.changes("pods"))
    if (restarted or deleted) and not unchanged.differ(ctx):
        what = f"{name} was restarted, and its new Pod" if restarted else f"the Pod of {name} was deleted, and the next one"
        raise fail(
            f"{what} is Pending for the same reason",
            seen,
            expected="a change to what keeps the Pod off the nodes: every Pod is made from the same template, and the scheduler is asked the same question",
            next=where,
        )
    raise fail(f"the Pod of {name} is still Pending", seen, expected="a node that takes it, by the rules that are there", next=where)


def on_the_move(ctx: Context) -> Seen | None:
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


def gave_its_gpu_back(ctx: Context, name: str, owner: Object) -> None:
    """The workload that may be stopped asks for no Pod any more: one that waits takes the GPU back at the owner's next rollout."""
    other = ctx.need("deployments", name)
    if wanted := other["spec"].get("replicas", 1):
        raise fail(
            f"{name} waits for the GPU that {owner['metadata']['name']} has now",
            see(other, "spec.replicas", wanted),
            expected=f"{name} without a GPU: at the next rollout the two change places",
            next=f"kubectl -n {ctx.namespace} describe deployment {name}: what does it say may be done with it?",
        )


def gpus_left_in_quota(ctx: Context) -> int:
    rooms = [
        int(amount(quota["status"]["hard"][f"requests.{GPU}"]) - amount(quota["status"].get("used", {}).get(f"requests.{GPU}", "0")))
        for quota in ctx.api.list("resourcequotas", ctx.namespace)
        if f"requests.{GPU}" in quota.get("status", {}).get("hard", {})
    ]
    return min(rooms, default=99)


def quota_is_behind(ctx: Context) -> Seen | None:
    """A quota that counts a GPU which no Pod holds any more: its controller has not looked again yet."""
    held = sum(int(asked(pod["spec"], GPU)) for pod in ctx.pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"))
    for quota in ctx.api.list("resourcequotas", ctx.namespace):
        counted = int(amount(quota.get("status", {}).get("used", {}).get(f"requests.{GPU}", "0")))
        if counted > held:
            return see(quota, f"used[requests.{GPU}]", f"{counted}, and the Pods hold {held}")
    return None


def plugin_reads_nodes_only(ctx: Context) -> None:
    """The plugin's account may do what its manifest asks for: read nodes."""
    binding = ctx.everything["clusterrolebindings"].get("gpu-device-plugin", {})
    role = ctx.everything["clusterroles"].get("gpu-device-plugin", {})
    wider = [
        rule
        for rule in role.get("rules") or []
        if set(rule.get("resources") or []) != {"nodes"} or set(rule.get("verbs") or []) - {"get", "list", "watch"}
    ]
    if wider or (binding and binding["roleRef"]["name"] != "gpu-device-plugin"):
        raise fail(
            "the device plugin's account may do more than read nodes",
            Seen("clusterrolebinding/gpu-device-plugin", "roleRef", (binding.get("roleRef") or {}).get("name", "<none>")),
            Seen(
                "clusterrole/gpu-device-plugin", "rules", "; ".join(f"{', '.join(r['verbs'])} {', '.join(r['resources'])}" for r in wider)
            ),
            expected="get, list and watch on nodes, as in the course's manifest",
            next="kubectl apply --server-side -f $AI_LAB_COURSE/manifests/base/gpu-device-plugin.yaml",
        )


def strands_no_gpu_tomorrow(ctx: Context, owner: Object, cpu: Decimal) -> None:
    """Wherever its template lets it go, it leaves CPU beside a GPU: what goes elsewhere by luck comes back at the next rollout."""
    spec, name = owner["spec"]["template"]["spec"], owner["metadata"]["name"]
    own = {pod["metadata"]["uid"] for pod in ctx.pods_of(owner)}
    others = [pod for pod in ctx.all_pods if pod["metadata"]["uid"] not in own and not pod["metadata"]["name"].startswith(f"{name}-")]
    for node in ctx.nodes:
        if not placement.allocatable(node, GPU) or not placement.admits(spec, node):
            continue
        left = placement.left(node, others, "cpu") - owner["spec"].get("replicas", 1) * asked(spec, "cpu")
        if left < cpu:
            raise fail(
                f"{name} may go to {node['metadata']['name']} at its next rollout, and strand the GPU there",
                see(owner, "nodeSelector, tolerations", spec.get("nodeSelector") or spec.get("tolerations") or "<none>"),
                expected="a workload without a GPU that cannot go to GPU nodes, or one that asks for so little that the GPU's server fits beside it",
                next="what lets its Pods onto a node with the GPU taint?",
            )
