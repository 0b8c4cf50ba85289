"""Daemons: what forked twice and began a session of its own is still its container's."""

from __future__ import annotations

import ctypes
import secrets
import sys
from collections.abc import Iterator

import psutil
import pytest

from clusters.embedded import owned_processes
from clusters.embedded.kubelet import children, namespace_support, orphans

from .conftest import Node

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, '-c', PROGRAM], ENV)
time.sleep(600)
"""
IDLE = "import time; print('up', flush=True); time.sleep(600)"
HUNGRY = "import time; print('up', flush=True); x = bytearray(200 << 20); time.sleep(600)"


@pytest.fixture
def adopting() -> Iterator[None]:
    """This process adopts orphans, as the server does on Linux."""
    orphans.adopt()
    yield
    ctypes.CDLL(None).prctl(orphans._PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    orphans._adopts = children.reap_adopted = False


async def _daemon(node: Node, program: str, environment: str, **spec: object) -> int:
    """Starts a Pod whose program leaves a daemon, and returns the daemon's pid on this machine: in a PID namespace it sees another one itself."""
    program += f"  # {secrets.token_hex(8)}"
    script = DAEMON.replace("PROGRAM", repr(program)).replace("ENV", environment)
    await node.run("daemon", "python3", "-c", script, restartPolicy="Never", **spec)
    await node.until_phase("daemon", "Running")

    async def found() -> int:
        running = psutil.process_iter(["cmdline"])
        return next((each.pid for each in running if (each.info["cmdline"] or [])[1:] == ["-c", program]), 0)

    return await node.until(found)


async def test_a_daemon_is_found_by_its_mark_and_ends_with_its_pod(any_node: Node) -> None:
    daemon = await _daemon(any_node, IDLE, "os.environ")
    assert owned_processes.started(daemon)
    await any_node.client.delete("pods", "daemon", "default")
    await any_node.until_gone("daemon")
    assert not owned_processes.started(daemon)


@pytest.mark.usefixtures("adopting")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
async def test_an_adopted_daemon_ends_with_its_pod(any_node: Node) -> None:
    daemon = await _daemon(any_node, IDLE, "os.environ")
    await any_node.client.delete("pods", "daemon", "default")
    await any_node.until_gone("daemon")
    assert not owned_processes.started(daemon)


@pytest.mark.usefixtures("adopting")
@pytest.mark.skipif(not namespace_support.is_possible(), reason="on this machine containers have no root of their own")
async def test_a_daemon_that_cleared_its_environment_is_known_by_its_root(node: Node) -> None:
    daemon = await _daemon(node, IDLE, "{}")
    await node.client.delete("pods", "daemon", "default")
    await node.until_gone("daemon")
    assert not owned_processes.started(daemon)


@pytest.mark.usefixtures("adopting")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
async def test_a_daemons_memory_counts(any_node: Node) -> None:
    daemon = await _daemon(any_node, HUNGRY, "os.environ", resources={"limits": {"memory": "64Mi"}})
    pod = await any_node.until_phase("daemon", "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"
    assert not owned_processes.started(daemon)
