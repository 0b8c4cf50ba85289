"""Lab 00-welcome: the map of the cluster. What each answer is held against: nodes, Pods and DaemonSets of this moment."""

from __future__ import annotations

import re
from typing import Any

from kubeobjects import placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU
from lab_checks.judging import answers, sheet
from lab_checks.judging.sheet import Blank

_COLUMNS = (
    "kubectl get nodes -o custom-columns="
    "'NODE:.metadata.name,GPUS:.status.allocatable.nvidia\\.com/gpu,PRODUCT:.metadata.labels.nvidia\\.com/gpu\\.product,TAINTS:.spec.taints[*].key'"
)
_PRODUCTS = "kubectl get nodes -L nvidia.com/gpu.product"
# `2x NVIDIA A100`, `two A100 cards`.
_HOW_MANY = re.compile(r"\d{1,2}x?|x\d{1,2}|one|two|three|four|cards?")


def blanks(ctx: Context) -> list[Blank]:
    """The sheet of the map, as the cluster is now."""
    facts = {each.name: each for each in ctx.gpu_facts}
    offering = {name: each for name, each in facts.items() if each.allocatable}
    most = max((each.allocatable for each in offering.values()), default=0)
    richest = {name for name, each in offering.items() if each.allocatable == most}
    total, free = (sum(each.allocatable for each in offering.values()), sum(each.free for each in offering.values()))
    holding = next((each.name for each in offering.values() if each.held), "")
    promised = sum(each.promised for each in facts.values())
    return [
        sheet.names(
            "gpu_nodes", offering, f"every node with {GPU} under Allocatable", _COLUMNS, known=facts,
            told="{} offers no GPU".format, missing="a node that offers GPUs is missing",
        ),
        Blank(
            "most_gpus", lambda said: answers.names(said, facts), lambda given: len(given) == 1 and given <= richest,
            "the one node with the largest Allocatable", _COLUMNS, form="the name of one node is asked for",
            told=lambda given: "one node is asked for" if len(given) > 1 else "".join(
                f"another node offers more GPUs than {each}" if each in facts else f"there is no node {each}" for each in given
            ),
        ),
        product(
            "product", {each.product for name, each in facts.items() if name in richest}, {each.product: name for name, each in facts.items()},
            "the label nvidia.com/gpu.product of the node with the most GPUs", _PRODUCTS,
        ),
        sheet.number(
            "total", total, f"Allocatable {GPU}, summed over all nodes", _COLUMNS,
            told={
                promised: "that is what the labels promise", free: "that many are free now; what Pods hold is allocatable too",
                len(offering): "that is how many nodes offer some, and a node may have several",
            },
            things=sheet.GPUS, whole=total,
        ),
        sheet.number(
            "free", free, "allocatable GPUs that no Pod holds", f"kubectl describe node {holding}: Allocated resources, at the end",
            told={total: "somebody holds one of those: allocatable is what a node can give away, not what is left"}, things=sheet.GPUS, whole=total,
        ),
        Blank(
            "taint", _taint_key, lambda key: key in _taint_keys(offering.values()), "the key of the taint on the GPU nodes",
            f"kubectl describe node {next(iter(offering), '')} | grep Taints", told=lambda key: _no_taint(ctx, key),
            form="the key of one taint is asked for",
        ),
        sheet.names(
            "ordinary", [node["metadata"]["name"] for node in ctx.nodes if placement.admits({}, node)], "every node without a taint",
            "kubectl describe nodes | grep -E '^(Name|Taints):'", known=facts,
            told="a Pod that tolerates nothing is kept off {}".format, missing="another node takes ordinary Pods as well",
        ),
        _counted_by(ctx),
    ]  # fmt: skip


def product(name: str, right: set[str], others: dict[str, str], asks: str, look: str) -> Blank:
    """A blank for a GPU product: its label, or words of it with the model among them; `others` is where each product sits."""

    def told(said: str) -> str:
        if answers.flat(said).startswith("cuda"):
            return "that is what the device is called inside the container"
        node = next((node for each, node in others.items() if each and each not in right and _is_product(said, each)), "")
        return f"that product sits in {node}" if node else "no label names that product there"

    return Blank(
        name, answers.phrase, lambda said: any(_is_product(said, each) for each in right), asks, look, told,
        form="the name of a product is asked for", called=(f"{GPU}.product",),
    )  # fmt: skip


def _is_product(said: str, label: str) -> bool:
    """Whether what was said is the product: whole words of its label, joined in any way, and the one that names the model."""
    parts = _parts(label)
    numbered = [each for each in parts if re.search(r"\d", each)]
    # `A100`, `T4`: a letter or two, and a number. `RTX 4090` has only a number.
    model = next((each for each in numbered if re.fullmatch(r"[a-z]{1,2}\d+[a-z]*", each)), (numbered or parts)[0])
    runs = {"".join(parts[first:last]): parts[first:last] for first in range(len(parts)) for last in range(first + 1, len(parts) + 1)}
    given = [each for each in _parts(said) if each in runs or not _HOW_MANY.fullmatch(each)]
    return all(each in runs for each in given) and any(model in runs[each] for each in given)


def _parts(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _taint_key(said: Any) -> str | None:
    """The key alone of `key`, `key=value:effect`, `key (effect)`."""
    parts = [each for each in answers.content(said) if each not in ("NoSchedule", "NoExecute", "PreferNoSchedule", "effect", "present")]
    return parts[0].partition("=")[0].partition(":")[0] if len(parts) == 1 else None


def _taint_keys(nodes: Any) -> set[str]:
    return {key for each in nodes for key, _, _ in each.taints}


def _no_taint(ctx: Context, key: str) -> str:
    elsewhere = [each.name for each in ctx.gpu_facts if key in _taint_keys([each])]
    if elsewhere:
        return f"that is a taint of {elsewhere[0]}, which offers no GPU"
    if any(key in (node["metadata"].get("labels") or {}) for node in ctx.nodes):
        return "that is a label: it describes a node and keeps nobody away"
    return "no GPU node has a taint of that key"


def _counted_by(ctx: Context) -> Blank:
    daemonsets = {each["metadata"]["name"]: observe.is_plugin(each) for each in ctx.api.list("daemonsets")}
    pods = {pod["metadata"]["name"] for pod in ctx.all_pods}

    def told(given: frozenset[str]) -> str:
        if len(given) > 1:
            return "one DaemonSet is asked for"
        name = next(iter(given))
        if name in daemonsets:
            return f"{name} is a DaemonSet and knows nothing of devices: it mounts no plugin folder"
        if name.lower() == "kubelet":
            return "the kubelet writes the number into the Node; somebody told it"
        return "that is one Pod; its name changes with every restart" if name in pods else f"there is no DaemonSet {name}"

    return Blank(
        "counted_by", lambda said: answers.names(said, daemonsets), lambda given: len(given) == 1 and all(daemonsets.get(each) for each in given),
        "the name of the DaemonSet whose Pods tell the kubelet about devices", "kubectl -n kube-system get daemonsets", told,
        form="the name of one DaemonSet is asked for",
    )  # fmt: skip
