"""Memory: limits of whole Pods, and volumes that lie in memory."""

from __future__ import annotations

from typing import Any

from clusters.embedded.kubelet.volumes import memory_sizes
from kubeobjects import Object

from .conftest import Node

MIB = 1024 * 1024
SHM = {"volumeMounts": [{"name": "dshm", "mountPath": "/dev/shm"}]}


def volume(**source: Any) -> list[Object]:
    return [{"name": "dshm", "emptyDir": {"medium": "Memory", **source}}]


def sizes(limits: list[str | None], whole: str | None = None, **source: Any) -> int:
    def resources(memory: str | None) -> Object:
        return {"resources": {"limits": {"memory": memory}}} if memory else {}

    spec = {"containers": [resources(each) for each in limits], "volumes": volume(**source), **resources(whole)}
    return memory_sizes({"spec": spec}, {"memory": "1Gi"})["dshm"]


def test_a_memory_volume_holds_the_least_of_its_limit_the_pods_and_the_nodes() -> None:
    assert sizes([None], sizeLimit="64Mi") == 64 * MIB
    assert sizes(["100Mi", "50Mi"], sizeLimit="1Gi") == 150 * MIB
    assert sizes(["100Mi", None]) == 1024 * MIB
    assert sizes(["100Mi", None], whole="80Mi") == 80 * MIB


async def test_a_full_memory_volume_has_no_space_left(node: Node) -> None:
    """And what is in it is seen by every container of the Pod, and stays when one of them starts anew."""
    write = "dd if=/dev/zero of=/dev/shm/x bs=1M count=80; df -k /dev/shm | tail -1; sleep 600"
    shared = {"name": "other", "image": "debian:12", "command": ["sleep", "600"], **SHM}
    main = {"name": "main", "image": "debian:12", "command": ["bash", "-c", write], **SHM}
    await node.create({"metadata": {"name": "shm"}, "spec": {"containers": [main, shared], "volumes": volume(sizeLimit="64Mi")}})

    await node.until_state("shm", "running")

    async def full() -> bool:
        return "100%" in await node.logs("shm")

    await node.until(full)
    said = await node.logs("shm")
    assert "error writing '/dev/shm/x': No space left on device" in said
    assert said.splitlines()[-1].split()[:2] == ["tmpfs", str(64 * 1024)]
    server = node.connections.get("node-1")
    assert server is not None
    session = await server.exec("default", "shm", "other", ["stat", "-c", "%s", "/dev/shm/x"], stdin=False, tty=False)
    assert b"".join([data async for _, data in session.output()]) == f"{64 * MIB}\n".encode()
    assert "Evicted" not in [reason for reason, _ in await node.messages("shm")]


async def test_a_subfolder_of_a_memory_volume_can_be_mounted(node: Node) -> None:
    mounts = [{"name": "dshm", "mountPath": "/cache", "subPath": "a/b"}, {"name": "dshm", "mountPath": "/whole"}]
    command = ("sh", "-c", "echo seen > /cache/f; cat /whole/a/b/f")
    await node.run("sub", *command, restartPolicy="Never", volumeMounts=mounts, volumes=volume())
    await node.until_phase("sub", "Succeeded")
    assert await node.logs("sub") == "seen\n"


LIMIT = {"resources": {"limits": {"memory": "40Mi"}}}


async def test_what_lies_in_memory_counts_to_the_containers_limit(any_node: Node) -> None:
    await any_node.run(
        "shm-limit",
        "sh",
        "-c",
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=60; sleep 600",
        image="debian:12",
        **SHM,
        **LIMIT,
        volumes=volume(),
    )
    # What was written stays, and takes all that a new instance would have.
    waiting = await any_node.until_state("shm-limit", "waiting", "RunContainerError")
    failed = (await any_node.status("shm-limit"))["lastState"]["terminated"]
    assert (failed["reason"], failed["exitCode"]) == ("StartError", 128)
    why = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        "unable to start container process: container init was OOM-killed (memory limit too low?)"
    )
    assert (waiting["message"], failed["message"]) == (why, why)
    assert await any_node.until_event("shm-limit", "Failed") == f"Error: {why}"


async def test_a_pod_over_the_limit_of_the_whole_loses_its_largest_container(any_node: Node) -> None:
    small = {"name": "small", "image": "python:3.12-slim", "command": ["sleep", "600"]}
    hungry = "x = bytearray(150 * 1024 * 1024); import time; time.sleep(600)"
    large = {"name": "large", "image": "python:3.12-slim", "command": ["python3", "-c", hungry]}
    spec = {"resources": {"limits": {"memory": "100Mi"}}, "containers": [small, large], "restartPolicy": "Never"}
    await any_node.create({"metadata": {"name": "whole"}, "spec": spec})
    ended = await any_node.until_state("whole", "terminated", "OOMKilled", container="large")
    assert ended["exitCode"] == 137
    assert "running" in (await any_node.status("whole", "small"))["state"]
