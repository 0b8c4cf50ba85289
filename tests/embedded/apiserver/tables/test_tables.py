"""Rows and columns of `kubectl get`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clusters.embedded import resources
from clusters.embedded.apiserver import tables
from clusters.embedded.apiserver.tables import durations
from tests.embedded.apiserver.semantics import REFERENCE, Object, reference


def ago(seconds: int) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(obj: Object) -> dict[str, Any]:
    """The cells of one object by their columns' names."""
    table = tables.table(resources.by_kind()[obj["apiVersion"], obj["kind"]], [obj])
    names = [column["name"] for column in table["columnDefinitions"]]
    [only] = table["rows"]
    return dict(zip(names, only["cells"], strict=True))


def pod(statuses: list[Object] | None = None, *, spec: Object | None = None, metadata: Object | None = None, **status: Any) -> Object:
    containers = [{"name": each["name"]} for each in statuses or [{"name": "main"}]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "demo", "creationTimestamp": ago(65), **(metadata or {})},
        "spec": {"containers": containers, **(spec or {})},
        "status": {"phase": "Running", "containerStatuses": statuses or [], **status},
    }


def container(name: str = "main", *, ready: bool = False, restarts: int = 0, last: Object | None = None, **state: Any) -> Object:
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state, "lastState": last or {}}


@pytest.mark.parametrize("line", (REFERENCE / "table-columns.jsonl").read_text().splitlines())
def test_columns_are_those_of_a_real_server(line: str) -> None:
    recorded = json.loads(line)
    group, plural = recorded["path"].split("/")[2], recorded["path"].rpartition("/")[2]
    found = next(each for each in resources.all_resources() if each.plural == plural and each.group == (group if group != "v1" else ""))
    columns = tables.table(found, [])["columnDefinitions"]

    assert [{name: value for name, value in column.items() if name != "description"} for column in columns] == recorded["columns"]


def test_every_resource_has_as_many_cells_as_columns() -> None:
    for resource in resources.all_resources():
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "x", "creationTimestamp": ago(1)}}
        table = tables.table(resource, [obj])
        assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"]), resource.name


def test_a_running_pod_as_it_was_stored() -> None:
    [stored] = reference("pod-running")
    shown = row(stored)

    assert [shown[name] for name in ("Ready", "Status", "Restarts", "IP", "Node", "Nominated Node", "Readiness Gates")] == [
        "1/1", "Running", "0", "10.244.4.20", "ai-lab-worker3", "<none>", "<none>",
    ]  # fmt: skip


RUNNING = {"startedAt": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("obj", "ready", "status"),
    [
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod([container(waiting={"reason": "ContainerCreating"})], phase="Pending"), "0/1", "ContainerCreating"),
        (pod([container(waiting={"reason": "CrashLoopBackOff"})]), "0/1", "CrashLoopBackOff"),
        (pod([container(terminated={"reason": "OOMKilled", "exitCode": 137})]), "0/1", "OOMKilled"),
        (pod([container(terminated={"exitCode": 3})]), "0/1", "ExitCode:3"),
        (pod([container(terminated={"reason": "Completed", "exitCode": 0})], phase="Succeeded"), "0/1", "Completed"),
        (pod([container(running=RUNNING, ready=True)], metadata={"deletionTimestamp": ago(1)}), "1/1", "Terminating"),
        (pod([container(running=RUNNING)], metadata={"deletionTimestamp": ago(1)}, reason="NodeLost"), "0/1", "Unknown"),
        (pod([container("a", running=RUNNING, ready=True), container("b", terminated={"reason": "Completed"})]), "1/2", "NotReady"),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "0/1",
            "SchedulingGated",
        ),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted"),
    ],
)
def test_the_status_of_a_pod_is_what_its_containers_add_up_to(obj: Object, ready: str, status: str) -> None:
    shown = row(obj)

    assert (shown["Ready"], shown["Status"]) == (ready, status)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"running": RUNNING}, "Init:0/2"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "Init:CrashLoopBackOff"),
        ({"waiting": {"reason": "PodInitializing"}}, "Init:0/2"),
        ({"terminated": {"reason": "Error", "exitCode": 1}}, "Init:Error"),
        ({"terminated": {"exitCode": 1}}, "Init:ExitCode:1"),
    ],
)
def test_the_first_init_container_that_is_not_done_is_shown(state: Object, status: str) -> None:
    waiting = [container(waiting={"reason": "PodInitializing"})]
    spec = {"initContainers": [{"name": "fetch"}, {"name": "unpack"}]}
    initializing = pod(waiting, spec=spec, phase="Pending", initContainerStatuses=[container("fetch", **state)])

    assert row(initializing)["Status"] == status


def test_a_sidecar_counts_among_the_ready_containers() -> None:
    spec = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    sidecar = {**container("proxy", running=RUNNING, ready=True), "started": True}
    shown = row(pod([container(running=RUNNING, ready=True)], spec=spec, initContainerStatuses=[sidecar]))

    assert (shown["Ready"], shown["Status"]) == ("2/2", "Running")


def test_restarts_say_when_the_last_one_was() -> None:
    ended = {"terminated": {"finishedAt": ago(12)}}
    shown = row(pod([container(restarts=3, last=ended, waiting={"reason": "CrashLoopBackOff"})]))

    assert shown["Restarts"] == "3 (12s ago)"


def test_a_pod_that_has_ended_is_marked_so_that_watches_can_hide_it() -> None:
    table = tables.table(resources.by_name()["pods"], [pod(phase="Succeeded")])

    assert table["rows"][0]["conditions"][0]["type"] == "Completed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1.5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (123, "2m3s"), (600, "10m"), (3600 * 3, "3h"),
        (3600 * 5 + 720, "5h12m"), (3600 * 47, "47h"), (86400 * 3 + 3600 * 4, "3d4h"), (86400 * 10, "10d"), (86400 * 365 * 3, "3y"),
    ],
)  # fmt: skip
def test_ages_lose_the_unit_that_no_longer_matters(seconds: float, text: str) -> None:
    assert durations.human(seconds) == text


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([], "Running"),
        ([{"type": "Complete", "status": "True"}], "Complete"),
        ([{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}], "Failed"),
        ([{"type": "Suspended", "status": "True"}], "Suspended"),
    ],
)
def test_a_job_shows_how_it_stands(conditions: list[Object], status: str) -> None:
    times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "score"},
        "spec": {"completions": 3, "template": {}},
        "status": {"succeeded": 2, "conditions": conditions, **times},
    }
    shown = row(job)

    assert (shown["Status"], shown["Completions"], shown["Duration"]) == (status, "2/3", "7s")


def test_a_cordoned_node_and_a_control_plane() -> None:
    [stored] = reference("node-gpu")
    role = {"node-role.kubernetes.io/control-plane": ""}
    cordoned = {**stored, "spec": {"unschedulable": True}, "metadata": {**stored["metadata"], "labels": role}}

    assert row(stored)["Status"] == "Ready"
    assert row(stored)["Roles"] == "<none>"
    assert (row(cordoned)["Status"], row(cordoned)["Roles"]) == ("Ready,SchedulingDisabled", "control-plane")


def test_services_show_their_ports_and_addresses() -> None:
    spec = {"type": "NodePort", "clusterIP": "10.96.1.2", "ports": [{"port": 80, "nodePort": 31888, "protocol": "TCP"}]}
    shown = row({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "np"}, "spec": spec})
    balanced = row({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lb"}, "spec": {"type": "LoadBalancer"}})

    assert (shown["Port(s)"], shown["External-IP"], shown["Selector"]) == ("80:31888/TCP", "<none>", "<none>")
    assert (balanced["External-IP"], balanced["Port(s)"]) == ("<pending>", "<none>")


def test_a_quota_keeps_limits_apart() -> None:
    status = {"hard": {"pods": "5", "limits.memory": "2Gi"}, "used": {"pods": "2", "limits.memory": "256Mi"}}
    shown = row({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "status": status})

    assert (shown["Request"], shown["Limit"]) == ("pods: 2/5", "limits.memory: 256Mi/2Gi")


def test_more_than_three_endpoints_are_counted() -> None:
    addresses = [{"ip": f"10.244.1.{number}"} for number in range(5)]
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web"},
        "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}],
    }

    assert row(endpoints)["Endpoints"] == "10.244.1.0:80,10.244.1.1:80,10.244.1.2:80 + 2 more..."


@pytest.mark.parametrize(
    ("measured", "shown"),
    [([], "cpu: <unknown>/80%"), ([{"type": "Resource", "resource": {"current": {"averageUtilization": 12}}}], "cpu: 12%/80%")],
)
def test_an_autoscaler_shows_measured_and_wanted(measured: list[Object], shown: str) -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"metrics": [metric], "minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        "status": {"currentMetrics": measured},
    }

    assert row(autoscaler)["Targets"] == shown
    assert row(autoscaler)["Reference"] == "Deployment/web"


@pytest.mark.parametrize(("include", "kind"), [("Metadata", "PartialObjectMetadata"), ("Object", "Pod"), ("None", None)])
def test_a_row_carries_what_was_asked_for(include: str, kind: str | None) -> None:
    carried = tables.table(resources.by_name()["pods"], [pod()], include, "7")["rows"][0]["object"]

    assert (carried or {}).get("kind") == kind
