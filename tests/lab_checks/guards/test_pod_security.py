"""Walls around a Pod: which openings are told, in which of its containers."""

from __future__ import annotations

import pytest

from kubeobjects import Object
from lab_checks.judging import guards
from tests.lab_checks.guards.world import deployment, said

OWNER = deployment()
PRIVILEGED = {"name": "c", "securityContext": {"privileged": True}}
FOLDER = {"volumes": [{"name": "v", "hostPath": {"path": "/var/lib/plugins/"}}]}
ROOT = {"volumes": [*FOLDER["volumes"], {"name": "r", "hostPath": {"path": "/"}}]}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"containers": [{"name": "c"}]}, ""),
        ({"containers": [PRIVILEGED]}, "runs privileged"),
        ({"initContainers": [PRIVILEGED]}, "runs privileged"),
        ({"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}, "capabilities that it had not"),
        ({"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}}]}, ""),
        ({"hostPID": True}, "uses hostPID"),
        (FOLDER, "/var/lib/plugins"),
    ],
)
def test_every_opening_is_told(spec: Object, says: str) -> None:
    heard = said(guards.isolated_from_node, spec, OWNER)
    assert (says in heard) if says else not heard


def test_a_folder_that_was_there_is_no_licence_for_another() -> None:
    assert said(guards.isolated_from_node, FOLDER, OWNER, FOLDER) == ""
    assert "hostPath /" in said(guards.isolated_from_node, ROOT, OWNER, FOLDER)


def test_a_plugin_may_have_the_folders_that_it_needs() -> None:
    def plugin(spec: Object) -> str:
        return said(lambda: guards.isolated_from_node(spec, OWNER, folders=("/var/lib/plugins",)))

    assert plugin(FOLDER) == ""
    assert "hostPath /" in plugin(ROOT)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {
                "schedulerName": "default-scheduler",
                "serviceAccountName": "default",
                "priority": 0,
                "containers": [{"name": "c", "ports": [{"containerPort": 80}]}],
            },
            "",
        ),
        ({"schedulerName": "mine"}, "sets schedulerName"),
        ({"priority": 1000}, "sets priority"),
        ({"serviceAccountName": "admin"}, "sets serviceAccountName"),
        ({"readinessGates": [{"conditionType": "x"}]}, "sets readinessGates"),
        ({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}, "opens a port of its node"),
    ],
)
def test_a_pod_that_is_not_like_any_other_is_told(spec: Object, says: str) -> None:
    heard = said(guards.like_any_other, spec, OWNER)
    assert (says in heard) if says else not heard
