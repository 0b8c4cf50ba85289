"""Why a Deployment has no running Pod, as rules over objects: each cause is a question that the cluster answers with yes or no.

A diagnosis is right where its cause holds; where it does not, the same rule says what speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from kubeobjects import Object, placement
from lab_checks.engine.observe import GPU, asked, condition, is_plugin, promised, see
from lab_checks.engine.verdict import Seen


@dataclass(frozen=True)
class Scene:
    """What the rules look at: one Deployment, all nodes and Pods, and the DaemonSets of kube-system."""

    deployment: Object
    nodes: list[Object]
    pods: list[Object]
    daemonsets: list[Object]

    @property
    def template(self) -> Object:
        spec: Object = self.deployment["spec"]["template"]["spec"]
        return spec

    @property
    def wanted(self) -> int:
        """GPUs that one Pod asks for."""
        return int(asked(self.template, GPU))

    @property
    def gpu_nodes(self) -> list[Object]:
        """Nodes that are said to have GPUs, whether they offer them or not."""
        return [node for node in self.nodes if promised(node) or placement.allocatable(node, GPU)]

    @property
    def plugins(self) -> list[Object]:
        return [each for each in self.daemonsets if is_plugin(each)]

    @property
    def most(self) -> int:
        return max((int(placement.allocatable(node, GPU)) for node in self.nodes), default=0)


@dataclass(frozen=True)
class Finding:
    """`why` says in a sentence what speaks for the cause, or against it; `seen` is what was looked at."""

    holds: bool
    why: str
    seen: tuple[Seen, ...] = ()


Rule = Callable[[Scene], Finding]


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _offer(node: Object) -> Seen:
    return see(node, f"allocatable[{GPU}]", placement.allocatable(node, GPU))


def more_than_any_node(scene: Scene) -> Finding:
    best = max(scene.nodes, key=lambda node: placement.allocatable(node, GPU))
    if scene.most == 0:
        return Finding(False, "no node offers a single GPU at this moment, so that asking for fewer would not help", (_offer(best),))
    if scene.wanted > scene.most:
        return Finding(True, f"a Pod runs on one node, and no node has {scene.wanted} GPUs: the most is {scene.most}", (_offer(best),))
    return Finding(
        False, f"the Pod asks for {scene.wanted} and {_name(best)} has {scene.most}: the number is not too large", (_offer(best),)
    )


def held_by_others(scene: Scene) -> Finding:
    fit = [node for node in scene.gpu_nodes if placement.allocatable(node, GPU) >= max(1, scene.wanted)]
    if not fit:
        return Finding(False, f"no node has {scene.wanted} GPUs to hold, used or not", tuple(map(_offer, scene.gpu_nodes)))
    free = [node for node in fit if placement.left(node, scene.pods, GPU) >= scene.wanted]
    if free:
        left = placement.left(free[0], scene.pods, GPU)
        return Finding(
            False,
            f"{_name(free[0])} has {left} GPU that nobody holds",
            (see(free[0], f"allocatable minus requested [{GPU}]", left),),
        )
    held = tuple(see(node, f"requested [{GPU}]", placement.requested(node, scene.pods, GPU)) for node in fit)
    return Finding(any(node for node in fit if placement.admits(scene.template, node)), "every GPU that the Pod could get is held", held)


def taint_not_tolerated(scene: Scene) -> Finding:
    wished = [node for node in scene.gpu_nodes if placement.selects(scene.template, node["metadata"].get("labels") or {}, _name(node))]
    closed = [node for node in wished if placement.untolerated(scene.template, node)]
    if not wished or len(closed) < len(wished):
        return Finding(
            False,
            "the Pod tolerates the taint of the GPU nodes; the node with an untolerated taint in the scheduler's line is the control plane"
            if wished
            else "no GPU node is even selected, so that its taint plays no part",
            (see(scene.deployment, "tolerations", scene.template.get("tolerations") or "<none>"),),
        )
    taint = placement.untolerated(scene.template, closed[0])[0]
    return Finding(
        any(placement.left(node, scene.pods, GPU) >= scene.wanted for node in closed),
        f"{_name(closed[0])} has a free GPU and the taint {taint['key']}={taint.get('value', '')}:{taint['effect']}, which the Pod does not tolerate",
        (see(closed[0], "taints", f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"),),
    )


def selector_matches_no_node(scene: Scene) -> Finding:
    chosen = scene.template.get("nodeSelector") or placement.required_terms(scene.template)
    if not chosen:
        return Finding(False, "the Pod selects no nodes", (see(scene.deployment, "nodeSelector", "<none>"),))
    matching = [node for node in scene.nodes if placement.selects(scene.template, node["metadata"].get("labels") or {}, _name(node))]
    if matching:
        return Finding(False, f"{_name(matching[0])} has the labels that the Pod selects", (see(scene.deployment, "nodeSelector", chosen),))
    return Finding(True, "no node carries the label that the Pod selects", (see(scene.deployment, "nodeSelector", chosen),))


def memory_too_large(scene: Scene) -> Finding:
    wanted = asked(scene.template, "memory")
    largest = max(scene.nodes, key=lambda node: placement.allocatable(node, "memory"))
    have = placement.allocatable(largest, "memory")
    seen = (see(largest, "allocatable[memory]", largest.get("status", {}).get("allocatable", {}).get("memory", "0")),)
    if wanted > have:
        return Finding(True, f"the Pod requests {_gib(wanted)} of memory and the largest node has {_gib(have)}", seen)
    return Finding(False, f"the Pod requests {_gib(wanted)} of memory and {_name(largest)} has {_gib(have)}", seen)


def _gib(amount_of_bytes: Decimal) -> str:
    return f"{float(amount_of_bytes) / 2**30:,.1f} GiB"


def cpu_used_up(scene: Scene) -> Finding:
    wanted = asked(scene.template, "cpu")
    fit = [
        node for node in scene.nodes
        if placement.admits(scene.template, node) and placement.left(node, scene.pods, GPU) >= max(1, scene.wanted)
    ]  # fmt: skip
    if not fit:
        return Finding(False, "no node that the Pod may go to has a free GPU: CPU is not what is missing first")
    most = max(fit, key=lambda node: placement.left(node, scene.pods, "cpu"))
    left = placement.left(most, scene.pods, "cpu")
    seen = (
        see(most, "allocatable minus requested [cpu]", f"{left:g}"),
        see(most, f"allocatable minus requested [{GPU}]", placement.left(most, scene.pods, GPU)),
    )
    if left < wanted:
        return Finding(True, f"{_name(most)} has a free GPU and only {left:g} CPU left to request; the Pod requests {wanted:g}", seen)
    return Finding(False, f"{_name(most)} has {left:g} CPU left to request and the Pod requests {wanted:g}", seen)


def no_device_plugin(scene: Scene) -> Finding:
    if scene.plugins:
        plugin = scene.plugins[0]
        return Finding(
            False, f"there is a device plugin: daemonset {_name(plugin)} in kube-system",
            (see(plugin, "status.desiredNumberScheduled", plugin.get("status", {}).get("desiredNumberScheduled", 0)),),
        )  # fmt: skip
    short = [node for node in scene.gpu_nodes if placement.allocatable(node, GPU) < promised(node)]
    return Finding(bool(short), "no DaemonSet of the cluster is a device plugin, and the GPU nodes offer no GPU", tuple(map(_offer, short)))


def plugin_kept_off(scene: Scene) -> Finding:
    if not scene.plugins:
        return Finding(False, "there is no DaemonSet of a device plugin that a taint could keep off")
    plugin = scene.plugins[0]
    spec = plugin["spec"]["template"]["spec"]
    desired = plugin.get("status", {}).get("desiredNumberScheduled", 0)
    kept = [node for node in scene.gpu_nodes if placement.untolerated(spec, node)]
    seen = (see(plugin, "status.desiredNumberScheduled", desired),)
    if kept:
        return Finding(True, f"daemonset {_name(plugin)} does not tolerate the taint of {_name(kept[0])}, and runs on none of them", seen)
    return Finding(False, f"daemonset {_name(plugin)} tolerates the taint of the GPU nodes", seen)


def quota_spent(scene: Scene) -> Finding:
    failure = condition(scene.deployment, "ReplicaFailure")
    if failure.get("status") == "True" and "exceeded quota" in failure.get("message", ""):
        return Finding(
            True,
            "admission refused the Pod: there is none for the scheduler to place",
            (see(scene.deployment, "ReplicaFailure", failure["message"]),),
        )
    return Finding(False, "the Pod exists: a spent quota would have refused it before the scheduler saw it")


CAUSES: dict[str, Rule] = {
    "more-than-any-node": more_than_any_node,
    "held-by-others": held_by_others,
    "taint-not-tolerated": taint_not_tolerated,
    "selector-matches-no-node": selector_matches_no_node,
    "memory-too-large": memory_too_large,
    "cpu-used-up": cpu_used_up,
    "no-device-plugin": no_device_plugin,
    "plugin-kept-off": plugin_kept_off,
    "quota-spent": quota_spent,
}


def found(scene: Scene) -> dict[str, Finding]:
    """The causes that hold now."""
    findings = {name: rule(scene) for name, rule in CAUSES.items()}
    return {name: finding for name, finding in findings.items() if finding.holds}
