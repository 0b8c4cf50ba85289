"""A disk that is full while Pods run: what ends still ends, what cannot start says so, and all goes on once there is room."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.errors import internal
from clusters.embedded.kubelet import atomic_writer, logs, pod_status
from clusters.embedded.kubelet.logs import LogWriter

from .conftest import Node


class Disk:
    """Set `full`, and functions that `fail_in` has named raise what a full disk makes them raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._monkeypatch = monkeypatch
        self.full = False

    def fail_in(self, module: Any, name: str, where: Callable[..., str]) -> None:
        real = getattr(module, name)

        def guarded(*arguments: Any, **keywords: Any) -> Any:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where(*arguments))
            return real(*arguments, **keywords)

        self._monkeypatch.setattr(module, name, guarded)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


class FullFile:
    """Stands for `os` in the log's module: so many bytes are taken, then none."""

    def __init__(self, room: int):
        self.room = room

    def write(self, file: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(file, data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def test_a_log_goes_on_after_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LogWriter(tmp_path / "0.log")
    writer.write(1, b"before\n")
    small = FullFile(50)
    monkeypatch.setattr(logs, "os", small)
    writer.write(1, b"cut %s\n" % (b"x" * 100))
    writer.write(1, b"lost\n")
    small.room = 10_000
    writer.write(1, b"after\n")
    writer.write(1, b"the end")
    small.room = 0
    writer.close()
    assert writer.closed
    lines = writer.path.read_text().splitlines()
    assert [line.split(" ", 3)[-1] for line in (lines[0], lines[-1])] == ["before", "after"]
    assert not any("lost" in line for line in lines)


async def test_a_container_that_ends_on_a_full_disk_has_ended(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await node.run("ends", "sh", "-c", "printf unfinished; read line; exit 3", stdin=True, restartPolicy="Never")
    await node.until_phase("ends", "Running")
    monkeypatch.setattr(logs, "os", FullFile(0))
    worker = node.kubelet._find("default", "ends") if node.kubelet else None
    assert worker is not None
    process = worker.containers[0].instance.process  # type: ignore[union-attr]
    assert process is not None
    process.close_stdin()
    pod = await node.until_phase("ends", "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def test_volumes_that_find_no_room_are_failed_mounts(node: Node, disk: Disk) -> None:
    disk.fail_in(atomic_writer, "write", lambda target, payload: str(target))
    disk.full = True
    await node.run("waits", "sleep", "600", volumes=[{"name": "labels", "downwardAPI": {"items": []}}])
    message = await node.until_event("waits", "FailedMount")
    assert message.startswith('MountVolume.SetUp failed for volume "labels" : ')
    assert message.endswith(": no space left on device")
    disk.full = False
    await node.until_phase("waits", "Running", seconds=30)


async def test_a_container_that_finds_no_room_is_created_later(node: Node, disk: Disk) -> None:
    from clusters.embedded.kubelet import containers

    disk.fail_in(containers, "LogWriter", str)
    disk.full = True
    await node.run("waits", "sleep", "600")
    waiting = await node.until_state("waits", "waiting", "CreateContainerError")
    assert waiting["message"].endswith("/main/0.log: no space left on device")
    assert (await node.until_event("waits", "Failed")).endswith(": no space left on device")
    disk.full = False
    await node.until_phase("waits", "Running", seconds=30)
    assert (await node.status("waits"))["restartCount"] == 0


async def test_a_status_that_the_server_could_not_store_is_told_later(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_status, "_RETRY_SECONDS", 0.05)
    real, refusals = node.server.services.registry.store.write, 0

    def write(operations: Any) -> None:
        nonlocal refusals
        if any(operation.resource == "pods" and operation.object.get("status", {}).get("phase") == "Succeeded" for operation in operations):
            refusals += 1
            if refusals < 5:
                raise internal("the disk is full")
        real(operations)

    monkeypatch.setattr(node.server.services.registry.store, "write", write)
    await node.run("done", "true", restartPolicy="Never")
    await node.until_phase("done", "Succeeded")
    assert refusals == 5
