"""Lab 00-welcome: what a learner typed is read in any sensible form, and each row of the comparison is judged by what two Pods show."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise
from lab_checks.engine.verdict import Stop
from lab_checks.labs.welcome import answers, compare
from lab_checks.labs.welcome.answers import Wrong
from lab_checks.labs.welcome.map import Map


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["a", "node/b"], {"a", "b"}),
        ("a, b", {"a", "b"}),
        ("b a\n", {"a", "b"}),
        ("daemonset.apps/a", {"a"}),
        ([], set()),
        (" ", set()),
        (2, {"2"}),
    ],
)
def test_names_are_read_from_lists_and_texts(value: object, found: set[str]) -> None:
    assert answers.names(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(4, 4), (4.5, 4.5), ("4 s", 4), ("133Mi", 133), ("19 MiB", 19), ("33 %", 33), ("3 GPUs", 3), ("1,5", 1.5), ("~5", 5)]
    + [(each, None) for each in (True, "", "many", "4 or 5", None, "-3", [4], "1e9 s or so", "nan", "inf")],
)
def test_a_number_is_read_with_its_unit_or_not_at_all(value: object, found: float | None) -> None:
    assert answers.number(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [("1/3", 100 / 3), (0.33, 33.0), (33, 33.0), ("33 %", 33.0), ("0.5 %", 0.5), (1, 1.0), ("1/0", None), ("a third", None)],
)
def test_a_share_is_read_as_percent_or_fraction(value: object, found: float | None) -> None:
    read = answers.percent(value)
    assert read == found if found is None else read == pytest.approx(found)


PAGE = """# HELP model_queue_depth Requests that wait.
# TYPE model_queue_depth gauge
model_queue_depth 0.0
# TYPE model_requests_total counter
model_time_to_first_token_seconds_bucket{le="0.1"} 0.0
process_resident_memory_bytes 1.048576e+06
"""


def test_metrics_are_read_with_those_that_are_only_announced() -> None:
    assert {"model_queue_depth", "model_requests_total", "model_time_to_first_token_seconds_bucket"} <= compare.metric_names(PAGE)
    assert compare.metric(PAGE, "process_resident_memory_bytes") == 1024**2
    assert compare.metric(PAGE, "process_resident") is None
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


class Answers:
    """What `judged` reads of a Context."""

    def __init__(self, **given: object):
        self.answers = given
        self.exercise = Exercise(lab="00-welcome", id="cluster-map", title="", goal="")


def judge(value: object) -> Wrong | None:
    return None if value == "right" else Wrong("it is not so")


@pytest.mark.parametrize(
    ("given", "outcome", "says"),
    [
        ({}, "not yet", "nothing has been answered yet"),
        ({"a": "", "b": None}, "not yet", "nothing has been answered yet"),
        ({"a": "right"}, "not yet", "1 of 2 answers hold; not answered yet: b"),
        ({"b": "wrong"}, "failed", "b: it is not so"),
        ({"a": "right", "b": 0}, "failed", "b: it is not so"),
    ],
)
def test_a_sheet_is_judged_answer_by_answer(given: Object, outcome: str, says: str) -> None:
    with pytest.raises(Stop) as stopped:
        answers.judged(Answers(**given), {"a": judge, "b": judge}, "kubectl get nodes")  # type: ignore[arg-type]
    assert (str(stopped.value.verdict.outcome), stopped.value.verdict.headline) == (outcome, says)
    assert stopped.value.verdict.credit < 1


def test_a_sheet_without_a_mistake_says_nothing() -> None:
    answers.judged(Answers(a="right", b="right"), {"a": judge, "b": judge}, "")  # type: ignore[arg-type]


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
    ("product", "L4", "no label names that product there"),
    ("product", "NVIDIA-L4", "sits in edge"),
    ("product", "NVIDIA", "no label names that product there"),
    ("total", 9, "free now"),
    ("total", 2, "how many nodes"),
    ("total", True, "another"),
    ("free", 12, "somebody holds"),
    ("taint", "node-role.kubernetes.io/control-plane", "no GPU node has"),
    ("taint", "nvidia.com/gpu.count=8", "that is a label"),
    ("ordinary", "plain", "another node takes"),
    ("ordinary", ["plain", "other", "edge"], "kept off edge"),
    ("counted_by", "kindnet", "knows nothing of devices"),
    ("counted_by", "held", "that is one Pod"),
    ("counted_by", "Kubelet", "somebody told it"),
]


def judges() -> dict[str, answers.Judge]:
    exercise = Exercise(lab="00-welcome", id="cluster-map", title="", goal="")
    return Map(Context(Cluster(), exercise, {}, {}, lambda: None)).judges()  # type: ignore[arg-type, return-value]


def test_the_map_of_another_cluster_has_other_answers() -> None:
    assert {name: found(RIGHT[name]) for name, found in judges().items()} == dict.fromkeys(RIGHT)


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_reading_of_the_map_is_told_what_it_is(name: str, value: object, says: str) -> None:
    wrong = judges()[name](value)
    assert wrong is not None
    assert says in wrong.headline
