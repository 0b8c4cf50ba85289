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
from lab_checks.engine import paths
from lab_checks.engine.observe import amount
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face import pictures
from lab_checks.labs.model_server import guards, inside, live, past, view

GPU = "nvidia.com/gpu"
MANIFESTS = paths.root() / "manifests" / "02-model-server"


def deployment(exercise: str = "without-the-gpu") -> Object:
    found: Object = next(yaml.safe_load_all((MANIFESTS / exercise / "ai-log-summary-api.yaml").read_text()))
    return found


def container(of: Object) -> Object:
    found: Object = of["spec"]["template"]["spec"]["containers"][0]
    return found


def context(**more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=SimpleNamespace(id="open-inside", key="02-model-server/open-inside"), **more)


def written(of: Object) -> None:
    """All guards on what the learner writes that need no cluster."""
    guards.shape(of)
    guards.closed(of)
    guards.one_replica(of)
    guards.resources(of)
    guards.one_gpu(of)
    guards.readiness(context(), of)


@pytest.mark.parametrize("exercise", ["open-inside", "without-the-gpu", "without-readiness", "one-gpu-left"])
def test_what_the_course_lays_passes_its_own_guards(exercise: str) -> None:
    written(deployment(exercise))


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
    "no tag": (lambda of: container(of).update(image=guards.IMAGE), "names no version"),
    "another program": (lambda of: container(of).update(command=["sleep", "infinity"]), "own server as it is"),
    "settings from elsewhere": (lambda of: container(of).update(envFrom=[{"configMapRef": {"name": "x"}}]), "own server as it is"),
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
    "a node by its host name": (_spec(nodeSelector={"kubernetes.io/hostname": "ai-lab-worker2"}), "tied to one node"),
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
        written(found)
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


@pytest.mark.parametrize(
    ("given", "expected"), [(5, 5.0), ("5", 5.0), (" 134 MiB ", 134.0), ("134Mi", 134.0), (True, None), ("many", None), ("", None)]
)
def test_numbers_are_read_as_people_write_them(given: object, expected: float | None) -> None:
    ctx = context(answers={"n": given}, need=lambda *_: {"kind": "Deployment", "metadata": {"name": "ai-log-summary-api"}})
    if expected is None:
        with pytest.raises(Stop, match="answer n is not"):
            past.number(ctx, "n")
    else:
        assert past.number(ctx, "n") == expected


def test_events_of_an_earlier_start_do_not_count() -> None:
    def event(at: str, node: str) -> Object:
        message = f"Successfully assigned ai-platform/api-1-x to {node}"
        return {"reason": "Scheduled", "lastTimestamp": at, "message": message, "involvedObject": {"name": "api-1-x"}}

    ctx = context(events=[event("2026-01-01T10:00:00Z", "old"), event("2026-01-01T11:00:01Z", "new")])
    assert past.landed(ctx, [{"metadata": {"name": "api-1", "creationTimestamp": "2026-01-01T11:00:00Z"}}]) == {"new"}


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
        {"summary": SUMMARY},
        '{"summary": ' + yaml.dump(SUMMARY, default_style='"', width=9999).strip() + "}",
    ):
        assert judge(form, asked) == "2 log lines between 10:00:01 and 10:00:02."
    assert "no summary has been handed in" in judge("", asked)
    assert "not the summary" in judge(SUMMARY.replace("2 log", "3 log"), asked)
    assert "not the summary" in judge(SUMMARY.replace("gateway", "checkout"), asked)
    assert "has not summarised" in judge(SUMMARY, live.Said(40, "cuda:0", 0))
    assert "has not summarised" in judge(SUMMARY, live.Said(40, "cuda:0", 1, {"network": 1}))


def test_bounds_leave_room_for_what_the_server_really_uses() -> None:
    assert amount("64Mi") < guards.MOST_REQUEST < guards.MOST_LIMIT
    assert 1 < guards.HEADROOM < guards.MOST_HEADROOM
