"""Nodes as they were: taints, truthful labels, cordons, status."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.baseline import TRUTHS, node_rules
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.engine.verdict import Seen, fail


def nodes_untouched(ctx: Context, *, except_faults: bool = False) -> None:
    """Taints, truthful labels and cordons of all nodes are as they were."""
    now = {node["metadata"]["name"]: node for node in ctx.nodes}
    for name, before in ctx.baseline["nodes"].items():
        if name not in now:
            raise fail(
                f"node {name} is gone",
                Seen(f"node/{name}", "", "not found"),
                expected="all nodes still there",
                next="a node that was deleted comes back when its kubelet registers again: ask an operator, or start the lab over",
            )
        rules = node_rules(now[name])
        if gone := [taint for taint in before["taints"] if taint not in rules["taints"]]:
            text = ", ".join(_taint(each) for each in gone)
            raise fail(
                f"the taint on {name} was removed",
                see(now[name], "spec.taints", f"{text} is missing"),
                expected="the node keeps its taint: it keeps everything that needs no GPU off a node that costs a hundred times as much",
                next=f"put it back (kubectl taint nodes {name} {_taint(gone[0])}) and let the Pod tolerate it",
            )
        if added := [taint for taint in rules["taints"] if taint not in before["taints"]]:
            raise fail(
                f"{name} has a taint that it had not",
                see(now[name], "spec.taints", ", ".join(_taint(each) for each in added)),
                expected="nodes as they were",
                next=f"kubectl taint nodes {name} {added[0]['key']}-",
            )
        for key in sorted(before["labels"].keys() | rules["labels"].keys()):
            if key.startswith(TRUTHS) and before["labels"].get(key) != rules["labels"].get(key):
                raise fail(
                    f"the label {key} of {name} no longer tells the truth",
                    see(now[name], f"metadata.labels[{key}]", f"{rules['labels'].get(key)}, was {before['labels'].get(key)}"),
                    expected="a label describes the hardware; changing the label changes no hardware",
                    next=f"set it back to {before['labels'].get(key)} and change what the Pod asks for",
                )
        if rules["unschedulable"] != before["unschedulable"]:
            word = "cordoned" if rules["unschedulable"] else "uncordoned"
            raise fail(
                f"{name} was {word}", see(now[name], "spec.unschedulable", rules["unschedulable"]), expected="nodes as they were",
                next=f"kubectl {'uncordon' if rules['unschedulable'] else 'cordon'} {name}",
            )  # fmt: skip
        if not except_faults and rules["faults"] != before["faults"]:
            raise fail(f"the device faults on {name} were edited by hand", see(now[name], "metadata.annotations", rules["faults"]))


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def node_status_untouched(ctx: Context) -> None:
    """Nobody wrote a node's status: what it has is the kubelet's to say."""
    for deed in ctx.deeds.changes("nodes/status"):
        raise fail(
            f"the status of {deed.name} was written by hand",
            Seen(f"node/{deed.name}", "status", f"{deed.verb} of nodes/status"),
            expected="capacity and allocatable as the kubelet reports them: a number in the status is no device in the machine",
            next=f"ai-lab reset {ctx.exercise.key}; then ask who tells the kubelet about devices",
        )
    for facts in ctx.gpu_facts:
        if facts.allocatable > facts.promised:
            raise fail(
                f"{facts.name} offers more GPUs than it has",
                Seen(f"node/{facts.name}", f"allocatable[{GPU}]", f"{facts.allocatable}, and {facts.promised} are built in"),
                expected="what the kubelet learned from the device plugin",
                next=f"kubectl describe node {facts.name}",
            )
