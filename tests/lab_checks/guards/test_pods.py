"""Pods by themselves: the device plugin's are the ones of the start, where an exercise is not about it."""

from __future__ import annotations

import dataclasses

import pytest

from kubeobjects import Object
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
