"""The private root of the stricter launcher."""

from __future__ import annotations

import pytest

from .conftest import Node

# The portable launcher gives no root of its own.
pytestmark = pytest.mark.parametrize("any_node", ["strict"], indirect=True)


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


async def test_a_container_sees_its_own_root_and_nothing_of_this_machine(node: Node) -> None:
    await node.run("own", "sleep", "600")
    await node.until_phase("own", "Running")
    code, listed = await node.exec("own", "ls", "/")
    assert code == 0
    assert set(listed.split()) == {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "mnt",
        "opt",
        "proc",
        "root",
        "run",
        "sbin",
        "srv",
        "tmp",
        "usr",
        "var",
    }
    assert await node.exec("own", "sh", "-c", "pwd; echo $HOME; hostname; which python3") == (0, "/\n/root\nown\n/usr/local/bin/python3\n")
    assert (await node.exec("own", "ls", str(node.root)))[0] != 0


async def test_the_machine_s_programs_cannot_be_changed(node: Node) -> None:
    await node.run("own", "sleep", "600")
    await node.until_phase("own", "Running")
    code, said = await node.exec("own", "touch", "/.ai-lab/usr/bin/new")
    assert code != 0
    assert "Read-only file system" in said


async def test_a_read_only_mount_is_read_only(node: Node) -> None:
    await node.run(
        "own",
        "sh",
        "-c",
        "touch /data/a || echo refused",
        restartPolicy="Never",
        volumes=[{"name": "d", "hostPath": {"path": "/d"}}],
        volumeMounts=[{"name": "d", "mountPath": "/data", "readOnly": True}],
    )
    await node.until_phase("own", "Succeeded")
    assert "refused" in await node.logs("own")


async def test_the_user_is_the_one_of_the_security_context(node: Node) -> None:
    await node.run("own", "id", "-u", restartPolicy="Never", securityContext={"runAsUser": 1000, "runAsGroup": 2000})
    await node.until_phase("own", "Succeeded")
    assert await node.logs("own") == "1000\n"


async def test_shared_memory_is_as_small_as_a_container_runtime_makes_it(node: Node) -> None:
    await node.run("own", "sh", "-c", "head -c 70000000 /dev/zero > /dev/shm/a; stat -c %s /dev/shm/a", restartPolicy="Never")
    await node.until_phase("own", "Succeeded")
    assert (await node.logs("own")).splitlines()[-1] == str(64 * 1024 * 1024)
