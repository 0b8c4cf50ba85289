"""When a start may go on: the plugin's rollout is over, allocatable is the new plugin's, and no Pod is left that a kubelet refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kubeobjects import Object
from lab_checks.engine import baseline, rollout
from lab_checks.engine import setup as lesson
from lab_checks.engine.api import Api
from lab_checks.engine.context import NAMESPACE
from tests.lab_checks.guards.world import Lists, deployment, node, pod_of

NAME = "nvidia-device-plugin-daemonset"
NODES = [node("a100", "NVIDIA-A100-SXM4-40GB", 2), node("t4", "Tesla-T4", 1), node("cpu")]


def daemonset(**status: int) -> Object:
    told = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2, "numberMisscheduled": 0}
    return {
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": "kube-system", "uid": "uid-ds", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "gpu-device-plugin"}}, "template": {"spec": {"containers": []}}},
        "status": {**told, **status},
    }


def plugin(on: str, *, name: str = "", ready: bool = True, going: bool = False) -> Object:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name or f"plugin-{on}", "namespace": "kube-system", "uid": f"uid-{name or on}", "labels": {"app": "gpu-device-plugin"},
            **({"deletionTimestamp": "2026-11-26T15:00:00Z"} if going else {}),
        },
        "spec": {"nodeName": on},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }  # fmt: skip


BOTH = [plugin("a100"), plugin("t4")]


def registered(pod: Object) -> str:
    return f"I1126 15:00:00.000000       1 main.py:1] {rollout.REGISTERED}\n"


def test_a_rollout_that_is_over_leaves_nothing_to_wait_for() -> None:
    assert rollout.unfinished(daemonset(), BOTH, NODES, registered) == ""


@pytest.mark.parametrize(
    ("found", "pods", "log_of", "says"),
    [
        (None, BOTH, registered, "does not exist yet"),
        (daemonset(observedGeneration=1), BOTH, registered, "has not seen its template"),
        (daemonset(), [*BOTH, plugin("t4", name="old", going=True)], registered, "old is still terminating"),
        (daemonset(updatedNumberScheduled=1), BOTH, registered, "1 of them of the current template"),
        (daemonset(numberReady=1), [BOTH[0], plugin("t4", ready=False)], registered, "1 of 2 Pods are Ready"),
        (daemonset(), [BOTH[0], plugin("t4", ready=False)], registered, "its Pods are on a100"),
        (daemonset(desiredNumberScheduled=1, updatedNumberScheduled=1, numberReady=1), BOTH[:1], registered, "1 of 2 Pods are Ready"),
        (daemonset(numberMisscheduled=1), BOTH, registered, "of 2 Pods"),
        (daemonset(), BOTH, lambda pod: "Starting to serve\n", "a100, t4 has not registered"),
        (
            daemonset(),
            BOTH,
            lambda pod: registered(pod) if "t4" in pod["metadata"]["name"] else "",
            "the plugin on a100 has not registered",
        ),
    ],
)
def test_each_thing_that_is_still_to_come_is_told(
    found: Object | None, pods: list[Object], log_of: Callable[[Object], str], says: str
) -> None:
    assert says in rollout.unfinished(found, pods, NODES, log_of)


class Replacing(Lists):
    """An API on which, look by look, the plugin is replaced; what nodes offer looks right all the while, as the API says it."""

    def __init__(self, *stages: tuple[Object, list[Object], str]):
        super().__init__(nodes=NODES)
        self.stages = list(stages)
        self.looks = 0

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        if kind == "nodes":
            self.looks += 1
        return self._now()[1] if kind == "pods" else super().list(kind, namespace)

    def _now(self) -> tuple[Object, list[Object], str]:
        return self.stages[min(self.looks, len(self.stages)) - 1]

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return self._now()[0] if kind == "daemonsets" else super().get(kind, name, namespace)

    def log(self, pod: Object) -> str:
        return self._now()[2]


def test_a_start_waits_while_allocatable_looks_right_and_the_old_plugin_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson.time, "sleep", lambda seconds: None)
    told = registered({})
    world = Replacing(
        (daemonset(observedGeneration=1), BOTH, told),
        (daemonset(updatedNumberScheduled=1), [plugin("a100", going=True), plugin("t4")], told),
        (daemonset(), [*BOTH, plugin("t4", name="old", going=True)], told),
        (daemonset(), BOTH, ""),
        (daemonset(), BOTH, told),
    )
    heard: list[str] = []
    lesson._restore_plugin(cast(Api, world), {}, heard.append)
    assert world.looks == 5
    assert heard == ["waiting for the GPU plugin's rollout"]


def test_a_rollout_that_never_ends_is_told_with_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson, "_WAIT", 0.0)
    world = Replacing((daemonset(), [*BOTH, plugin("t4", name="old", going=True)], registered({})))
    with pytest.raises(lesson.LessonError, match="old is still terminating; look at: kubectl -n kube-system get pods"):
        lesson._restore_plugin(cast(Api, world), {}, lambda line: None)


def failed(pod: Object, reason: str) -> Object:
    found = copy.deepcopy(pod)
    found["metadata"] |= {"name": f"refused-{reason}", "uid": f"uid-{reason}"}
    found["status"] = {"phase": "Failed", "reason": reason}
    return found


def test_a_baseline_holds_no_pod_that_was_refused_or_is_going() -> None:
    api = deployment()
    kept = pod_of(api)
    going = copy.deepcopy(kept)
    going["metadata"] |= {"name": "going", "uid": "uid-going", "deletionTimestamp": "2026-11-26T15:00:00Z"}
    # A Job's container that ended by itself: the exercise is about it.
    ended = copy.deepcopy(kept)
    ended["metadata"] |= {"name": "ended", "uid": "uid-ended"}
    ended["status"] = {"phase": "Failed"}
    pods = [kept, going, ended, *(failed(kept, reason) for reason in ("UnexpectedAdmissionError", "Evicted", "OutOfnvidia.com/gpu"))]
    taken = baseline.take(cast(Api, Lists(nodes=NODES, deployments=[api], pods=pods)), [NAMESPACE])
    assert set(taken["pods"][NAMESPACE]) == {kept["metadata"]["name"], "ended"}


def test_refused_pods_are_removed_and_those_that_go_are_awaited_before_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = pod_of(deployment())
    world = Lists(pods=[kept, *(failed(kept, reason) for reason in ("UnexpectedAdmissionError", "Evicted"))])
    world.kubeconfig = Path("kubeconfig")  # type: ignore[attr-defined]
    ran: list[str] = []

    def shell(line: str, kubeconfig: Path, **options: Any) -> str:
        ran.append(line)
        for pod in world.objects["pods"]:
            if pod["metadata"]["name"] in line.split():
                pod["metadata"]["deletionTimestamp"] = "2026-11-26T15:00:00Z"
        return ""

    def passes(seconds: float) -> None:
        world.objects["pods"] = [pod for pod in world.objects["pods"] if "deletionTimestamp" not in pod["metadata"]]

    monkeypatch.setattr(lesson, "shell", shell)
    monkeypatch.setattr(lesson.time, "sleep", passes)
    lesson._settle(cast(Api, world), (NAMESPACE,), lambda line: None)
    assert [line.split()[5] for line in ran] == ["refused-UnexpectedAdmissionError", "refused-Evicted"]
    assert world.objects["pods"] == [kept]
