"""Where Pods may go: narrow tolerations, true selectors, and the scheduler as the one who decides."""

from __future__ import annotations

import re

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, GPU_TAINT, named, see
from lab_checks.engine.verdict import Seen, fail

# Gigabytes of cards whose product label does not say them (NVIDIA's data sheets).
_MEMORY = {
    "T4": 16,
    "P4": 8,
    "A10": 24,
    "A30": 24,
    "A40": 48,
    "L4": 24,
    "L40": 48,
    "L40S": 48,
    "V100": 16,
    "H100": 80,
    "H200": 141,
    "B200": 180,
}
_NEXT = "the-next-node-of-this-kind"


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


def tolerates_only_gpus(ctx: Context, owner: Object) -> None:
    """The template tolerates the taint of the GPU nodes and, beyond what it tolerated at the start, no other: not even one that no node has today."""
    kind, metadata = f"{owner.get('kind', 'Deployment').lower()}s", owner["metadata"]
    before = (ctx.before(kind, metadata["name"], metadata["namespace"]).get("spec") or {}).get("template", {}).get("spec", {})
    known = before.get("tolerations") or []
    for each in owner["spec"]["template"]["spec"].get("tolerations") or []:
        if each.get("key") != GPU_TAINT and each not in known:
            raise fail(
                f"{named(owner)} tolerates {each.get('key')} as well",
                see(owner, "tolerations", each.get("key")),
                expected=f"a toleration for {GPU_TAINT} and no other: a node that has another taint keeps itself free for a reason",
                next=f"remove the toleration for {each.get('key')}",
            )


# What the control plane itself lets a Pod tolerate for a while when its node goes away.
_BY_ADMISSION = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def tolerates_only(pod_spec: Object, owner: Object, key: str) -> None:
    """No toleration for another taint than the one with this key, also for none that a node has today."""
    for each in pod_spec.get("tolerations") or []:
        other = each.get("key", "")
        if other and other != key and not (other in _BY_ADMISSION and each.get("effect") == "NoExecute"):
            raise fail(
                f"{named(owner)} tolerates {other} as well",
                see(owner, "tolerations", other),
                expected=f"a toleration for {key} and no other: a node that has another taint keeps itself free for a reason",
                next=f"remove the toleration for {other}",
            )


def template_has_no_node_name(deployment: Object) -> None:
    pinned = deployment["spec"]["template"]["spec"].get("nodeName")
    if pinned:
        raise fail(
            f"{named(deployment)} names its node",
            see(deployment, "spec.template.spec.nodeName", pinned),
            expected="the scheduler chooses: nodeName goes around it, and around what is free on the node",
            next="remove nodeName and let requests, tolerations and selectors say what the Pod needs",
        )


def _labels_at_start(ctx: Context, node: Object) -> dict[str, str]:
    """The labels that a node had when the exercise began; those that it has now where it came later."""
    return dict((ctx.baseline["nodes"].get(node["metadata"]["name"]) or {}).get("labels") or node["metadata"].get("labels") or {})


def next_of_its_kind(ctx: Context, node: Object) -> Object:
    """The node that joins tomorrow with the same hardware: of another name, and without what a person put onto this one since the start."""
    labels = {**_labels_at_start(ctx, node), "kubernetes.io/hostname": _NEXT}
    spec = {**node["spec"], "taints": (ctx.baseline["nodes"].get(node["metadata"]["name"]) or node["spec"]).get("taints") or []}
    return {**node, "metadata": {**node["metadata"], "name": _NEXT, "labels": labels}, "spec": spec}


def tied_to_no_node(ctx: Context, owner: Object) -> None:
    """The template says what it needs of a node, and not which node: neither by name nor by a label that was put there for it."""
    spec = owner["spec"]["template"]["spec"]
    for node in ctx.nodes:
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        twin = next_of_its_kind(ctx, node)["metadata"]["labels"]
        if not placement.selects(spec, labels, name) or placement.selects(spec, twin, _NEXT):
            continue
        by_name = not placement.selects(spec, {**labels, "kubernetes.io/hostname": _NEXT}, _NEXT)
        how = "by its name" if by_name else "by a label that was put onto it by hand"
        raise fail(
            f"{named(owner)} is tied to {name} {how}",
            see(owner, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec)),
            expected="a selector for what the Pod needs, by labels that every node of the kind carries: the next node of this kind has another name",
            next="kubectl get nodes --show-labels",
        )


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


def admits_exactly(ctx: Context, owner: Object, product: str) -> None:
    """The template's selector admits every node with this product, also one that joins tomorrow, and no GPU node with another."""
    tied_to_no_node(ctx, owner)
    spec = owner["spec"]["template"]["spec"]
    chosen = see(owner, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec) or "<none>")
    gpu_nodes = [node for node in ctx.nodes if _labels_at_start(ctx, node).get(f"{GPU}.present") == "true"]
    for node in gpu_nodes:
        name, labels = node["metadata"]["name"], _labels_at_start(ctx, node)
        if placement.selects(spec, labels, name) and labels.get(f"{GPU}.product") != product:
            raise fail(
                f"{named(owner)} would go to {name} as well",
                chosen,
                Seen(f"node/{name}", f"labels[{GPU}.product]", labels.get(f"{GPU}.product", "")),
                expected=f"a selector for {product}: where the Pod lands must not be luck",
                next="kubectl get nodes -L nvidia.com/gpu.product",
            )
    # Nodes that may join tomorrow: each card in another number, and a card that the cluster does not have yet.
    for node in gpu_nodes:
        twin = next_of_its_kind(ctx, node)["metadata"]["labels"]
        for card in (twin.get(f"{GPU}.product", ""), "another-card", *_smaller_cards(spec, product)):
            for count in (twin.get(f"{GPU}.count", "1"), "1", "2", "8"):
                labels = {**twin, f"{GPU}.product": card, f"{GPU}.count": count}
                if placement.selects(spec, labels, _NEXT) and card != product:
                    raise fail(
                        f"{named(owner)} would also go to a node with another card that joins tomorrow",
                        chosen,
                        Seen("a node that joins", f"labels[{GPU}.product]", f"{card}, {count} of them"),
                        expected=f"a selector that names what is wanted, {product}: what it leaves open, luck decides",
                        next="kubectl get nodes -L nvidia.com/gpu.product",
                    )
                if card == product and not placement.selects(spec, labels, _NEXT) and _near(spec, node):
                    raise fail(
                        f"{named(owner)} would not go to every node with {product}",
                        chosen,
                        Seen("a node that joins", f"labels[{GPU}.product]", f"{card}, {count} of them"),
                        expected=f"a selector for the card ({GPU}.product), and for nothing that differs from node to node",
                        next="kubectl get nodes -L nvidia.com/gpu.product,nvidia.com/gpu.count",
                    )


def _smaller_cards(spec: Object, product: str) -> set[str]:
    """The cards that a template's selector names beside the product, whether the cluster has them or not, save for those with as much memory."""
    terms = placement.required_terms(spec) or []
    expressions = [each for term in terms for each in term.get("matchExpressions") or []]
    named = {value for each in expressions if each["key"] == f"{GPU}.product" and each["operator"] == "In" for value in each["values"]}
    return {card for card in named if card != product and _gigabytes(card) < _gigabytes(product)} if product in named else set()


def _gigabytes(product: str) -> int:
    """The memory of a card by its product label: as the name says it, else by its family; 0 for one that nobody knows."""
    if found := re.search(r"(\d+)GB", product):
        return int(found[1])
    return next((size for family, size in _MEMORY.items() if re.search(rf"(^|-){family}(-|$)", product)), 0)


def _near(spec: Object, node: Object) -> bool:
    """Whether the template's selector admits this node: one that admits none is still broken, and the Pending Pod says so."""
    return placement.selects(spec, node["metadata"].get("labels") or {}, node["metadata"]["name"])
