"""Why a Deployment has no running Pod, as rules over objects: each cause is a question that the cluster answers with yes or no.

A diagnosis is right where its cause holds; where it does not, the same rule says what speaks against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, condition, is_plugin, promised, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging.diagnosis import Engine, Finding


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


API = "ai-log-summary-api"


def look(ctx: Context) -> Scene:
    return Scene(ctx.need("deployments", API), ctx.nodes, ctx.all_pods, ctx.api.list("daemonsets"))


def _holders(scene: Scene) -> list[str]:
    """The names of the Pods that hold GPUs."""
    return [_name(pod) for pod in scene.pods if pod["spec"].get("nodeName") and asked(pod["spec"], GPU)]


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _offer(node: Object) -> Seen:
    return see(node, f"allocatable[{GPU}]", placement.allocatable(node, GPU))


def _plugin(plugin: Object) -> tuple[Seen, ...]:
    return (see(plugin, "status.desiredNumberScheduled", plugin.get("status", {}).get("desiredNumberScheduled", 0)),)


def more_than_any_node(scene: Scene) -> Finding:
    best = max(scene.nodes, key=lambda node: placement.allocatable(node, GPU))
    facts: dict[str, Iterable[object]] = {"most": [scene.most], "nodes": map(_name, scene.gpu_nodes)}
    if scene.most == 0:
        why = "no node offers a single GPU at this moment, so that asking for fewer would not help"
    elif scene.wanted > scene.most:
        why = f"a Pod runs on one node, and no node has {scene.wanted} GPUs: the most is {scene.most}"
    else:
        why = f"the Pod asks for {scene.wanted} and {_name(best)} has {scene.most}: the number is not too large"
    return Finding(0 < scene.most < scene.wanted, why, (_offer(best),), facts)


def held_by_others(scene: Scene) -> Finding:
    fit = [node for node in scene.gpu_nodes if placement.allocatable(node, GPU) >= max(1, scene.wanted)]
    if not fit:
        return Finding(False, f"no node has {scene.wanted} GPUs to hold, used or not", tuple(map(_offer, scene.gpu_nodes)))
    for node in fit:
        if (left := placement.left(node, scene.pods, GPU)) >= scene.wanted:
            seen = see(node, f"allocatable minus requested [{GPU}]", f"{left:g}")
            return Finding(False, f"{_name(node)} has {left:g} GPU that nobody holds", (seen,))
    held = tuple(see(node, f"requested [{GPU}]", placement.requested(node, scene.pods, GPU)) for node in fit)
    numbers = {int(placement.requested(node, scene.pods, GPU)) for node in scene.gpu_nodes} - {0}
    facts: dict[str, Iterable[object]] = {"held": sorted(numbers), "holders": _holders(scene)}
    return Finding(any(placement.admits(scene.template, node) for node in fit), "every GPU that the Pod could get is held", held, facts)


def taint_not_tolerated(scene: Scene) -> Finding:
    wished = [node for node in scene.gpu_nodes if placement.selects(scene.template, node["metadata"].get("labels") or {}, _name(node))]
    closed = [node for node in wished if placement.untolerated(scene.template, node)]
    if not wished or len(closed) < len(wished):
        why = "no GPU node is even selected, so that its taint plays no part"
        if wished:
            why = "the Pod tolerates the taint of the GPU nodes; the node with an untolerated taint in the scheduler's line is the control plane"
        return Finding(False, why, (see(scene.deployment, "tolerations", scene.template.get("tolerations") or "<none>"),))
    taint = placement.untolerated(scene.template, closed[0])[0]
    told = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
    free = any(placement.left(node, scene.pods, GPU) >= scene.wanted for node in closed)
    why = f"{_name(closed[0])} has a free GPU and the taint {told}, which the Pod does not tolerate"
    return Finding(free, why, (see(closed[0], "taints", told),))


def selector_matches_no_node(scene: Scene) -> Finding:
    chosen = scene.template.get("nodeSelector") or placement.required_terms(scene.template)
    seen = (see(scene.deployment, "nodeSelector", chosen or "<none>"),)
    if not chosen:
        return Finding(False, "the Pod selects no nodes", seen)
    for node in scene.nodes:
        if placement.selects(scene.template, node["metadata"].get("labels") or {}, _name(node)):
            return Finding(False, f"{_name(node)} has the labels that the Pod selects", seen)
    return Finding(True, "no node carries the label that the Pod selects", seen)


def memory_too_large(scene: Scene) -> Finding:
    wanted = asked(scene.template, "memory")
    largest = max(scene.nodes, key=lambda node: placement.allocatable(node, "memory"))
    have = placement.allocatable(largest, "memory")
    seen = (see(largest, "allocatable[memory]", largest.get("status", {}).get("allocatable", {}).get("memory", "0")),)
    whose = "the largest node" if wanted > have else _name(largest)
    return Finding(wanted > have, f"the Pod requests {_gib(wanted)} of memory and {whose} has {_gib(have)}", seen)


def _gib(amount_of_bytes: Decimal) -> str:
    return f"{float(amount_of_bytes) / 2**30:,.1f} GiB"


def cpu_used_up(scene: Scene) -> Finding:
    wanted = asked(scene.template, "cpu")
    open_to_it = [node for node in scene.nodes if placement.admits(scene.template, node)]
    fit = [node for node in open_to_it if placement.left(node, scene.pods, GPU) >= max(1, scene.wanted)]
    if not fit:
        return Finding(False, "no node that the Pod may go to has a free GPU: CPU is not what is missing first")
    most = max(fit, key=lambda node: placement.left(node, scene.pods, "cpu"))
    left = placement.left(most, scene.pods, "cpu")
    seen = tuple(see(most, f"allocatable minus requested [{each}]", f"{placement.left(most, scene.pods, each):g}") for each in ("cpu", GPU))
    has = f"a free GPU and only {left:g}" if left < wanted else f"{left:g}"
    return Finding(left < wanted, f"{_name(most)} has {has} CPU left to request and the Pod requests {wanted:g}", seen)


def no_device_plugin(scene: Scene) -> Finding:
    if scene.plugins:
        plugin = scene.plugins[0]
        return Finding(False, f"there is a device plugin: daemonset {_name(plugin)} in kube-system", _plugin(plugin))
    short = [node for node in scene.gpu_nodes if placement.allocatable(node, GPU) < promised(node)]
    why = "no DaemonSet of the cluster is a device plugin, and the GPU nodes offer no GPU"
    return Finding(bool(short), why, tuple(map(_offer, short)), {"nodes": map(_name, scene.gpu_nodes)})


def plugin_kept_off(scene: Scene) -> Finding:
    if not scene.plugins:
        return Finding(False, "there is no DaemonSet of a device plugin that a taint could keep off")
    plugin = scene.plugins[0]
    kept = [node for node in scene.gpu_nodes if placement.untolerated(plugin["spec"]["template"]["spec"], node)]
    why = f"daemonset {_name(plugin)} tolerates the taint of the GPU nodes"
    if kept:
        why = f"daemonset {_name(plugin)} does not tolerate the taint of {_name(kept[0])}, and runs on none of them"
    return Finding(bool(kept), why, _plugin(plugin), {"plugin": [_name(plugin)]})


def quota_spent(scene: Scene) -> Finding:
    failure = condition(scene.deployment, "ReplicaFailure")
    if failure.get("status") == "True" and "exceeded quota" in failure.get("message", ""):
        seen = see(scene.deployment, "ReplicaFailure", failure["message"])
        return Finding(True, "admission refused the Pod: there is none for the scheduler to place", (seen,))
    return Finding(False, "the Pod exists: a spent quota would have refused it before the scheduler saw it")


def parts(scene: Scene) -> dict[str, list[str]]:
    """Which objects a quoted line may be of."""
    return {
        "workload": [_name(scene.deployment)],
        "node": [_name(node) for node in scene.gpu_nodes],
        "holder": _holders(scene),
        "plugin": [_name(plugin) for plugin in scene.plugins],
    }


_RULES = (
    more_than_any_node, held_by_others, taint_not_tolerated, selector_matches_no_node, memory_too_large, cpu_used_up, no_device_plugin,
    plugin_kept_off, quota_spent,
)  # fmt: skip
ENGINE = Engine(lab="03-pending", look=look, parts=parts, rules={each.__name__.replace("_", "-"): each for each in _RULES})
