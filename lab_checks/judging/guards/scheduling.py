"""Where Pods may go: narrow tolerations, true selectors, and the scheduler as the one who decides."""

from __future__ import annotations

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, GPU_TAINT, named, see
from lab_checks.engine.verdict import Seen, fail

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


def pushes_nobody_off(ctx: Context, deployment: Object) -> None:
    """The Pods have no priority by which they could preempt what others run."""
    for pod in ctx.pods_of(deployment):
        priority = pod["spec"].get("priority", 0)
        if priority > 0 and pod["spec"].get("preemptionPolicy") != "Never":
            raise fail(
                f"{named(deployment)} may push others off their nodes now",
                see(pod, "spec.priority", f"{priority} ({pod['spec'].get('priorityClassName') or 'no class'})"),
                expected="the priority that it had: with a higher one the scheduler stops other people's Pods, today or at the next full node",
                next="remove priorityClassName from the template",
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
    for deed in ctx.deeds.changes("pods/status"):
        raise fail(
            "the status of a Pod was written by hand",
            Seen(f"pod/{deed.name}", "status", f"{deed.verb} of pods/status"),
            expected="what the kubelet says of it: a status starts no process",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    for deed in ctx.deeds.changes("pods/binding", "bindings"):
        raise fail(
            "a Pod was bound to its node by hand",
            Seen(f"pod/{deed.name}", "binding", deed.agent),
            expected="the scheduler's choice: it alone knows what the node has left",
            next=f"ai-lab reset {ctx.exercise.key}",
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
        for card in (twin.get(f"{GPU}.product", ""), "another-card"):
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


def _near(spec: Object, node: Object) -> bool:
    """Whether the template's selector admits this node: one that admits none is still broken, and the Pending Pod says so."""
    return placement.selects(spec, node["metadata"].get("labels") or {}, node["metadata"]["name"])
