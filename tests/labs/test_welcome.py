"""Lab 00-welcome: what a learner typed is read in any sensible form, and each row of the comparison is judged by what two Pods show."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise
from lab_checks.engine.verdict import Stop
from lab_checks.judging.sheet import Blank
from lab_checks.labs.welcome import compare
from lab_checks.labs.welcome.map import blanks

PAGE = """# HELP model_queue_depth Requests that wait.
# TYPE model_queue_depth gauge
model_queue_depth 0.0
# TYPE model_requests_total counter
model_time_to_first_token_seconds_bucket{le="0.1"} 0.0
process_resident_memory_bytes 1.048576e+06
"""


def test_metrics_are_read_with_those_that_are_only_announced() -> None:
    assert {"model_queue_depth", "model_requests_total", "model_time_to_first_token_seconds_bucket"} <= compare.metric_names(PAGE)
    assert compare.family('model_time_to_first_token_seconds_bucket{le="0.1"}') == "model_time_to_first_token_seconds"


def pod(*, created: int = 0, started: int = 1, ready: int = 5, restarts: int = 0) -> Object:
    def at(second: int) -> str:
        return f"2026-01-01T00:00:{second:02d}Z"

    return {
        "kind": "Pod",
        "metadata": {"name": "a", "creationTimestamp": at(created)},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(ready)}],
            "containerStatuses": [{"name": "a", "restartCount": restarts, "state": {"running": {"startedAt": at(started)}}}],
        },
    }


def test_a_start_is_measured_from_the_container_or_from_the_pods_creation() -> None:
    least, most = compare.seconds_to_ready(pod())
    assert 2.9 < least < 3 < 5 < most < 6.1
    # The load alone, as the log tells it, is a right answer too.
    assert compare.seconds_to_ready(pod(), load=3.0)[0] < 2
    # After a restart, the Pod's creation says nothing about its start.
    assert compare.seconds_to_ready(pod(started=40, ready=44, restarts=1))[1] < 6
    starting = pod()
    starting["status"]["containerStatuses"][0]["state"] = {"waiting": {}}
    with pytest.raises(Stop):
        compare.seconds_to_ready(starting)


def node(name: str, gpus: int, product: str = "", taint: str = "") -> Object:
    offer = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    labels = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.count": str(gpus), "nvidia.com/gpu.present": "true"} if gpus else {}
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}, "status": {"capacity": offer, "allocatable": offer}}


class Cluster:
    """The two requests that a map makes, answered from another cluster than the course's."""

    def list(self, kind: str) -> list[Object]:
        if kind == "nodes":
            return [
                node("edge", 4, "NVIDIA-L4", "dedicated"),
                node("big", 8, "NVIDIA-H100", "dedicated"),
                node("plain", 0),
                node("other", 0),
            ]
        if kind == "pods":
            spec = {"nodeName": "big", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "3"}}}]}
            return [{"metadata": {"name": "held"}, "spec": spec, "status": {"phase": "Running"}}]
        sockets = {"hostPath": {"path": "/var/lib/kubelet/device-plugins"}}
        return [
            {"metadata": {"name": name}, "spec": {"template": {"spec": {"volumes": volumes}}}}
            for name, volumes in (("kindnet", []), ("vendor-plugin", [sockets]))
        ]


RIGHT = {
    "gpu_nodes": "big, edge", "most_gpus": "big", "product": "H100", "total": 12, "free": 9, "taint": "dedicated", "ordinary": ["plain", "other"],
    "counted_by": "vendor-plugin",
}  # fmt: skip
WRONG: list[tuple[str, object, str]] = [
    ("gpu_nodes", "big", "is missing"),
    ("gpu_nodes", ["big", "edge", "moon"], "no node moon"),
    ("most_gpus", "edge", "another node offers more"),
    ("most_gpus", "edge, big", "one node is asked for"),
    ("product", "L4", "sits in edge"),
    ("product", "NVIDIA-L4", "sits in edge"),
    ("product", "NVIDIA", "no label names that product there"),
    ("total", 9, "free now"),
    ("total", "twelve or so", "a number is asked for"),
    ("total", 2, "how many nodes"),
    ("total", True, "a number is asked for"),
    ("free", 12, "somebody holds"),
    ("taint", "node-role.kubernetes.io/control-plane", "no GPU node has"),
    ("taint", "nvidia.com/gpu.count=8", "that is a label"),
    ("ordinary", "plain", "another node takes"),
    ("ordinary", ["plain", "other", "edge"], "kept off edge"),
    ("counted_by", "kindnet", "knows nothing of devices"),
    ("counted_by", "held", "that is one Pod"),
    ("counted_by", "Kubelet", "somebody told it"),
]


def map_sheet() -> dict[str, Blank]:
    exercise = Exercise(lab="00-welcome", id="cluster-map", title="", goal="")
    return {each.name: each for each in blanks(Context(Cluster(), exercise, {}, {}, lambda: None))}  # type: ignore[arg-type, return-value]


def test_the_map_of_another_cluster_has_other_answers() -> None:
    assert {name: blank.wrong(RIGHT[name]) for name, blank in map_sheet().items()} == dict.fromkeys(RIGHT, "")


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_reading_of_the_map_is_told_what_it_is(name: str, value: object, says: str) -> None:
    assert says in map_sheet()[name].wrong(value)


@pytest.mark.parametrize(
    "given", ["dedicated", "dedicated=x:NoSchedule", "dedicated:NoSchedule", "the taint dedicated (NoSchedule)", "`dedicated`"]
)
def test_a_taint_is_named_by_its_key(given: str) -> None:
    assert map_sheet()["taint"].wrong(given) == ""


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ("NVIDIA-H100", True),
        ("H100", True),
        ("an NVIDIA H100", True),
        ("h100 nvidia", True),
        ("NVIDIA", False),
        ("L4", False),
        ("GPU", False),
        ("H1", False),
        ("1", False),
        ("N", False),
        ("100", False),
        ("not an H100", False),
        ("H100 or L4", False),
        ("NVIDIA H200", False),
        ("2x NVIDIA H100", True),
        ("NVIDIA-H100 (8 of them)", True),
        ("nvidia.com/gpu.product=NVIDIA-H100", True),
    ],
)
def test_a_product_is_named_by_its_label_or_by_whole_words_with_its_model(given: str, fits: bool) -> None:
    assert (map_sheet()["product"].wrong(given) == "") is fits
