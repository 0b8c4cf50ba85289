"""Where a quoted line stands: on which object, now or at the start, and what was said before the exercise began."""

from __future__ import annotations

from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise
from lab_checks.judging import shown
from lab_checks.judging.shown import Shown

SINCE = "2026-11-26T10:00:00Z"
EXERCISE = Exercise("03-pending", "busy-day", "", "", diagnosis=True)
REFUSED = "0/4 nodes are available: 3 Insufficient nvidia.com/gpu."


def event(name: str, message: str, *, at: str = "2026-11-26T10:00:05Z", namespace: str = "ai-platform", kind: str = "Pod") -> Object:
    return {
        "kind": "Event", "metadata": {"name": f"{name}.{at[-4:-1]}", "namespace": namespace, "creationTimestamp": at}, "type": "Warning",
        "reason": "FailedScheduling", "involvedObject": {"kind": kind, "name": name}, "message": message, "lastTimestamp": at,
    }  # fmt: skip


def pod(name: str, namespace: str = "ai-platform") -> Object:
    return {
        "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": "worker3", "containers": [{"name": "server"}]},
        "status": {"phase": "Running", "podIP": "10.244.3.4", "containerStatuses": [{"name": "server", "state": {}}]},
    }  # fmt: skip


class Cluster:
    """An API that answers from a list."""

    kubeconfig = None

    def __init__(self, *objects: Object):
        self.objects = objects

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        found = [each for each in self.objects if f"{each['kind'].lower()}s" == kind]
        return [each for each in found if namespace in (None, each["metadata"].get("namespace"))]

    def log(self, *_: Any, **__: Any) -> str:
        return "2026 loaded the model in 3 steps"


@pytest.fixture(autouse=True)
def no_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `kubectl describe` adds is tried on a live cluster."""
    monkeypatch.setattr(shown, "_describe", lambda ctx: iter(()))


def context(*objects: Object, **baseline: Any) -> Context:
    return Context(Cluster(*objects), EXERCISE, {"since": SINCE, **baseline}, {}, lambda: None)  # type: ignore[arg-type]


NOW = (
    event("api-1", REFUSED),
    event("old-1", "0/4 nodes are available: 3 Insufficient memory.", at="2026-11-26T09:00:00Z"),
    event("worker3", "Starting kubelet.", namespace="default", kind="Node", at="2026-11-26T09:10:00Z"),
    event("worker3", "Node worker3 has been cordoned", namespace="default", kind="Node"),
    pod("playground-1"),
    pod("plugin-l24xz", "kube-system"),
)


@pytest.mark.parametrize(
    ("line", "places"),
    [
        (REFUSED, {"api-1"}),
        (f"Warning  FailedScheduling  2m19s  default-scheduler  {REFUSED}", {"api-1"}),
        ("kube-system  plugin-l24xz  1/1  Running  0  7s  10.244.3.4  worker3  <none>  <none>", {"plugin-l24xz"}),
        ("loaded the model in 3 steps", {"playground-1"}),
        ("[pod/playground-1/server] 2026 loaded the model in 3 steps", {"playground-1"}),
        ("Node worker3 has been cordoned", {"worker3"}),
        ("3 Insufficient memory", set()),
        ("I saw that the playground holds it", set()),
        ("No resources found in research namespace.", {""}),
        ("No resources found in kube-system namespace.", {""}),
        ('Error from server (NotFound): pods "playground-1" not found', set()),
        ('Error from server (NotFound): daemonsets.apps "plugin" not found', {""}),
        ("2m19s", set()),
    ],
)
def test_a_line_stands_on_the_object_that_shows_it(line: str, places: set[str]) -> None:
    assert Shown(context(*NOW)).places(line) == places


@pytest.mark.parametrize("line", ["3 Insufficient memory", "default  11m  Warning  FailedScheduling  node/worker3  Starting kubelet."])
def test_what_was_said_before_the_exercise_is_known_as_old(line: str) -> None:
    found = Shown(context(*NOW))
    assert found.is_old(line) is not None
    assert not found.places(line)
    assert found.is_old(REFUSED) is None


def test_what_the_start_showed_still_stands_when_it_is_gone() -> None:
    noted = shown.note(context(*NOW))
    later = Shown(context(event("api-1", REFUSED), **noted))
    assert later.places("playground-1  1/1  Running  0  9s  10.244.3.4  worker3") == {"playground-1"}
    assert not Shown(context()).places("playground-1  1/1  Running  0  9s  10.244.3.4  worker3")


def test_an_exercise_without_a_diagnosis_notes_nothing() -> None:
    ctx = Context(Cluster(*NOW), Exercise("00-welcome", "cluster-map", "", ""), {"since": SINCE}, {}, lambda: None)  # type: ignore[arg-type]
    assert shown.note(ctx) == {}
