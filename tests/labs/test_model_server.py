"""Lab 02-model-server: what its guards say of a Deployment, and how they read metrics, the client's log and a strategy."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.observe import amount
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face import pictures
from lab_checks.labs.model_server import inside, live, past, view, written
from tests.lab_checks.guards.world import Lists, node

GPU = "nvidia.com/gpu"
LAB = course.load().lab("02-model-server")
NODES = [node("cpu"), node("a100", "A100", 2), node("t4", "Tesla-T4", 1)]
MANIFESTS = paths.root() / "manifests" / "02-model-server"


def deployment(exercise: str = "without-the-gpu") -> Object:
    found: Object = next(each for each in manifests.objects(MANIFESTS / exercise) if each["kind"] == "Deployment")
    return found


def container(of: Object) -> Object:
    found: Object = of["spec"]["template"]["spec"]["containers"][0]
    return found


def context(**more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise("open-inside"), **more)


def judge_written(of: Object, configmaps: Object | None = None) -> None:
    """All that is judged of a Deployment without looking at its Pods."""
    api = Lists(nodes=NODES, deployments=[of])
    maps = {name: {"data": data} for name, data in (configmaps or {}).items()}
    written.sound(context(nodes=NODES, api=api, baseline={"nodes": {}}, get=lambda _kind, name: maps.get(name)), of)


@pytest.mark.parametrize("exercise", ["open-inside", "without-the-gpu", "without-readiness", "one-gpu-left"])
def test_what_the_course_creates_passes_its_own_guards(exercise: str) -> None:
    judge_written(deployment(exercise))


RIGHT: dict[str, Callable[[Object], Any]] = {
    "a query and a header": lambda of: container(of)["readinessProbe"].update(
        httpGet={"path": "/ready?x=1", "port": 8080, "httpHeaders": [{"name": "User-Agent", "value": "k"}]}
    ),
    "the port out of a ConfigMap": lambda of: container(of)["env"].append(_from("PORT", "good", "port")),
    "all variables of a ConfigMap": lambda of: container(of).update(envFrom=[{"configMapRef": {"name": "good"}}]),
    "a patient startup probe": lambda of: container(of).update(
        startupProbe={"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 60}
    ),
    "a liveness probe": lambda of: container(of).update(livenessProbe={"httpGet": {"path": "/healthz", "port": 8080}}),
    "a chosen card": lambda of: of["spec"]["template"]["spec"].update(nodeSelector={"nvidia.com/gpu.product": "Tesla-T4"}),
    "a volume for its temporary files": lambda of: container(of).update(volumeMounts=[{"name": "x", "mountPath": "/tmp"}]),
    "a minute to end": lambda of: of["spec"]["template"]["spec"].update(terminationGracePeriodSeconds=60),
}
MAPS = {"good": {"port": "8080", "PORT": "8080", "GREETING": "x"}, "bad": {"port": "9090", "READY_LIES": "true"}}


def _from(name: str, configmap: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": configmap, "key": key}}}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_deployment_passes(name: str) -> None:
    found = copy.deepcopy(deployment())
    RIGHT[name](found)
    judge_written(found, MAPS)


def _env(name: str, value: str) -> Callable[[Object], Any]:
    return lambda of: container(of)["env"].append({"name": name, "value": value})


def _spec(**keys: Any) -> Callable[[Object], Any]:
    return lambda of: of["spec"]["template"]["spec"].update(keys)


def _probe(**keys: Any) -> Callable[[Object], Any]:
    return lambda of: container(of)["readinessProbe"].update(keys)


def _limits(**keys: Any) -> Callable[[Object], Any]:
    return lambda of: container(of)["resources"]["limits"].update(keys)


WRONG: dict[str, tuple[Callable[[Object], Any], str]] = {
    "a digest of somewhere else": (lambda of: container(of).update(image="example.com/api:v1"), "another image"),
    "no tag": (lambda of: container(of).update(image=written.IMAGE), "names no version"),
    "another program": (lambda of: container(of).update(command=["sleep", "infinity"]), "own server as it is"),
    "all variables of a ConfigMap that lies": (lambda of: container(of).update(envFrom=[{"configMapRef": {"name": "bad"}}]), "READY_LIES"),
    "another port out of a ConfigMap": (lambda of: container(of)["env"].append(_from("PORT", "bad", "port")), "PORT makes the server"),
    "something run at the start": (lambda of: container(of).update(lifecycle={"postStart": {"exec": {"command": ["true"]}}}), "own server as it is"),
    "an hour to end": (_spec(terminationGracePeriodSeconds=3600), "far too long to end"),
    "an hour until it counts": (lambda of: of["spec"].update(minReadySeconds=3600), "available far too late"),
    "a liveness probe that asks nobody": (
        lambda of: container(of).update(livenessProbe={"httpGet": {"path": "/nope", "port": 9999}, "initialDelaySeconds": 600}),
        "livenessProbe asks where nobody",
    ),
    "a startup probe that never gives up": (
        lambda of: container(of).update(startupProbe={"httpGet": {"path": "/ready", "port": 8080}, "failureThreshold": 9999}),
        "startupProbe gives up far too late",
    ),
    "a long timeout": (_probe(timeoutSeconds=3600), "gives up far too late"),
    "another account": (_spec(serviceAccountName="admin"), "sets serviceAccountName"),
    "a taint that no node has": (_spec(tolerations=[{"key": GPU, "operator": "Exists"}, {"key": "mine", "operator": "Exists"}]), "tolerates mine"),
    "no toleration": (_spec(tolerations=[]), "does not tolerate the taint"),
    "a command that asks": (_probe(httpGet=None, exec={"command": ["curl", "localhost:8080/ready"]}), "runs a command, and httpGet is asked for"),
    "a lie": (_env("READY_LIES", "true"), "READY_LIES"),
    "every request fails": (_env("ERROR_RATE", "1"), "ERROR_RATE"),
    "a device for free": (_env("NVIDIA_VISIBLE_DEVICES", "all"), "NVIDIA_VISIBLE_DEVICES"),
    "the CPU on purpose": (_env("DEVICE", "cpu"), "DEVICE"),
    "files over the program": (lambda of: container(of).update(volumeMounts=[{"name": "x", "mountPath": "/app/model_server"}]), "own files"),
    "a second container": (lambda of: of["spec"]["template"]["spec"]["containers"].append({"name": "b"}), "more in the Pod"),
    "an init container": (_spec(initContainers=[{"name": "b"}]), "more in the Pod"),
    "another label": (lambda of: of["spec"]["template"]["metadata"].update(labels={"app": "api"}), "do not carry the label"),
    "no request to share": (_spec(hostNetwork=True), "hostNetwork"),
    "privileged": (lambda of: container(of).update(securityContext={"privileged": True}), "privileged"),
    "a folder of the node": (_spec(volumes=[{"name": "x", "hostPath": {"path": "/"}}]), "folder of the node"),
    "a port of the node": (lambda of: container(of)["ports"][0].update(hostPort=8080), "port of its node"),
    "a node by name": (_spec(nodeName="ai-lab-worker2"), "names its node"),
    "a node by its host name": (_spec(nodeSelector={"kubernetes.io/hostname": "a100"}), "tied to a100 by its name"),
    "another scheduler": (_spec(schedulerName="mine"), "sets schedulerName"),
    "a priority": (_spec(priorityClassName="system-cluster-critical"), "sets priorityClassName"),
    "a gate": (_spec(readinessGates=[{"conditionType": "x"}]), "sets readinessGates"),
    "none at all": (lambda of: of["spec"].update(replicas=0), "0 replicas"),
    "paused": (lambda of: of["spec"].update(paused=True), "paused"),
    "no probe": (lambda of: container(of).pop("readinessProbe"), "no readiness probe"),
    "a probe of somebody else": (_probe(httpGet={"path": "/ready", "port": 8080, "host": "127.0.0.1"}), "does not ask the model"),
    "an open port": (_probe(httpGet=None, tcpSocket={"port": 8080}), "does not ask the model"),
    "a rare question": (_probe(periodSeconds=300), "far too late"),
    "endless patience": (_probe(failureThreshold=1000), "gives up far too late"),
    "huge memory": (_limits(memory="64Gi"), "memory limit is far above"),
    "huge CPU": (_limits(cpu="64"), "cpu limit is far above"),
    "no memory limit": (lambda of: container(of)["resources"]["limits"].pop("memory"), "no memory limit"),
    "zero": (lambda of: container(of)["resources"]["requests"].update(memory="0"), "no memory request"),
    "hardly any CPU": (lambda of: container(of)["resources"]["requests"].update(cpu="1m"), "cpu request is far below"),
    "two GPUs": (_limits(**{GPU: "2"}), "asks for 2 GPUs"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_deployment_fails_with_words_of_its_own(name: str) -> None:
    change, words = WRONG[name]
    found = copy.deepcopy(deployment())
    change(found)
    with pytest.raises(Stop) as stop:
        judge_written(found, MAPS)
    assert stop.value.verdict.outcome is Outcome.FAILED
    assert re.search(words, stop.value.verdict.headline)
    assert stop.value.verdict.next


METRICS = """\
# TYPE model_requests_total counter
model_requests_total{code="200",kind="summarize"} 3.0
model_requests_total{code="503",kind="summarize"} 2.0
model_lines_total{kind="network"} 7.0
model_lines_total{kind="routine"} 5.0
model_info{device="cuda:0",version="v1"} 1.0
process_peak_resident_memory_bytes 4.194304e+07
"""


def test_metrics_tell_peak_device_and_good_summaries() -> None:
    assert live.read_metrics(METRICS) == live.Said(40.0, "cuda:0", 3, {"network": 7, "routine": 5})


LOG = """\
{"at": 1.0, "ok": 5, "errors": 0, "outcomes": {"200": 5}, "models": {"v1": 5}}
{"at": 2.0, "ok": 1, "errors": 4, "outcomes": {"503": 3, "200": 1, "connection refused": 1}, "models": {"v1": 1}}
{"at": 3.0, "ok": 0, "errors": 5, "outcomes": {"503": 5}, "models": {}}
half a li
{"at": 4.0, "ok": 5, "errors": 0, "outcomes": {"200": 5}, "models": {"v1": 5}}
{"summary": {"errors": 9}}
"""


def test_the_clients_errors_are_summed_and_named() -> None:
    failed, outcomes = past.counted(LOG)
    assert failed == 9
    assert outcomes == {"503": 8, "connection refused": 1}


def test_the_clients_seconds_become_spans() -> None:
    assert view.client_spans(LOG) == [
        ("all answered", 0.0, 1.0, pictures.GREEN),
        ("some failed", 1.0, 3.0, pictures.RED),
        ("all answered", 3.0, 4.0, pictures.GREEN),
    ]


@pytest.mark.parametrize(
    ("strategy", "replicas", "first"),
    [
        ({}, 1, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, 1, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}, 1, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, 1, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "100%"}}, 4, True),
        ({"type": "Recreate"}, 1, True),
    ],
)
def test_a_strategy_lets_the_old_pod_go_first_or_not(strategy: Object, replicas: int, first: bool) -> None:
    assert live.lets_go_first({"spec": {"strategy": strategy, "replicas": replicas}}) is first


def test_events_of_an_earlier_start_do_not_count() -> None:
    def event(at: str, node: str) -> Object:
        message = f"Successfully assigned ai-platform/api-1-x to {node}"
        return {"reason": "Scheduled", "lastTimestamp": at, "message": message, "involvedObject": {"name": "api-1-x"}}

    ctx = context(events=[event("2026-01-01T10:00:00Z", "old"), event("2026-01-01T11:00:01Z", "new")])
    assert past.landed(ctx, [{"metadata": {"name": "api-1", "creationTimestamp": "2026-01-01T11:00:00Z"}}]) == {"new"}


@pytest.mark.parametrize(
    ("messages", "ready", "over"),
    [
        (["Scaled up replica set api-2 from 0 to 1", "Scaled down replica set api-2 from 1 to 0"], "api-1", False),
        (["Scaled up replica set api-2 from 0 to 1", "Scaled down replica set api-1 from 1 to 0"], "api-1", True),
        (["Scaled up replica set api-2 from 0 to 1"], "api-2", True),
        ([], "api-1", False),
    ],
)
def test_a_revision_took_over_when_the_one_before_was_scaled_away(messages: list[str], ready: str, over: bool) -> None:
    events = [
        {"reason": "ScalingReplicaSet", "message": each, "lastTimestamp": "2026-01-01T10:00:05Z", "involvedObject": {"name": "api"}}
        for each in messages
    ]
    pod = {"metadata": {"ownerReferences": [{"name": ready}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    tried = [{"metadata": {"name": "api-2", "creationTimestamp": "2026-01-01T10:00:00Z"}}]
    assert past.was_rolled_out(context(events=events, pods_of=lambda _deployment: [pod]), {}, tried) is over


INCIDENT = "10:00:01 gateway: 503 no healthy upstream\n10:00:02 INFO started\n"
SUMMARY = '2 log lines between 10:00:01 and 10:00:02. Most of it is the network (1 line). Clearest line: "10:00:01 gateway: 503 no healthy upstream". Look.'


def judge(given: object, said: live.Said) -> str:
    pod = {"kind": "Pod", "metadata": {"name": "api"}}
    ctx = context(answers={"summary": given} if given else {}, need=lambda *_: {"data": {"incident.log": INCIDENT}})
    try:
        return inside.summarised(ctx, pod, said)
    except Stop as stop:
        return stop.verdict.headline


def test_a_summary_is_held_against_the_incident_and_the_servers_own_count() -> None:
    asked = live.Said(40, "cuda:0", 1, {"network": 1, "routine": 1})
    for form in (
        SUMMARY,
        f'"{SUMMARY}"',
        f"Summary: {SUMMARY}",
        {"summary": SUMMARY},
        '{"summary": ' + yaml.dump(SUMMARY, default_style='"', width=9999).strip() + "}",
    ):
        assert judge(form, asked) == "2 log lines between 10:00:01 and 10:00:02."
    assert "no summary has been handed in" in judge("", asked)
    assert "not the summary" in judge(SUMMARY.replace("2 log", "3 log"), asked)
    assert "not the summary" in judge(SUMMARY.replace("gateway", "checkout"), asked)
    assert "not the summary" in judge(SUMMARY.replace("(1 line)", "(2 lines)"), asked)
    assert "not the summary" in judge(
        "2 log lines between 10:00:01 and 10:00:02. All of it is routine: nothing here asks for action.", asked
    )
    assert "has not summarised" in judge(SUMMARY, live.Said(40, "cuda:0", 0))
    assert "has not summarised" in judge(SUMMARY, live.Said(40, "cuda:0", 1, {"network": 1}))


def test_bounds_leave_room_for_what_the_server_really_uses() -> None:
    assert amount("64Mi") < written.MOST_REQUEST < written.MOST_LIMIT
    assert 1 < live.HEADROOM < live.MOST_HEADROOM
