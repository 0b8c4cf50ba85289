"""Lab 00-welcome: the map of the cluster. What each answer is held against: nodes, Pods and DaemonSets of this moment."""

from __future__ import annotations

from typing import Any

from kubeobjects import placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, NodeFacts
from lab_checks.engine.verdict import Seen
from lab_checks.labs.welcome.answers import Judge, Wrong, flat, names, number

_COLUMNS = (
    "kubectl get nodes -o custom-columns="
    "'NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu,PRODUCT:.metadata.labels.nvidia\\.com/gpu\\.product,TAINTS:.spec.taints[*].key'"
)


def _offer(node: NodeFacts) -> Seen:
    return Seen(f"node/{node.name}", f"allocatable[{GPU}]", str(node.allocatable) if node.capacity else "<none>")


class Map:
    """The truth about the cluster as it is now, question by question."""

    def __init__(self, ctx: Context):
        self._nodes = ctx.nodes
        self._facts = {each.name: each for each in ctx.gpu_facts}
        self._daemonsets = ctx.api.list("daemonsets")
        self._pods = ctx.all_pods

    def judges(self) -> dict[str, Judge]:
        return {
            "gpu_nodes": self.gpu_nodes,
            "most_gpus": self.most_gpus,
            "product": self.product,
            "total": self.total,
            "free": self.free,
            "taint": self.taint,
            "ordinary": self.ordinary,
            "counted_by": self.counted_by,
        }

    @property
    def _offering(self) -> list[NodeFacts]:
        return [each for each in self._facts.values() if each.allocatable]

    def _unknown(self, given: frozenset[str]) -> Wrong | None:
        strange = sorted(given - self._facts.keys())
        if not strange:
            return None
        return Wrong(f"there is no node {strange[0]}", expected="names of nodes, as kubectl writes them", next="kubectl get nodes")

    def gpu_nodes(self, value: Any) -> Wrong | None:
        given, true = names(value), {each.name for each in self._offering}
        if number(value) is not None:
            return Wrong("that is a count, and names are asked for", expected="which nodes offer GPUs", next=_COLUMNS)
        if wrong := self._unknown(given):
            return wrong
        if extra := sorted(given - true):
            return Wrong(
                f"{extra[0]} offers no GPU", (_offer(self._facts[extra[0]]),), "nodes whose kubelet offers nvidia.com/gpu", _COLUMNS
            )
        if given < true:
            return Wrong("a node that offers GPUs is missing", expected="every node with nvidia.com/gpu under Allocatable", next=_COLUMNS)
        return None

    def most_gpus(self, value: Any) -> Wrong | None:
        given, most = names(value), max((each.allocatable for each in self._offering), default=0)
        if wrong := self._unknown(given):
            return wrong
        if len(given) != 1:
            return Wrong("one node is asked for", expected="the node that offers the most GPUs", next=_COLUMNS)
        node = self._facts[next(iter(given))]
        if node.allocatable < most:
            return Wrong(f"another node offers more GPUs than {node.name}", (_offer(node),), "the largest Allocatable", _COLUMNS)
        return None

    def product(self, value: Any) -> Wrong | None:
        most = max((each.allocatable for each in self._offering), default=0)
        true = {flat(each.product) for each in self._offering if each.allocatable == most}
        others = {flat(each.product): each.name for each in self._offering if flat(each.product) not in true}
        given = flat(value)
        look = "kubectl get nodes -L nvidia.com/gpu.product"
        if given in true or (len(given) > 1 and any(given in each for each in true) and not any(given in each for each in others)):
            return None
        if given in others:
            node = others[given]
            return Wrong(f"that product sits in {node}", (_offer(self._facts[node]),), "the product of the node with the most GPUs", look)
        return Wrong(
            "no label names that product there", expected="the label nvidia.com/gpu.product of the node with the most GPUs", next=look
        )

    def total(self, value: Any) -> Wrong | None:
        true = sum(each.allocatable for each in self._offering)
        given = number(value)
        if given == true:
            return None
        why = "the sum over the nodes is another"
        if given == len(self._offering):
            why = "that is how many nodes offer some, and a node may have several"
        elif given == sum(each.free for each in self._offering):
            why = "that many are free now; what Pods hold is allocatable too"
        elif given == sum(each.promised for each in self._facts.values()):
            why = "that is what the labels promise"
        return Wrong(
            why, (_offer(self._offering[0]),) if self._offering else (), "Allocatable nvidia.com/gpu, summed over all nodes", _COLUMNS
        )

    def free(self, value: Any) -> Wrong | None:
        total = sum(each.allocatable for each in self._offering)
        held = [each for each in self._offering if each.held]
        if number(value) == sum(each.free for each in self._offering):
            return None
        why = (
            "somebody holds one of those: allocatable is what a node can give away, not what is left"
            if number(value) == total
            else "another number is left"
        )
        seen = tuple(Seen(f"node/{each.name}", f"held[{GPU}]", str(each.held)) for each in held)
        look = f"kubectl describe node {held[0].name if held else ''}: Allocated resources, at the end".replace("  ", " ")
        return Wrong(why, seen, "allocatable GPUs that no Pod holds", look)

    def taint(self, value: Any) -> Wrong | None:
        true = {key for each in self._offering for key, _, _ in each.taints}
        given = str(value).strip().partition("=")[0]
        given = given.partition(":")[0]
        if given in true:
            return None
        elsewhere = [each.name for each in self._facts.values() if any(key == given for key, _, _ in each.taints)]
        if elsewhere:
            why = f"that is a taint of {elsewhere[0]}, which offers no GPU"
        elif given in {key for node in self._nodes for key in node["metadata"].get("labels") or {}}:
            why = "that is a label: it describes a node and keeps nobody away"
        else:
            why = "no GPU node has a taint of that key"
        look = f"kubectl describe node {self._offering[0].name if self._offering else ''} | grep Taints"
        return Wrong(why, expected="the key of the taint on the GPU nodes", next=look)

    def ordinary(self, value: Any) -> Wrong | None:
        given = names(value)
        true = {node["metadata"]["name"] for node in self._nodes if placement.admits({}, node)}
        if wrong := self._unknown(given):
            return wrong
        if extra := sorted(given - true):
            node = next(each for each in self._nodes if each["metadata"]["name"] == extra[0])
            keys = [each["key"] for each in placement.untolerated({}, node)] or ["it is cordoned"]
            return Wrong(
                f"a Pod that tolerates nothing is kept off {extra[0]}",
                (Seen(f"node/{extra[0]}", "spec.taints", ", ".join(keys)),),
                "nodes without a taint",
                "kubectl describe nodes | grep -E '^(Name|Taints):'",
            )
        if given < true:
            return Wrong("another node takes ordinary Pods as well", expected="every node without a taint", next=_COLUMNS)
        return None

    def counted_by(self, value: Any) -> Wrong | None:
        given = str(value).strip().rpartition("/")[2]
        found = {each["metadata"]["name"]: each for each in self._daemonsets}
        look = "kubectl -n kube-system get daemonsets"
        wanted = "the name of the DaemonSet whose Pods tell the kubelet about devices"
        if given in found:
            if observe.is_plugin(found[given]):
                return None
            return Wrong(
                f"{given} is a DaemonSet and knows nothing of devices",
                (Seen(f"daemonset/{given}", "volumes", "no plugin folder"),),
                wanted,
                look,
            )
        if given.lower() == "kubelet":
            return Wrong("the kubelet writes the number into the Node; somebody told it", expected=wanted, next=look)
        if any(given == pod["metadata"]["name"] for pod in self._pods):
            return Wrong("that is one Pod; its name changes with every restart", expected=wanted, next=look)
        return Wrong(f"there is no DaemonSet {given}", expected=wanted, next=look)
