"""Phase and conditions from the states of containers, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubelet import restarts, status
from clusters.embedded.kubelet.status import ContainerView
from kubeobjects import Object


def _view(name: str = "main", **known: Any) -> ContainerView:
    return ContainerView(spec={"name": name, "image": "i", **known.pop("spec", {})}, **known)


def _ended(code: int, **known: Any) -> ContainerView:
    return _view(terminated={"exitCode": code}, container_id="containerd://x", **known)


def _running(**known: Any) -> ContainerView:
    return _view(running="2026-11-23T05:16:13Z", container_id="containerd://x", started=True, **known)


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Always", [_view()], "Pending"),
        ("Always", [_running()], "Running"),
        ("Always", [_running(), _view("other")], "Pending"),
        ("Always", [_ended(1)], "Running"),
        ("Always", [_view(waiting=("CrashLoopBackOff", ""), last={"exitCode": 1})], "Running"),
        ("Never", [_ended(0)], "Succeeded"),
        ("Never", [_ended(0), _ended(3)], "Failed"),
        ("Never", [_ended(3), _running()], "Running"),
        ("OnFailure", [_ended(3)], "Running"),
        ("OnFailure", [_ended(0)], "Succeeded"),
    ],
)
def test_the_phase_follows_from_containers_and_policy(policy: str, containers: list[ContainerView], phase: str) -> None:
    assert status.phase(policy, [], containers) == phase


def test_an_init_container_that_fails_for_good_fails_the_pod() -> None:
    init = [_ended(1, kind="init")]
    assert status.phase("Never", init, [_view()]) == "Failed"
    assert status.phase("Always", init, [_view()]) == "Pending"


def _pod(**spec: Any) -> Object:
    return {"metadata": {"generation": 2}, "spec": {"containers": [], **spec}, "status": {}}


def _conditions(pod: Object, views: list[ContainerView], phase: str = "Running") -> dict[str, Object]:
    found = status.conditions(pod, phase, [], views, sandbox=True, now="now")
    return {each["type"]: each for each in found}


def test_containers_that_are_not_ready_are_named() -> None:
    found = _conditions(_pod(), [_running(ready=True), _view("a"), _view("b")])
    assert found["Ready"]["reason"] == "ContainersNotReady"
    assert found["Ready"]["message"] == found["ContainersReady"]["message"] == "containers with unready status: [a b]"


def test_a_readiness_gate_holds_ready_back_but_not_containers_ready() -> None:
    pod = _pod(readinessGates=[{"conditionType": "example.com/gate"}])
    found = _conditions(pod, [_running(ready=True)])
    assert found["ContainersReady"]["status"] == "True"
    assert found["Ready"]["message"] == 'corresponding condition of pod readiness gate "example.com/gate" does not exist.'


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    pod = _pod()
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": "before"}, {"type": "Other", "status": "True"}]
    found = _conditions(pod, [_running(ready=True)])
    assert found["Ready"]["lastTransitionTime"] == "before"
    assert found["Ready"]["observedGeneration"] == 2
    assert found["ContainersReady"]["lastTransitionTime"] == "now"
    assert found["Other"] == {"type": "Other", "status": "True"}


def test_a_container_in_back_off_shows_how_it_ended_as_its_last_state() -> None:
    view = _ended(137, waiting=("CrashLoopBackOff", "back-off 10s"))
    shown = status.container_status(view, "ContainerCreating")
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert shown["lastState"] == {"terminated": {"exitCode": 137}}


# Which container is due


def test_containers_start_when_all_init_containers_are_done() -> None:
    pod = _pod(restartPolicy="Always")
    first, second, main = _view("first", kind="init"), _view("second", kind="init"), _view()
    assert restarts.to_start(pod, [first, second, main]) == ["first"]
    first.terminated = {"exitCode": 0}
    assert restarts.to_start(pod, [first, second, main]) == ["second"]
    second.terminated = {"exitCode": 1}
    assert restarts.to_start(pod, [first, second, main]) == ["second"]
    second.terminated = {"exitCode": 0}
    assert restarts.to_start(pod, [first, second, main]) == ["main"]


def test_a_sidecar_must_have_started_before_the_next() -> None:
    pod = _pod(restartPolicy="Never")
    sidecar = _view("proxy", kind="init", spec={"restartPolicy": "Always"})
    assert restarts.to_start(pod, [sidecar, _view()]) == ["proxy"]
    sidecar.running = "now"
    assert restarts.to_start(pod, [sidecar, _view()]) == []
    sidecar.started = True
    assert restarts.to_start(pod, [sidecar, _view()]) == ["main"]


def test_a_rule_of_the_container_may_restart_what_the_pod_would_not() -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    pod = _pod(restartPolicy="Never")
    assert restarts.should_restart(pod, _ended(42, spec={"restartPolicyRules": rules}))
    assert not restarts.should_restart(pod, _ended(1, spec={"restartPolicyRules": rules}))
