"""Lab 03-pending: the rules behind its diagnoses and guards, and its hints."""

from __future__ import annotations

import copy
import tomllib

import pytest

from kubeobjects import Object, placement
from lab_checks.authoring import attempts
from lab_checks.engine import course, manifests, observe, paths
from lab_checks.engine import headroom as room
from lab_checks.engine.session import Session
from lab_checks.labs.pending import causes
from lab_checks.labs.pending import checks as pending
from lab_checks.labs.pending import view as pending_view
from tests.conftest import ROOT

LAB = course.load().lab("03-pending")
WAYS = attempts.load(ROOT / "tests" / "labs" / "attempts", LAB)
MANIFESTS = paths.root() / "manifests" / LAB.id
GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}


def node(
    name: str, gpus: int = 0, product: str = "", *, promised: int | None = None, cpu: str = "8", taints: list[Object] | None = None
) -> Object:
    labels = {"kubernetes.io/hostname": name}
    has = gpus if promised is None else promised
    if has:
        labels |= {f"{GPU}.present": "true", f"{GPU}.count": str(has), f"{GPU}.product": product}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints if taints is not None else [TAINT] if has else []},
        "status": {"allocatable": {"cpu": cpu, "memory": "16Gi", GPU: str(gpus)}},
    }


def nodes(a100: int = 2, t4: int = 1, cpu: str = "8") -> list[Object]:
    control = node("ai-lab-control-plane", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    return [
        control,
        node("ai-lab-worker"),
        node("ai-lab-worker2", a100, "NVIDIA-A100-SXM4-40GB", promised=2, cpu=cpu),
        node("ai-lab-worker3", t4, "Tesla-T4", promised=1, cpu=cpu),
    ]


def pod(name: str, where: str, gpus: int = 0, cpu: str = "10m") -> Object:
    limits = {GPU: str(gpus)} if gpus else {}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ai-platform"},
        "spec": {"nodeName": where, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": limits}}]},
        "status": {"phase": "Running"},
    }


def plugin(*, tolerates: bool = True) -> Object:
    spec: Object = {
        "nodeSelector": {f"{GPU}.present": "true"},
        "containers": [{"name": "plugin"}],
        "volumes": [{"name": "sockets", "hostPath": {"path": "/var/lib/kubelet/device-plugins"}}],
    }
    if tolerates:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists"}]
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "plugin"},
        "spec": {"template": {"spec": spec}},
        "status": {"desiredNumberScheduled": 2},
    }


def start_of(exercise: str) -> Object:
    """The API's Deployment in an exercise's broken start."""
    return next(each for each in manifests.tree(MANIFESTS / exercise) if each["metadata"]["name"] == "ai-log-summary-api")


def scene(exercise: str) -> causes.Scene:
    """An exercise's start as objects, without a cluster."""
    deployment, there, on_them, plugins = start_of(exercise), nodes(), [], [plugin()]
    if exercise == "rebuilt-nodes":
        there, plugins = nodes(0, 0), []
    elif exercise == "hardened-platform":
        there, plugins = nodes(0, 0), [plugin(tolerates=False)]
    elif exercise == "busy-day":
        on_them = [pod("nightly-fine-tune-1", "ai-lab-worker2", 2), pod("prompt-playground-1", "ai-lab-worker3", 1)]
    elif exercise == "free-gpu":
        on_them = [pod("log-indexer-1", "ai-lab-worker3", cpu="7600m")]
    elif exercise == "no-pod":
        message = "pods is forbidden: exceeded quota: gpu-budget"
        deployment["status"] = {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]}
    return causes.Scene(deployment, there, on_them, plugins)


def holding(now: causes.Scene) -> dict[str, causes.Finding]:
    found = {name: rule(now) for name, rule in causes.ENGINE.rules.items()}
    return {name: finding for name, finding in found.items() if finding.holds}


EXPECTED = {
    "moved-in": "taint-not-tolerated",
    "new-card": "selector-matches-no-node",
    "rounded-up": "memory-too-large",
    "friday-change": "more-than-any-node",
    "rebuilt-nodes": "no-device-plugin",
    "hardened-platform": "plugin-kept-off",
    "busy-day": "held-by-others",
    "no-pod": "quota-spent",
    "free-gpu": "cpu-used-up",
}


@pytest.mark.parametrize("exercise", EXPECTED)
def test_each_start_has_exactly_one_cause(exercise: str) -> None:
    assert list(holding(scene(exercise))) == [EXPECTED[exercise]]


def test_the_lab_has_an_exercise_for_every_cause() -> None:
    assert set(EXPECTED) == {each.id for each in LAB.exercises} == set(pending.EXERCISES)
    assert sorted(EXPECTED.values()) == sorted(causes.ENGINE.rules)
    assert all(set(each.causes) == set(causes.ENGINE.rules) for each in LAB.exercises)
    assert [each.id for each in LAB.causes] == list(causes.ENGINE.rules)


@pytest.mark.parametrize("claim", sorted(causes.ENGINE.rules))
@pytest.mark.parametrize("exercise", EXPECTED)
def test_a_cause_that_does_not_hold_says_what_speaks_against_it(exercise: str, claim: str) -> None:
    finding = causes.ENGINE.rules[claim](scene(exercise))
    assert finding.why
    assert finding.holds is (claim == EXPECTED[exercise])


def test_a_mended_deployment_has_no_cause_left() -> None:
    mended = start_of("rebuilt-nodes")
    assert holding(causes.Scene(mended, nodes(), [], [plugin()])) == {}


def test_a_pod_that_is_over_holds_no_gpu() -> None:
    before = scene("busy-day")
    over = copy.deepcopy(before.pods)
    for each in over:
        each["status"]["phase"] = "Succeeded"
    assert "held-by-others" not in holding(causes.Scene(before.deployment, before.nodes, over, before.daemonsets))


@pytest.mark.parametrize(
    ("toleration", "lets_in"),
    [
        ({"key": GPU, "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": GPU, "operator": "Exists"}, True),
        ({"key": GPU, "value": "present", "effect": "NoSchedule"}, True),
        ({"key": GPU, "value": "true", "effect": "NoSchedule"}, False),
        ({"key": GPU, "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com", "operator": "Exists"}, False),
    ],
)
def test_a_toleration_answers_the_taint_as_the_scheduler_reads_it(toleration: Object, lets_in: bool) -> None:
    assert placement.tolerates({"tolerations": [toleration]}, TAINT) is lets_in


def _affinity(operator: str, *values: str, key: str = f"{GPU}.product") -> Object:
    expression: Object = {"key": key, "operator": operator} | ({"values": list(values)} if values else {})
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


@pytest.mark.parametrize(
    ("spec", "admitted"),
    [
        ({}, ["ai-lab-worker2", "ai-lab-worker3"]),
        ({"nodeSelector": {f"{GPU}.product": "Tesla-T4"}}, ["ai-lab-worker3"]),
        (_affinity("In", "NVIDIA-A100-SXM4-40GB", "NVIDIA-H100"), ["ai-lab-worker2"]),
        (_affinity("NotIn", "Tesla-T4"), ["ai-lab-worker2"]),
        (_affinity("Gt", "1", key=f"{GPU}.count"), ["ai-lab-worker2"]),
        (_affinity("Exists", key="nvidia.com/mig"), []),
    ],
)
def test_selectors_and_affinity_admit_what_the_scheduler_would(spec: Object, admitted: list[str]) -> None:
    gpu_nodes = [each for each in nodes() if observe.promised(each)]
    assert [each["metadata"]["name"] for each in gpu_nodes if placement.selects(spec, each["metadata"]["labels"])] == admitted


def test_the_scheduler_line_taken_apart_names_each_nodes_first_no() -> None:
    template = start_of("moved-in")["spec"]["template"]["spec"]
    assert pending_view.rows(template, nodes(), []) == [
        ("ai-lab-control-plane", "untolerated taint node-role.kubernetes.io/control-plane"),
        ("ai-lab-worker", f"Insufficient {GPU}"),
        ("ai-lab-worker2", f"untolerated taint {GPU}"),
        ("ai-lab-worker3", f"untolerated taint {GPU}"),
    ]


@pytest.mark.parametrize(("cores", "each"), [(2.0, 533), (4.0, 1200), (64.0, 21200)])
def test_a_node_of_any_size_is_filled_so_that_the_api_does_not_fit(cores: float, each: int) -> None:
    assert room.part(cores, 0.4, 3) == each
    assert 400 <= round(cores * 1000) - 3 * each < 500


def test_a_node_with_nothing_left_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="nothing to fill"):
        room.part(0.41, 0.4, 3)


def test_every_holder_in_a_start_says_whose_it_is() -> None:
    for obj in manifests.tree(MANIFESTS):
        assert obj["metadata"]["labels"]["owner"], obj
        assert obj["metadata"]["namespace"] == "ai-platform", obj


def test_the_recorded_answers_are_one_of_each_kind() -> None:
    data = tomllib.loads((MANIFESTS / "assistant.toml").read_text())
    assert list(data["answers"]) == ["amber", "blue", "green"]


# On a live cluster


@pytest.mark.cluster
def test_a_diagnosis_is_held_against_the_cluster(lab_session: Session) -> None:
    exercise = LAB.exercise("friday-change")
    lab_session.start(exercise)
    line = "3 Insufficient nvidia.com/gpu"

    def says(cause: str, *evidence: str) -> str:
        return "\n".join(lab_session.diagnose(exercise, cause, list(evidence)).lines())

    assert "a further line" in says("more-than-any-node", line)
    assert "nowhere on the cluster" in says("more-than-any-node", line, "nvidia.com/gpu:  7")
    assert "needs evidence" in says("more-than-any-node")
    assert "nobody holds" in says("held-by-others", line) or "no node has 4" in says("held-by-others", line)
    assert "does not show it" in says("more-than-any-node", "1 node(s) had untolerated taint(s)")
    assert says("more-than-any-node", line, "  nvidia.com/gpu:     2").startswith("[diagnosis accepted] friday-change")


@pytest.mark.cluster
def test_the_first_hint_depends_on_what_was_looked_at(lab_session: Session) -> None:
    exercise = LAB.exercise("moved-in")
    lab_session.start(exercise)
    assert "Nothing was looked at yet" in lab_session.hint(exercise)[0]
    text, number, of = lab_session.hint(exercise)
    assert (number, of) == (2, 5)
    assert text
