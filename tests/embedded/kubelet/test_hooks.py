"""postStart and preStop."""

from __future__ import annotations

from .conftest import Node


async def test_a_container_is_ready_only_after_its_post_start_hook(node: Node) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo warm > /tmp/warm"]}}}
    await node.run("warm", "sh", "-c", "sleep 600", lifecycle=hook)
    await node.until_phase("warm", "Running")
    assert await node.exec("warm", "cat", "/tmp/warm") == (0, "warm\n")


async def test_a_post_start_hook_that_fails_ends_the_container(node: Node) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 3"]}}}
    await node.run("cold", "sleep", "600", lifecycle=hook, restartPolicy="Never")
    await node.until_phase("cold", "Failed")
    assert (await node.until_event("cold", "FailedPostStartHook")).startswith(
        "PostStartHook failed: command 'sh -c echo no; exit 3' exited with 3"
    )


async def test_a_pre_stop_hook_runs_before_the_end(node: Node) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo draining > /cache/said"]}}}
    await node.run(
        "drains",
        "sleep",
        "600",
        lifecycle=hook,
        volumes=[{"name": "cache", "hostPath": {"path": "/said"}}],
        volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
    )
    await node.until_phase("drains", "Running")
    await node.client.delete("pods", "drains", "default")
    await node.until_gone("drains")
    assert (node.root / "said/said").read_text() == "draining\n"
