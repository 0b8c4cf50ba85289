"""Lab 01-gpu-nodes: the first hint of each exercise: a question about what was not looked at, or about what the cluster shows now."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked
from lab_checks.engine.registry import first_hint
from lab_checks.labs.gpu_nodes import facts
from lab_checks.labs.gpu_nodes.repair import REPAIRED

_LAB = "01-gpu-nodes"


@first_hint(f"{_LAB}/install-the-plugin")
def who_tells_the_kubelet(ctx: Context) -> str:
    if not ctx.deeds.looked_at("nodes"):
        return "What do the GPU nodes promise by their labels, and what do they offer under Allocatable? `kubectl describe node ai-lab-worker2` shows both."
    if not any(observe.is_plugin(each) for each in ctx.api.list("daemonsets")):
        return "The labels promise GPUs, Allocatable offers none. Who tells the kubelet about the devices of its node, and does it run anywhere?"
    for node in ctx.gpu_facts:
        if node.promised and observe.plugin_pod(ctx.all_pods, node.name) is None:
            return f"There is a plugin, and none is Ready on {node.name}. What keeps its Pod away from there?"
        if node.allocatable < node.promised:
            return f"{node.name} promises {node.promised} and offers {node.allocatable}. What does the plugin's log on that node say?"
    return "Every GPU node offers what it promises. Would the next node that joins do so too?"


@first_hint(f"{_LAB}/first-gpu-pod")
def what_the_pod_does_not_say(ctx: Context) -> str:
    pod = observe.newest(ctx.pods)
    if pod is None:
        return "Which two things must a Pod say, so that it is given a GPU, and so that it may go where the GPUs are?"
    if not asked(pod["spec"], GPU, "limits"):
        return f"{pod['metadata']['name']} asks for no GPU. Under which key does a container ask for a device?"
    line, _reasons = ctx.why_pending(pod)
    if line and not pod["spec"].get("nodeName"):
        return f"The scheduler says: {line} Which of these words does your Pod not answer?"
    return f"{pod['metadata']['name']} is on {pod['spec'].get('nodeName', 'no node yet')}. What does its log say?"


@first_hint(f"{_LAB}/half-a-gpu")
def which_wish_is_open(ctx: Context) -> str:
    if missing := [name for name in ctx.exercise.answers if not ctx.answers.get(name)]:
        file = missing[0].replace("_", "-")
        return f"What does the API server say to wishes/{file}.yaml (kubectl create --dry-run=server -f …)? Which field does it name?"
    return "A device is given or not given. What is the smallest number of them that a Pod can have?"


@first_hint(f"{_LAB}/sick-device")
def where_the_numbers_differ(ctx: Context) -> str:
    short = [each for each in ctx.gpu_facts if each.allocatable < each.capacity]
    if not ctx.deeds.looked_at("nodes"):
        return "Two numbers of each node tell what is there and what is well. Which are they, and on which node do they differ?"
    if short and not ctx.deeds.looked_at("pods/log"):
        return f"On {short[0].name} one of {short[0].capacity} cannot be given. Who on that node knows why, and where does it say so?"
    cordoned = next((node["metadata"] for node in ctx.nodes if node["spec"].get("unschedulable")), None)
    if cordoned:
        what = "The device is well again: what is left to do?" if REPAIRED in (cordoned.get("annotations") or {}) else "Who may come now?"
        return f"{cordoned['name']} takes no new Pods. {what}"
    return "The technician resets the device only where no Pod can be given it meanwhile. What closes a node to new Pods and lets what runs go on?"


@first_hint(f"{_LAB}/four-ways")
def which_node_is_open(ctx: Context) -> str:
    deployment = ctx.need("deployments", "ai-log-summary-api")
    wanted = int(asked(deployment["spec"]["template"]["spec"], GPU))
    if not ctx.deeds.looked_at("nodes"):
        return "The scheduler's line is one for all nodes. Which three numbers of a node tell why this one does not take the Pod?"
    for each in ctx.gpu_facts:
        name, plugin = each.name.removeprefix("ai-lab-"), observe.plugin_pod(ctx.all_pods, each.name) is not None
        if name in ctx.exercise.answers and not ctx.answers.get(name) and facts.why_not(each, wanted, plugin):
            return f"{each.name}: {facts.counts(each)}. Which cause fits?"
    return "Each line must show its own cause and no other: does the row that you quote stand on the node itself, or in its plugin's log?"
