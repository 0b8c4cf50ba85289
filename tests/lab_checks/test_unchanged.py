"""What differs between two looks at a cluster, what an exercise allows of it, and the words for the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine import course
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.snapshot import Snapshot, essence
from lab_checks.judging import unchanged
from lab_checks.judging.diff import changed_paths

NAMESPACE = "ai-platform"
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
ENV = "spec.template.spec.containers[server].env"
API: Object = {
    "metadata": {"name": "api", "namespace": NAMESPACE, "uid": "1", "labels": {"app": "api"}},
    "spec": {
        "replicas": 1,
        "template": {
            "metadata": {"labels": {"app": "api"}},
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "image": "server:v1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"limits": {"memory": "64Mi", "nvidia.com/gpu": "1"}},
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
                    }
                ],
                "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}],
            },
        },
    },
}


def edited(edit: str) -> Object:
    """A copy of API after a line of Python on its `spec`, `pod` (the Pod's spec) and `server` (the container)."""
    found = copy.deepcopy(API)
    pod = found["spec"]["template"]["spec"]
    names: dict[str, Any] = {"metadata": found["metadata"], "spec": found["spec"], "pod": pod, "server": pod["containers"][0]}
    exec(edit, names)
    return found


def cluster(**kinds: list[Object]) -> Snapshot:
    def key(obj: Object) -> str:
        namespace = obj["metadata"].get("namespace")
        return f"{namespace}/{obj['metadata']['name']}" if namespace else str(obj["metadata"]["name"])

    return {kind: {key(each): essence(kind, each) for each in objects} for kind, objects in kinds.items()}


@pytest.mark.parametrize(
    ("edit", "fields"),
    [
        ("pod['tolerations'].reverse()", []),
        ("server['env'].append({'name': 'C', 'value': '3'})", [f"{ENV}[C].name", f"{ENV}[C].value"]),
        ("server['env'].reverse()", []),
        ("server['image'] = 'server:v2'", ["spec.template.spec.containers[server].image"]),
        ("server['ports'][0]['hostPort'] = 80", ["spec.template.spec.containers[server].ports[8080].hostPort"]),
        ("server['resources']['limits']['memory'] = '65536Ki'", []),
        ("server['resources']['limits']['memory'] = '1Gi'", ["spec.template.spec.containers[server].resources.limits[memory]"]),
        ("pod['nodeSelector'] = {}", []),
        ("pod['volumes'] = [{'name': 'v', 'hostPath': {'path': '/'}}]", ["spec.template.spec.volumes[v].name", "spec.template.spec.volumes[v].hostPath.path"]),
        ("metadata.setdefault('annotations', {})['deployment.kubernetes.io/revision'] = '2'", []),
        ("metadata.setdefault('annotations', {})['note'] = 'x'", ["metadata.annotations[note]"]),
        ("spec['paused'] = True", ["spec.paused"]),
        ("spec['paused'] = False", []),
    ],
)  # fmt: skip
def test_paths_of_what_differs(edit: str, fields: list[str]) -> None:
    assert [each.field for each in changed_paths(API, edited(edit))] == fields


def test_a_part_that_came_as_a_whole_is_one_part() -> None:
    found = changed_paths(API, edited("server['livenessProbe'] = {'httpGet': {'path': '/healthz', 'port': 8080}, 'periodSeconds': 5}"))
    assert {each.part_field for each in found} == {"spec.template.spec.containers[server].livenessProbe"}


@pytest.mark.parametrize(
    ("edit", "allow", "ok"),
    [
        ("spec['replicas'] = 2", {"deployments/api": ("replicas",)}, True),
        ("spec['replicas'] = 2", {"deployments/other": ("replicas",)}, False),
        ("spec['replicas'] = 2", {"deployments/ai-platform/api": ("spec.replicas",)}, True),
        ("spec['replicas'] = 2", {"deployments/*": ("*",)}, True),
        ("pod['nodeSelector'] = {'a': 'b'}", {"deployments/api": ("nodeSelector",)}, True),
        ("pod['affinity'] = {'podAntiAffinity': {'x': 1}}", {"deployments/api": ("affinity.nodeAffinity",)}, False),
        ("pod['affinity'] = {'nodeAffinity': {'x': 1}}", {"deployments/api": ("affinity.nodeAffinity",)}, True),
        ("server['resources']['limits']['memory'] = '1Gi'", {"deployments/api": ("containers[server].resources",)}, True),
        ("server['resources']['limits']['memory'] = '1Gi'", {"deployments/api": ("containers[*].resources",)}, True),
        ("server['resources']['limits']['memory'] = '1Gi'", {"deployments/api": ("containers[sidecar].resources",)}, False),
        ("server['resources']['limits']['memory'] = '1Gi'", {"deployments/api": ("resources",)}, True),
        ("server['env'][0]['value'] = '9'", {"deployments/api": ("containers[server].env[A]",)}, True),
        ("server['env'][1]['value'] = '9'", {"deployments/api": ("containers[server].env[A]",)}, False),
    ],
)
def test_what_an_exercise_allows(edit: str, allow: dict[str, tuple[str, ...]], ok: bool) -> None:
    found = unchanged.differences(cluster(deployments=[API]), cluster(deployments=[edited(edit)]), allow, NAMESPACE)
    assert (found == []) is ok


def said(before: Snapshot, now: Snapshot) -> str:
    exercise = course.load().find("03-pending/moved-in")[1]
    assert exercise is not None
    return "\n".join(unchanged.verdict(exercise, unchanged.differences(before, now, {}, NAMESPACE)).lines())


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("server['ports'][0]['hostPort'] = 80", "opens a port of its node: hostPort 80"),
        ("server['securityContext'] = {'privileged': True}", "runs a privileged container"),
        ("pod['serviceAccountName'] = 'god'", "runs under another service account"),
        ("pod['priorityClassName'] = 'system-node-critical'", "has another priority"),
        ("pod['nodeName'] = 'n'", "names its node"),
        ("pod['hostNetwork'] = True", "sets hostNetwork: spec.template.spec.hostNetwork is true"),
        ("server['readinessProbe']['failureThreshold'] = 100000", "a probe of deployment api changed"),
        ("spec['minReadySeconds'] = 3600", "rolls out in another way"),
        ("spec['paused'] = True", "deployment api is paused: spec.paused is true"),
        ("server['env'][0]['value'] = '9'", "no longer runs what it ran"),
        (
            "pod['containers'].append({'name': 'proxy', 'image': 'proxy:v1', 'env': [{'name': 'A', 'value': '1'}]})",
            "has other containers than it had: spec.template.spec.containers[proxy]",
        ),
        (
            "pod['initContainers'] = [{'name': 'waits', 'image': 'busybox'}]",
            "has other containers than it had: spec.template.spec.initContainers",
        ),
        ("server['lifecycle'] = {'preStop': {'sleep': {'seconds': 9}}}", "starts or ends in another way"),
        ("spec['replicas'] = 5", "was scaled: spec.replicas is 5, was 1"),
        ("pod['topologySpreadConstraints'] = [{'topologyKey': 'z', 'whenUnsatisfiable': 'DoNotSchedule'}]", "selects other nodes"),
        ("spec['suspend'] = True", "deployment api is suspended"),
        ("metadata['uid'] = '2'", "was deleted and created again"),
    ],
)
def test_each_harmful_change_has_words_of_its_own(edit: str, words: str) -> None:
    assert words in said(cluster(deployments=[API]), cluster(deployments=[edited(edit)]))


@pytest.mark.parametrize(
    ("labels", "taints", "words"),
    [
        ({"nvidia.com/gpu.count": "4"}, [TAINT], "the label nvidia.com/gpu.count of n changed: it is 4, was 2"),
        ({"nvidia.com/gpu.count": "2"}, [], "the taints of n changed: nvidia.com/gpu:NoSchedule was removed"),
        ({"nvidia.com/gpu.count": "2"}, [TAINT, {**TAINT, "key": "mine"}], "the taints of n changed: mine:NoSchedule was added"),
    ],
)
def test_a_change_of_a_node_is_told_by_its_label_or_taint(labels: Object, taints: list[Object], words: str) -> None:
    def node(labels: Object, taints: list[Object]) -> Snapshot:
        return cluster(nodes=[{"metadata": {"name": "n", "uid": "n", "labels": labels}, "spec": {"taints": taints}}])

    assert words in said(node({"nvidia.com/gpu.count": "2"}, [TAINT]), node(labels, taints))


def named(name: str, namespace: str | None = NAMESPACE, **rest: Any) -> Object:
    return {"metadata": {"name": name, "uid": name, **({"namespace": namespace} if namespace else {})}, **rest}


@pytest.mark.parametrize(
    ("kind", "obj", "words"),
    [
        ("clusterrolebindings", named("god", None), "clusterrolebinding god was not there at the start"),
        ("services", named("leak", "default"), "kubectl delete service leak -n default"),
        ("endpointslices", named("hand"), "endpointslice hand was not there at the start"),
        ("resourcequotas", named("lock", spec={}), "a new one keeps other people's Pods away"),
        ("horizontalpodautoscalers", named("api"), "an autoscaler changes it behind your back"),
        ("pods", named("hog", spec={}), "a Pod that no controller owns was left in namespace ai-platform: hog"),
        ("namespaces", named("mine", None), "namespace mine was not there at the start"),
        ("ingresses", named("door", "other"), "kubectl delete ingress door -n other"),
        ("persistentvolumes", named("disk", None, spec={}), "persistentvolume disk was not there at the start"),
    ],
)
def test_what_was_created_anywhere_is_named_with_the_command_that_removes_it(kind: str, obj: Object, words: str) -> None:
    assert words in said({}, cluster(**{kind: [obj]}))


def test_what_a_controller_makes_is_no_difference() -> None:
    owned = named("api-1")
    owned["metadata"]["ownerReferences"] = [{"controller": True, "uid": "1"}]
    from lab_checks.engine.snapshot import _is_derived

    assert _is_derived("pods", owned)
    assert _is_derived("configmaps", named("kube-root-ca.crt"))
    assert not _is_derived("endpointslices", named("hand"))
    going = named("hog")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _is_derived("pods", going)
    # What was deleted and is held back by a finalizer counts as deleted.
    assert _is_derived("persistentvolumeclaims", going)
    assert not _is_derived("namespaces", going)


def test_a_class_that_was_there_for_a_moment_is_seen() -> None:
    found = unchanged.written_meanwhile(deed("storageclasses", "fast-nvme", "create"), {}, NAMESPACE)
    assert found is not None


def deed(resource: str, name: str, verb: str = "patch", namespace: str = "", body: Object | None = None) -> Deeds:
    return Deeds(True, (Deed(1.0, verb, resource, namespace, name, "OpenAPI-Generator/35", 200, "kubernetes-admin", body),))


def test_a_quota_that_was_opened_and_closed_again_is_seen_whatever_the_client_calls_itself() -> None:
    found = unchanged.written_meanwhile(deed("resourcequotas", "gpu-budget", namespace=NAMESPACE), {}, NAMESPACE)
    assert found is not None
    assert unchanged.written_meanwhile(deed("deployments", "api", namespace=NAMESPACE), {}, NAMESPACE) is None


def test_nodes_that_an_exercise_lets_be_cordoned_still_keep_their_faults() -> None:
    allow = {"nodes/*": ("unschedulable", "faults")}
    assert unchanged.written_meanwhile(deed("nodes", "n", body={"spec": {"unschedulable": True}}), allow, NAMESPACE) is None
    fault = {"metadata": {"annotations": {"gpu.ai-lab.dev/xid": None}}}
    assert unchanged.written_meanwhile(deed("nodes", "n", body=fault), allow, NAMESPACE) is not None
    assert unchanged.written_meanwhile(deed("nodes/status", "n"), allow, NAMESPACE) is not None


@pytest.mark.parametrize(
    "resource", ["jobs/status", "deployments/status", "resourceclaims/status", "events", "endpointslices", "resourceslices"]
)
def test_what_components_report_is_written_by_nobody_else(resource: str) -> None:
    assert unchanged.written_meanwhile(deed(resource, "x"), {}, NAMESPACE) is not None
    assert unchanged.written_meanwhile(deed("jobs", "x"), {}, NAMESPACE) is None


def test_every_exercise_on_a_cluster_allows_fields_that_there_are() -> None:
    words = {"create", "delete", "replace", "*"}
    for exercise in course.load().exercises:
        for pattern, fields in exercise.allow.items():
            assert "/" in pattern, (exercise.key, pattern)
            assert all(each in words or unchanged._parts(each) for each in fields), exercise.key
