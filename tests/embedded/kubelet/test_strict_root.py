"""The private root of the stricter launcher."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from clusters.embedded.kubelet import namespace_support, strict

from .conftest import PYTHON, Node, running_node

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


# What the program may do

_SHOW = "grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status | cut -f2 | tr '\\n' ' '"
_DEFAULT = "00000000a80425fb"


@pytest.mark.parametrize(
    ("security", "shown"),
    [
        ({}, f"{_DEFAULT} {_DEFAULT} {_DEFAULT} 0 "),
        ({"runAsUser": 1000}, f"{'0' * 16} {'0' * 16} {_DEFAULT} 0 "),
        ({"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}, f"{'0' * 16} {'0' * 16} {'0' * 16} 1 "),
        ({"capabilities": {"add": ["NET_ADMIN"]}}, "00000000a80435fb 00000000a80435fb 00000000a80435fb 0 "),
    ],
)
async def test_capabilities_are_those_of_the_security_context_for_exec_too(node: Node, security: dict[str, Any], shown: str) -> None:
    await node.run("own", "sh", "-c", f"{_SHOW}; echo; sleep 600", securityContext=security)
    await node.until_phase("own", "Running")
    await node.until(lambda: node.logs("own"))
    assert await node.logs("own") == shown + "\n"
    assert await node.exec("own", "sh", "-c", _SHOW) == (0, shown)


_REMOUNT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
READ_ONLY, REMOUNT, BIND, NEW_USER, NEW_NS = 1, 32, 4096, 0x10000000, 0x20000
for attempt in ("as it is", "in new namespaces"):
    for path in ("/.ai-lab/usr", "/usr/bin", "/proc/sys", "/.ai-lab/pythonpath"):
        changed = libc.mount(None, path.encode(), None, ctypes.c_ulong(REMOUNT | BIND), None) == 0
        undone = libc.umount2(path.encode(), 0) == 0
        print(path, changed or undone or not os.statvfs(path).f_flag & READ_ONLY)
    libc.unshare(NEW_USER | NEW_NS)
"""


@pytest.mark.parametrize("security", [{}, {"capabilities": {"add": ["SYS_ADMIN"]}}, {"privileged": True}])
async def test_no_capability_makes_a_read_only_mount_writable(node: Node, security: dict[str, Any]) -> None:
    await node.run("own", "python3", "-c", _REMOUNT, restartPolicy="Never", securityContext=security)
    await node.until_phase("own", "Succeeded")
    seen = (await node.logs("own")).splitlines()
    assert len(seen) == 8
    assert all(line.endswith(" False") for line in seen), seen


async def test_settings_of_the_kernel_cannot_be_written(node: Node) -> None:
    # Opened only: nothing is written even where that is possible.
    program = (
        "import os\nfor name in ('sys/kernel/core_pattern', 'sysrq-trigger'):\n"
        " try: os.close(os.open('/proc/' + name, os.O_WRONLY)); print('open')\n"
        " except OSError as error: print(error.strerror)\n"
    )
    await node.run("own", "python3", "-c", program, restartPolicy="Never", securityContext={"privileged": True})
    await node.until_phase("own", "Succeeded")
    assert "open" not in await node.logs("own")
    await node.run("kcore", "sh", "-c", "head -c 4 /proc/kcore 2>/dev/null | wc -c", restartPolicy="Never")
    await node.until_phase("kcore", "Succeeded")
    assert (await node.logs("kcore")).strip() == "0"


async def test_only_the_pod_s_own_place_in_the_network_can_be_written(node: Node) -> None:
    ask = """for each in "$AI_LAB_NETWORK" "$AI_LAB_NETWORK/pods/$AI_LAB_POD_IP" "${PYTHONPATH%%:*}"; do test -w "$each"; echo $?; done"""
    await node.run("own", "sh", "-c", ask, restartPolicy="Never")
    await node.until_phase("own", "Succeeded")
    assert (await node.logs("own")).split() == ["1", "0", "1"]


async def test_what_a_config_map_holds_is_to_be_read(node: Node) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "x"}}, "default")
    volumes = [{"name": "v", "configMap": {"name": "c"}}]
    await node.run("own", "touch", "/c/new", restartPolicy="Never", volumes=volumes, volumeMounts=[{"name": "v", "mountPath": "/c"}])
    await node.until_phase("own", "Failed")
    assert "Read-only file system" in await node.logs("own")


# Mounts


async def test_a_mount_may_lie_in_another_and_follows_links_inside_the_root(node: Node, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    mounts = [{"name": "v", "mountPath": "/data"}]
    await node.create(
        {
            "metadata": {"name": "own"},
            "spec": {
                "initContainers": [
                    {"name": "first", "image": "busybox:1.36", "command": ["ln", "-s", str(outside), "/data/link"], "volumeMounts": mounts}
                ],
                "containers": [
                    {
                        "name": "main",
                        "image": "busybox:1.36",
                        "command": ["sh", "-c", f"touch /data/inner/a /data/link/b && ls {outside}"],
                        "volumeMounts": [
                            *mounts,
                            {"name": "w", "mountPath": "/data/inner"},
                            {"name": "w", "mountPath": "/data/link"},
                        ],
                    }
                ],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
                "restartPolicy": "Never",
            },
        }
    )
    await node.until_phase("own", "Succeeded")
    assert await node.logs("own") == "a\nb\n"
    assert list(outside.iterdir()) == []


async def test_a_place_that_cannot_be_made_is_named(node: Node) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "x"}}, "default")
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "v", "emptyDir": {}}]
    mounts = [{"name": "c", "mountPath": "/c"}, {"name": "v", "mountPath": "/c/inner"}]
    await node.run("own", "true", restartPolicy="Never", volumes=volumes, volumeMounts=mounts)
    state = await node.until_state("own", "terminated", "StartError")
    assert 'to rootfs at "/c/inner": create mountpoint for /c/inner mount: read-only file system' in state["message"]


async def test_terminals_of_the_machine_are_not_seen(node: Node) -> None:
    await node.run(
        "own", "sh", "-c", "ls /dev/pts; test -t 0 && readlink /dev/ptmx; stat -c %F /dev/console", tty=True, restartPolicy="Never"
    )
    await node.until_phase("own", "Succeeded")
    assert (await node.logs("own")).split() == ["ptmx", "pts/ptmx", "character", "special", "file"]
    await node.run("execs", "sleep", "600")
    await node.until_phase("execs", "Running")
    code, said = await node.exec("execs", "sh", "-c", "tty; test -t 0 && echo typed > /dev/tty", tty=True)
    assert (code, said.split()) == (0, ["/dev/pts/0", "typed"])


# Processes


@pytest.fixture
def own_pids(node: Node) -> None:
    if not namespace_support.has_own_pids():
        pytest.skip("this machine lets no ordinary process mount a /proc")


@pytest.mark.usefixtures("own_pids")
async def test_a_container_sees_its_own_processes_only(node: Node) -> None:
    await node.run("own", "sh", "-c", "echo $$$$; exec sleep 600")
    await node.until_phase("own", "Running")
    await node.until(lambda: node.logs("own"))
    assert await node.logs("own") == "1\n"
    code, seen = await node.exec("own", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; ls /proc | grep -c '^[0-9]'")
    assert code == 0
    # sleep, the shell, ls and grep, and the shell's child that becomes one of them.
    assert seen.startswith("sleep 600 ")
    assert int(seen.split()[-1]) <= 5


@pytest.mark.usefixtures("own_pids")
async def test_a_container_cannot_signal_the_machine_s_processes(node: Node) -> None:
    await node.run("own", "sh", "-c", f"kill -0 {os.getpid()} || echo refused", restartPolicy="Never")
    await node.until_phase("own", "Succeeded")
    assert "refused" in await node.logs("own")


@pytest.mark.usefixtures("own_pids")
@pytest.mark.parametrize(("uid", "debugger_uid"), [(0, 0), (1000, 2000)])
async def test_a_debugger_sees_the_processes_of_its_target(node: Node, uid: int, debugger_uid: int) -> None:
    await node.run("own", "sleep", "600", securityContext={"runAsUser": uid})
    await node.until_phase("own", "Running")
    look = "tr '\\0' ' ' < /proc/1/cmdline; id -u; test -w /proc/sys/kernel/core_pattern || echo locked; kill -TERM 1 && echo may"
    debugger = {
        "name": "debugger",
        "image": PYTHON,
        "command": ["sh", "-c", look],
        "targetContainerName": "main",
        "securityContext": {"runAsUser": debugger_uid},
    }
    await node.client.patch("pods", "own", {"spec": {"ephemeralContainers": [debugger]}}, "default", subresource="ephemeralcontainers")
    await node.until_state("own", "terminated", container="debugger")
    assert (await node.logs("own", container="debugger")).split() == ["sleep", "600", str(debugger_uid), "locked", "may"]


@pytest.mark.usefixtures("own_pids")
async def test_what_left_the_session_ends_with_the_container(node: Node) -> None:
    mark = f"9{uuid.uuid4().int % 10**8:08}"

    def left() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]

    await node.run("own", "sh", "-c", f"(setsid sleep {mark} &) ; exec sleep 600")
    await node.until(left)
    await node.client.delete("pods", "own", "default", grace_period_seconds=0)
    await node.until_gone("own")
    await node.until(lambda: not left())


@pytest_asyncio.fixture
async def without_own_pids(any_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """A node on a machine that lets no ordinary process mount a /proc: another container around it hides parts of its own."""
    monkeypatch.setattr(strict, "has_own_pids", lambda: False)
    folder = tmp_path / "second"
    folder.mkdir()
    async with running_node(folder, strict.StrictLauncher(folder / "programs")) as made:
        yield made


async def test_where_proc_cannot_be_mounted_the_rest_holds(without_own_pids: Node) -> None:
    node = without_own_pids
    await node.run("own", "sh", "-c", "sleep 600")
    await node.until_phase("own", "Running")
    assert await node.exec("own", "sh", "-c", _SHOW) == (0, f"{_DEFAULT} {_DEFAULT} {_DEFAULT} 0 ")
    code, seen = await node.exec("own", "python3", "-c", _REMOUNT)
    assert (code, [line for line in seen.splitlines() if not line.endswith(" False")]) == (0, [])
    assert await node.exec("own", "sh", "-c", "test -w /proc/sys/kernel/core_pattern; echo $?") == (0, "1\n")


async def test_another_user_of_the_container_reaches_its_volumes(node: Node) -> None:
    """The state folder is closed to others; who a container runs as is a name for this user."""
    await node.client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "shared\n"}}, "default")
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/h"}}]
    await node.run(
        "own",
        "sh",
        "-c",
        "cat /c/a && cp /c/a /e/x && cp /c/a /h/y && id -u && stat -c %a /e /h /etc /e/x",
        restartPolicy="Never",
        volumes=volumes,
        volumeMounts=[{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes],
        securityContext={"runAsUser": 1000, "runAsGroup": 3000, "runAsNonRoot": True},
    )
    await node.until_phase("own", "Succeeded")
    assert (await node.logs("own")).split() == ["shared", "1000", "777", "755", "755", "644"]
