"""A kubelet that ends, in order or killed, and the one that comes after it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil

from clusters.embedded import owned_processes

from .conftest import NODE, Node


async def test_stopping_the_kubelet_ends_every_process(node: Node) -> None:
    await node.run("runs", "sh", "-c", "sleep 601 & sleep 602")
    await node.until_phase("runs", "Running")

    def running() -> list[str]:
        found = []
        for child in psutil.Process().children(recursive=True):
            try:
                found.append(" ".join(child.cmdline()))
            except psutil.Error:
                continue
        return [line for line in found if "sleep" in line]

    await node.until(lambda: len(running()) >= 2)
    await node.stop()
    await node.until(lambda: not running())


async def test_a_new_kubelet_starts_the_pods_again(node: Node) -> None:
    await node.run("runs", "sleep", "600")
    await node.run("job", "sleep", "600", restartPolicy="Never")
    await node.until_phase("runs", "Running")
    await node.until_phase("job", "Running")
    await node.stop()
    await node.start()

    async def again() -> bool:
        status = await node.status("runs")
        return status.get("restartCount") == 1 and status["ready"]

    await node.until(again)
    last = (await node.status("runs"))["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (255, "Unknown")
    assert await node.until_event("runs", "SandboxChanged") == "Pod sandbox changed, it will be killed and re-created."


async def test_what_a_killed_kubelet_left_behind_is_found_by_its_start_time(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    folder = tmp_path / "uid" / "containers" / "main"
    folder.mkdir(parents=True)
    born = psutil.Process(process.pid).create_time()
    (folder / "pid").write_text(f"{process.pid} {born - 100}")
    assert owned_processes.recorded(folder / "pid") == []
    assert process.returncode is None
    (folder / "pid").write_text(f"{process.pid} {born}")
    assert owned_processes.recorded(folder / "pid") == [process.pid]
    process.kill()
    assert await asyncio.wait_for(process.wait(), 60) == -9


async def test_a_pod_that_was_deleted_meanwhile_is_cleaned_up(node: Node) -> None:
    await node.run("runs", "sleep", "600")
    await node.until_phase("runs", "Running")
    await node.stop()
    await node.client.delete("pods", "runs", "default")
    await node.start()
    await node.until_gone("runs")


async def test_the_node_keeps_what_others_wrote_on_it(node: Node) -> None:
    await node.client.patch("nodes", NODE, {"metadata": {"labels": {"team": "ml"}}, "spec": {"unschedulable": True}})
    await node.stop()
    await node.start()
    found = await node.client.get("nodes", NODE)
    assert found["metadata"]["labels"]["team"] == "ml"
    assert found["spec"]["unschedulable"] is True
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
