"""Selectors that mean what they say tomorrow too, and priorities that push nobody off."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.judging import guards
from tests.lab_checks.guards.world import GPU, Lists, context, deployment, node, said

A100, T4 = "NVIDIA-A100-SXM4-40GB", "Tesla-T4"
NODES = [node("cpu"), node("a100", A100, 2), node("t4", T4, 1)]


def required(key: str, operator: str, *values: str) -> Object:
    expression: Object = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"nodeSelector": {f"{GPU}.product": A100}}, ""),
        (required(f"{GPU}.product", "In", A100, "NVIDIA-A100-SXM4-80GB"), ""),
        (required(f"{GPU}.product", "In", A100, "NVIDIA-A100-SXM4-20GB"), "another card that joins tomorrow"),
        (required(f"{GPU}.product", "In", A100, "NVIDIA-L4"), "another card that joins tomorrow"),
        ({"nodeSelector": {f"{GPU}.product": A100, f"{GPU}.present": "true"}}, ""),
        ({}, "would go to t4 as well"),
        ({"nodeSelector": {"kubernetes.io/hostname": "a100"}}, "is tied to a100 by its name"),
        ({"nodeSelector": {"card": "large"}}, "is tied to a100 by a label that was put onto it by hand"),
        ({"nodeSelector": {f"{GPU}.count": "2"}}, "another card that joins tomorrow|would not go to every node"),
        ({"nodeSelector": {f"{GPU}.product": A100, f"{GPU}.count": "2"}}, "would not go to every node with NVIDIA-A100"),
        (required(f"{GPU}.count", "Gt", "1"), "another card that joins tomorrow|would not go to every node"),
        (required(f"{GPU}.product", "NotIn", T4), "another card that joins tomorrow"),
        (required("kubernetes.io/hostname", "NotIn", "t4"), "another card that joins tomorrow"),
    ],
)
def test_a_selector_for_a_card_holds_for_the_nodes_that_join_tomorrow(spec: Object, words: str) -> None:
    labelled = [node("cpu"), node("a100", A100, 2, card="large"), node("t4", T4, 1)]
    ctx = context(Lists(nodes=NODES), Lists(nodes=labelled))
    heard = said(guards.admits_exactly, ctx, deployment(**spec), A100)
    assert bool(heard) is bool(words)
    assert not words or any(each in heard for each in words.split("|"))


def test_a_selector_that_admits_no_node_yet_is_left_to_the_pending_pod() -> None:
    ctx = context(Lists(nodes=NODES))
    assert said(guards.admits_exactly, ctx, deployment(nodeSelector={f"{GPU}.product": "NVIDIA-A100"}), A100) == ""


@pytest.mark.parametrize(
    ("toleration", "says"),
    [
        ({"key": GPU, "operator": "Exists"}, ""),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}, ""),
        (
            {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
            "tolerates node.kubernetes.io/unschedulable",
        ),
        ({"key": "maintenance", "operator": "Exists"}, "tolerates maintenance"),
    ],
)
def test_a_toleration_for_a_taint_that_no_node_has_is_told(toleration: Object, says: str) -> None:
    heard = said(guards.tolerates_only, {"tolerations": [toleration]}, deployment(), GPU)
    assert (says in heard) if says else not heard
