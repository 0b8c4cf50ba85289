"""Lab 01-gpu-nodes: the checks. How a device becomes a resource, who gets it, and what each part says when the device is sick.

What a learner answers is held against the nodes, the plugin's log and the API server of this moment.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, error, passed
from lab_checks.judging import answers, guards, sheet, unchanged, words
from lab_checks.judging.sheet import Blank
from lab_checks.labs.gpu_nodes import facts, gpu_pod, hints
from lab_checks.labs.gpu_nodes.facts import Fault
from lab_checks.labs.gpu_nodes.repair import REPAIRED, XID

LAB = "01-gpu-nodes"
API = "ai-log-summary-api"
PLUGIN_LOG = "kubectl -n kube-system logs -l app=gpu-device-plugin --prefix"
# Importing the hints registers them.
__all__ = ["hints"]


@exercise(f"{LAB}/install-the-plugin")
def install_the_plugin(ctx: Context) -> Verdict:
    """Every GPU node offers what is built in, because a plugin of a DaemonSet told its kubelet."""
    unchanged.required(ctx)
    offers = [
        Seen(f"node/{each.name}", f"allocatable[{GPU}]", f"{each.allocatable}, its label promises {each.promised}")
        for each in ctx.gpu_facts
        if each.promised
    ]
    daemonsets = ctx.api.list("daemonsets", "kube-system")
    if not any(observe.is_plugin(each) for each in daemonsets):
        raise words.idle(ctx, "no-plugin", *offers)
    for each in daemonsets:
        name = each["metadata"]["name"]
        if not observe.is_plugin(each) and not ctx.before("daemonsets", name, "kube-system"):
            raise words.fail(ctx, "beside-the-plugin", see(each, "metadata.namespace", "kube-system"), name=name)
    guards.plugin_is_a_daemonset(ctx)
    guards.plugin_is_hardened(ctx)
    guards.plugin_serves(ctx)
    return passed("every GPU node offers what is built in", *offers)


@exercise(f"{LAB}/first-gpu-pod")
def first_gpu_pod(ctx: Context) -> Verdict:
    """A Pod that asked for one GPU, was placed by the scheduler, whose log shows the node's device, and that let it go."""
    unchanged.required(ctx)
    pod = gpu_pod.asking(ctx)
    guards.pod_started(ctx, pod)
    line = gpu_pod.device_shown(ctx, pod)
    gpu_pod.let_go(ctx, pod)
    return passed(
        "a Pod ran with one GPU, and its log shows the device", see(pod, "spec.nodeName", pod["spec"]["nodeName"]), see(pod, "log", line)
    )


@exercise(f"{LAB}/half-a-gpu")
def half_a_gpu(ctx: Context) -> Verdict:
    """The three refusals, as the API server words them now, and a Pod that it takes."""
    refusals = {wish.replace("-", "_"): facts.refusal(ctx.api, wish) for wish in facts.wishes()}
    if taken := [wish for wish, said in refusals.items() if not said]:
        return error(
            f"the API server now takes the wish {taken[0]}", next="this is a fault of the course or of the cluster: please report it"
        )
    sheet.judge(ctx, [_refusal(wish, refusals) for wish in refusals])
    pod = gpu_pod.asking(ctx, "classifier", credit=0.6)
    guards.pod_started(ctx, pod)
    return passed("the refusals are quoted, and the Pod asks for one whole GPU", see(pod, f"limits[{GPU}]", 1))


def _refusal(wish: str, refusals: Mapping[str, str]) -> Blank:
    def told(quote: str) -> str:
        said_to = facts.answers_to(quote, refusals)
        if wish in said_to:
            return "that stands in more than one refusal: which part says why this one is refused?"
        return f"the API server does not say that to it; it says that to {said_to[0] if said_to else 'none of the three'}"

    return Blank(
        wish, answers.lines, lambda quote: facts.answers_to(quote, refusals) == [wish], "the API server's own words, copied",
        f"kubectl create --dry-run=server -f $AI_LAB_COURSE/manifests/01-gpu-nodes/half-a-gpu/wishes/{wish.replace('_', '-')}.yaml", told,
    )  # fmt: skip


@exercise(f"{LAB}/sick-device")
def sick_device(ctx: Context) -> Verdict:
    """The sick device named by node, count and Xid; repaired on a cordoned node; nothing else disturbed."""
    fault = facts.fault(ctx.baseline["nodes"])
    if fault is None:
        return error("the exercise began without a sick device", next=f"ai-lab reset {ctx.exercise.key}")
    unchanged.required(ctx)
    guards.pods_kept_running(ctx, "nightly-scoring", "it is research's, runs on the device that is well, and a cordon does not touch it")
    guards.plugin_not_restarted(ctx)
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == fault.node)
    notes = node["metadata"].get("annotations") or {}
    sick, cordoned = XID in notes, [each["metadata"]["name"] for each in ctx.nodes if each["spec"].get("unschedulable")]
    if not sick and notes.get(REPAIRED) != ctx.baseline["nodes"][fault.node]["faults"][XID]:
        raise words.fail(ctx, "no-technician", see(node, f"annotations[{REPAIRED}]", notes.get(REPAIRED)))
    sheet.judge(ctx, _fault_sheet(ctx, fault), done=0.0 if sick else 0.4)
    offers = see(node, f"allocatable[{GPU}]", ctx.node(fault.node).allocatable)
    closed = see(node, "spec.unschedulable", fault.node in cordoned)
    if sick:
        step = "sick-and-cordoned" if fault.node in cordoned else "still-sick"
        raise words.idle(ctx, step, offers, closed, credit=0.6 if fault.node in cordoned else 0.5, node=fault.node)
    if cordoned:
        raise words.idle(ctx, "still-cordoned", offers, closed, credit=0.9, node=cordoned[0])
    guards.plugin_serves(ctx)
    return passed("the sick device was named and repaired, and nothing else was disturbed", offers)


def _fault_sheet(ctx: Context, fault: Fault) -> list[Blank]:
    known = {each.name: each for each in ctx.gpu_facts}
    return [
        sheet.names(
            "node", [fault.node], "the node on which Allocatable was less than Capacity", "kubectl describe nodes: Capacity and Allocatable",
            known=known, told=lambda name: f"the sick device is not on {name}, which has {known[name].capacity} of them",
        ),
        sheet.number(
            "allocatable", fault.left, "how many GPUs that node could give while one was sick", "kubectl describe nodes: Allocatable",
            told={known[fault.node].capacity: "that is its capacity, the sick one included"}, things=sheet.GPUS, whole=known[fault.node].capacity,
        ),
        sheet.number("xid", fault.xid, "the number behind Xid= in the plugin's log", f"{PLUGIN_LOG} | grep Xid", called=("error", "code")),
    ]  # fmt: skip


@exercise(f"{LAB}/four-ways")
def four_ways(ctx: Context) -> Verdict:
    """For each worker its own cause behind the one line of the scheduler, shown by a line from there; nothing changed."""
    unchanged.required(ctx)
    guards.pods_kept_running(ctx, "nightly-fine-tune", "it is research's: in this exercise nothing is to be changed")
    guards.plugin_not_restarted(ctx)
    deployment = ctx.need("deployments", API)
    asked = (("worker", ""), ("worker2", "line2"), ("worker3", "line3"))
    sheet.judge(
        ctx, [blank for name, line in asked for blank in _why(ctx, deployment, name, line)], begin="kubectl describe node ai-lab-worker2"
    )
    return passed("each node's own cause is named, with the line that shows it", see(deployment, "status.readyReplicas", 0))


def _why(ctx: Context, deployment: Object, name: str, line: str) -> list[Blank]:
    """The blanks for one worker: what holds there, and the line that shows it where one is asked for."""
    node = ctx.node(f"ai-lab-{name}")
    plugin = observe.plugin_pod(ctx.all_pods, node.name) is not None
    truth = facts.why_not(node, int(observe.asked(deployment["spec"]["template"]["spec"], GPU)), plugin)
    numbers = f"{facts.counts(node)}; the plugin is {'Ready' if plugin else 'not'} there"
    look = f"kubectl describe node {node.name}"
    cause = Blank(
        name, lambda said: answers.choice(said, facts.WHYS), truth, f"one of {', '.join(facts.WHYS)}", look,
        lambda given: f"{given} does not hold on {node.name} ({numbers})", form="that is not one of the causes to choose from",
    )  # fmt: skip
    proofs = facts.evidence_lines(truth, node, facts.plugin_log(ctx, node.name))
    quote = Blank(
        line, answers.lines, lambda said: facts.shows(said, proofs), "a line from the node, or its plugin's log, that shows this cause and no other",
        f"{look}; {PLUGIN_LOG}", lambda _said: f"this does not show what keeps the Pod off {node.name}",
    )  # fmt: skip
    return [cause, quote] if line else [cause]
