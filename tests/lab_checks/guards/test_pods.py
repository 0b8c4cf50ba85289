"""Pods by themselves: the device plugin's are the ones of the start, where an exercise is not about it."""

from __future__ import annotations

import dataclasses

import pytest

from kubeobjects import Object
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.judging import guards
from lab_checks.judging.guards import pods
from tests.lab_checks.guards.world import Lists, context, node

PLUGIN = {
    "metadata": {"name": "plugin", "namespace": "kube-system", "uid": "uid-plugin"},
    "spec": {"template": {"spec": {"volumes": [{"hostPath": {"path": "/var/lib/kubelet/device-plugins"}}]}}},
}


def cluster(uid: str) -> Lists:
    owner = {"kind": "DaemonSet", "name": "plugin", "uid": "uid-plugin", "controller": True}
    metadata: Object = {"name": f"plugin-{uid}", "namespace": "kube-system", "uid": uid, "ownerReferences": [owner]}
    pod = {"metadata": metadata, "spec": {"nodeName": "a100", "containers": []}, "status": {"phase": "Running"}}
    return Lists(nodes=[node("a100", "A100", 2)], daemonsets=[PLUGIN], pods=[pod])


@pytest.mark.parametrize(
    ("uid", "allow", "says"),
    [
        ("one", {}, ""),
        ("two", {}, "the device plugin on a100 was restarted"),
        ("two", {"daemonsets/kube-system/plugin": ("tolerations",)}, ""),
    ],
)
def test_a_plugin_that_no_exercise_asked_for_was_not_restarted(uid: str, allow: dict[str, tuple[str, ...]], says: str) -> None:
    ctx = context(cluster("one"), cluster(uid))
    ctx.baseline["pods"]["kube-system"] = {"plugin-one": {"uid": "one", "owner": "plugin", "node": "a100"}}
    ctx.exercise = dataclasses.replace(ctx.exercise, allow=allow)
    found = pods.plugin_stayed(ctx)
    assert (found.headline if found else "") == says


def test_what_was_timed_before_a_stop_of_the_nodes_is_no_longer_told() -> None:
    running = {"running": {"startedAt": "2026-11-02T10:00:05Z"}}
    status = {"name": "model-server", "state": running}
    pod = {"kind": "Pod", "metadata": {"name": "api-1"}, "status": {"containerStatuses": [status]}}
    guards.timed_before_a_stop([pod], "kubectl delete pod api-1")
    status["lastState"] = {"terminated": {"reason": "Unknown", "exitCode": 255}}
    with pytest.raises(Stop) as stop:
        guards.timed_before_a_stop([pod], "kubectl delete pod api-1")
    verdict = stop.value.verdict
    assert verdict.outcome is Outcome.NOT_YET
    assert verdict.headline.startswith(guards.STOPPED)
    assert verdict.next == "kubectl delete pod api-1"
