"""Lab 01-gpu-nodes: the checks. How a device becomes a resource, who gets it, and what each part says when the device is sick.

What a learner answers is held against the nodes, the plugin's log and the API server of this moment.
"""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, error, fail, idle, passed, wait
from lab_checks.judging import guards
from lab_checks.labs.gpu_nodes import facts, hints
from lab_checks.labs.gpu_nodes import guards as also
from lab_checks.labs.gpu_nodes.repair import REPAIRED, XID

LAB = "01-gpu-nodes"
API = "ai-log-summary-api"
# Importing the hints registers them.
__all__ = ["hints"]


@exercise(f"{LAB}/install-the-plugin")
def install_the_plugin(ctx: Context) -> Verdict:
    """Every GPU node offers what is built in, because a plugin of a DaemonSet told its kubelet."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx)
    gpu_nodes = [each for each in ctx.gpu_facts if each.promised]
    if not ctx.deeds.changes() and not any(observe.is_plugin(each) for each in ctx.api.list("daemonsets")):
        raise idle(
            "no GPU node offers a GPU, and nothing has been done about it yet",
            *(
                Seen(f"node/{each.name}", f"allocatable[{GPU}]", f"{each.allocatable}, its label promises {each.promised}")
                for each in gpu_nodes
            ),
            next="kubectl -n kube-system get daemonsets: who tells the kubelet about devices?",
        )
    guards.plugin_is_a_daemonset(ctx)
    guards.plugin_serves(ctx)
    return passed(
        "every GPU node offers what is built in",
        *(Seen(f"node/{each.name}", f"allocatable[{GPU}]", str(each.allocatable)) for each in gpu_nodes),
    )


@exercise(f"{LAB}/first-gpu-pod")
def first_gpu_pod(ctx: Context) -> Verdict:
    """A Pod that asked for one GPU, was placed by the scheduler, and whose log shows the node's device."""
    also.cluster_untouched(ctx)
    pod = also.pod_with_a_gpu(ctx)
    also.modest(ctx, pod)
    also.took_off(ctx, pod)
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == pod["spec"]["nodeName"])
    also.placed(ctx, pod)
    shown = also.device_shown(ctx, pod, node)
    return passed(
        "a Pod ran with one GPU, and its log shows the device", see(pod, "spec.nodeName", node["metadata"]["name"]), see(pod, "log", shown)
    )


@exercise(f"{LAB}/half-a-gpu")
def half_a_gpu(ctx: Context) -> Verdict:
    """The three refusals, as the API server words them now, and a Pod that it takes."""
    also.cluster_untouched(ctx)
    refusals = {wish.replace("-", "_"): facts.refusal(ctx.api, wish) for wish in facts.wishes()}
    if taken := [wish for wish, said in refusals.items() if not said]:
        return error(
            f"the API server now takes the wish {taken[0]}", next="this is a fault of the course or of the cluster: please report it"
        )
    given = {wish: str(ctx.answers.get(wish, "")).strip() for wish in refusals}
    if not any(given.values()) and not ctx.pods:
        raise idle(
            "no refusal has been quoted yet",
            expected=f"what the API server says to {', '.join(refusals)}",
            next="kubectl create --dry-run=server -f $AI_LAB_COURSE/manifests/01-gpu-nodes/half-a-gpu/wishes/half.yaml",
        )
    right = sum(also.refusal_quoted(wish, quote, refusals) for wish, quote in given.items() if quote)
    if missing := [wish for wish, quote in given.items() if not quote]:
        raise wait(
            f"{right} of {len(refusals)} refusals are quoted",
            expected=f"what the API server says to {', '.join(missing)}",
            next=f'lab.answer("half-a-gpu", {missing[0]}="…")',
            credit=0.6 * right / len(refusals),
        )
    pod = also.pod_with_a_gpu(ctx, credit=0.6)
    also.modest(ctx, pod)
    also.took_off(ctx, pod)
    also.placed(ctx, pod)
    return passed("the refusals are quoted, and the Pod asks for one whole GPU", see(pod, f"limits[{GPU}]", "1"))


@exercise(f"{LAB}/sick-device")
def sick_device(ctx: Context) -> Verdict:
    """The sick device named by node, count and Xid; repaired on a cordoned node; nothing else disturbed."""
    fault = facts.fault(ctx.baseline["nodes"])
    if fault is None:
        return error("the exercise began without a sick device", next=f"ai-lab reset {ctx.exercise.key}")
    guards.node_status_untouched(ctx)
    guards.goes_on(ctx, "nightly-scoring", "it is research's, runs on the device that is well, and a cordon does not touch it")
    guards.others_untouched(ctx)
    also.plugin_not_restarted(ctx)
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == fault.node)
    notes = node["metadata"].get("annotations") or {}
    sick, cordoned = XID in notes, bool(node["spec"].get("unschedulable"))
    if not sick and not also.repaired_by_technician(ctx, node):
        raise fail(
            "the fault was taken off the node by hand, and no technician has seen the device",
            see(node, f"annotations[{REPAIRED}]", notes.get(REPAIRED, "<none>")),
            expected="the device reset by the technician, on a node that takes no new Pods: hiding a fault heals nothing",
            next=f"ai-lab reset {ctx.exercise.key}, then kubectl cordon, python -m lab_checks.labs.gpu_nodes.repair, kubectl uncordon",
        )
    if not (sick and cordoned):
        guards.nodes_untouched(ctx, except_faults=True)
    also.fault_answered(ctx, fault, idle_when_silent=sick and not cordoned)
    if sick:
        raise idle(
            "the device is named, and still sick",
            see(node, f"allocatable[{GPU}]", ctx.node(fault.node).allocatable),
            see(node, "spec.unschedulable", cordoned),
            expected="the node cordoned, the device repaired, the node uncordoned",
            next=f"python -m lab_checks.labs.gpu_nodes.repair {fault.node}" if cordoned else f"kubectl cordon {fault.node}",
            credit=0.6 if cordoned else 0.5,
        )
    guards.plugin_serves(ctx)
    return passed(
        "the sick device was named and repaired, and nothing else was disturbed",
        see(node, f"allocatable[{GPU}]", ctx.node(fault.node).allocatable),
    )


@exercise(f"{LAB}/four-ways")
def four_ways(ctx: Context) -> Verdict:
    """For each worker its own cause behind the one line of the scheduler, shown by a line from there; nothing changed."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.goes_on(ctx, "nightly-fine-tune", "it is research's: in this exercise nothing is to be changed")
    guards.others_untouched(ctx)
    also.plugin_not_restarted(ctx)
    deployment = guards.same_object(ctx, "deployments", API)
    also.template_untouched(ctx, deployment)
    wanted = int(observe.asked(deployment["spec"]["template"]["spec"], GPU))
    asked = {"worker": "", "worker2": "line2", "worker3": "line3"}
    if not any(ctx.answers.get(name) for name in asked):
        raise idle(
            "nothing has been answered yet",
            expected=f"a cause for each of {', '.join(asked)}: {', '.join(facts.WHYS)}",
            next="kubectl describe node ai-lab-worker2",
        )
    for number, (name, line) in enumerate(asked.items()):
        also.why_answered(ctx, name, line, wanted, credit=number / len(asked))
    return passed("each node's own cause is named, with the line that shows it", see(deployment, "status.readyReplicas", 0))
