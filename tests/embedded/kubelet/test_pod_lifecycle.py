"""Pods from their binding to their end, as their status and their events tell it."""

from __future__ import annotations

import pytest

from .conftest import NODE, Node


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


async def test_a_pod_runs_and_its_log_is_kept(node: Node) -> None:
    await node.run("hello", "python3", "-c", "print('hello', flush=True); import time; time.sleep(60)")
    pod = await node.until_phase("hello", "Running")
    await node.until(lambda: node.logs("hello"))
    assert await node.logs("hello") == "hello\n"
    status = pod["status"]["containerStatuses"][0]
    assert status["ready"] is True
    assert status["image"] == "docker.io/library/python:3.12-slim"
    assert status["containerID"].startswith("containerd://")
    assert [(each["type"], each["status"]) for each in pod["status"]["conditions"]] == [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "True"),
        ("ContainersReady", "True"),
        ("PodScheduled", "True"),
    ]
    assert pod["status"]["podIP"].startswith("10.244.1.")


async def test_exit_codes_become_phases(node: Node) -> None:
    await node.run("fails", "python3", "-c", "print('bye'); raise SystemExit(3)", restartPolicy="Never")
    await node.run("works", "sh", "-c", "echo done", restartPolicy="Never")
    failed = await node.until_phase("fails", "Failed")
    await node.until_phase("works", "Succeeded")
    ended = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("Error", 3)
    assert await node.logs("fails") == "bye\n"
    assert await node.logs("works") == "done\n"


async def test_the_events_of_a_start_are_those_of_a_real_node(node: Node) -> None:
    await node.run("hello", "sleep", "60")
    await node.until_event("hello", "Started")
    found = [(each["reason"], each["message"], each["involvedObject"]["fieldPath"]) for each in await node.events("hello")]
    assert sorted(found) == [
        ("Created", "Container created", "spec.containers{main}"),
        ("Pulled", 'Container image "python:3.12-slim" already present on machine and can be accessed by the pod', "spec.containers{main}"),
        ("Started", "Container started", "spec.containers{main}"),
    ]
    assert (await node.events("hello"))[0]["source"] == {"component": "kubelet", "host": NODE}


async def test_deleting_a_pod_ends_its_processes_and_then_the_object(node: Node) -> None:
    await node.run("hello", "python3", "-c", "import time; time.sleep(60)")
    await node.until_phase("hello", "Running")
    assert node.kubelet is not None
    await node.client.delete("pods", "hello", "default")
    assert await node.until_event("hello", "Killing") == "Stopping container main"
    await node.until_gone("hello")
