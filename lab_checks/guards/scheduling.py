"""Where Pods may go: narrow tolerations, true selectors, and the scheduler as the one who decides."""

from __future__ import annotations

from typing import Any

from lab_checks import placement
from lab_checks.context import Context
from lab_checks.observe import GPU, GPU_TAINT, named, see
from lab_checks.verdict import Seen, fail

Object = dict[str, Any]


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


def template_has_no_node_name(deployment: Object) -> None:
    pinned = deployment["spec"]["template"]["spec"].get("nodeName")
    if pinned:
        raise fail(
            f"{named(deployment)} names its node",
            see(deployment, "spec.template.spec.nodeName", pinned),
            expected="the scheduler chooses: nodeName goes around it, and around what is free on the node",
            next="remove nodeName and let requests, tolerations and selectors say what the Pod needs",
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


def bound_by_scheduler(ctx: Context) -> None:
    for deed in ctx.deeds.changes("pods/binding"):
        raise fail(
            "a Pod was bound to its node by hand",
            Seen(f"pod/{deed.name}", "binding", deed.agent),
            expected="the scheduler's choice: it alone knows what the node has left",
            next=f"ai-lab reset {ctx.exercise.key}",
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
