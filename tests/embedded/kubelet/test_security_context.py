"""What a container feels of its security context, with each of the launchers."""

from __future__ import annotations

import pytest

from clusters.embedded.kubelet.namespace_support import may_map_ids

from .conftest import Node

WRITE = """
import os, pathlib, sys, tempfile
for path in sys.argv[1:]:
    try:
        pathlib.Path(path).write_text("x")
        print(path, "written")
    except OSError as error:
        print(error)
for change in (lambda: os.mkdir("/tmp/a"), lambda: os.remove("/etc/passwd"), lambda: os.rename("/data/f", "/tmp/f")):
    try:
        change()
        print("done")
    except OSError as error:
        print(error.strerror)
print(pathlib.Path("/data/f").read_text())
"""


async def test_a_read_only_root_leaves_mounts_to_write_to(any_node: Node) -> None:
    await any_node.run(
        "hardened",
        "python3",
        "-c",
        WRITE,
        *("/x", "/tmp/x", "relative", "/data/f", "/dev/null", "/dev/shm/x"),
        restartPolicy="Never",
        securityContext={"readOnlyRootFilesystem": True},
        volumeMounts=[{"name": "d", "mountPath": "/data"}],
        volumes=[{"name": "d", "emptyDir": {}}],
    )
    await any_node.until_phase("hardened", "Succeeded")
    said = (await any_node.logs("hardened")).splitlines()
    assert said[:3] == [f"[Errno 30] Read-only file system: '{path}'" for path in ("/x", "/tmp/x", "relative")]
    assert said[3:8] == ["/data/f written", "/dev/null written", "/dev/shm/x written", *["Read-only file system"] * 2]
    # Between file systems there is no renaming either.
    assert said[8] in ("Read-only file system", "Invalid cross-device link")
    assert said[9] == "x"


async def test_programs_of_a_read_only_root_listen_all_the_same(any_node: Node) -> None:
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    serve = ("python3", "-m", "http.server", "8080")
    await any_node.run("serving", *serve, readinessProbe=probe, securityContext={"readOnlyRootFilesystem": True})

    async def ready() -> bool:
        return bool((await any_node.status("serving")).get("ready"))

    await any_node.until(ready)


async def test_other_programs_feel_it_too_in_a_root_of_their_own(node: Node) -> None:
    await node.run("box", "sleep", "600", image="busybox:1.37", securityContext={"readOnlyRootFilesystem": True})
    await node.until_state("box", "running")
    code, said = await node.exec("box", "touch", "/x")
    assert (code, "Read-only file system" in said) == (1, True)


def _owned_by_root() -> dict[str, object]:
    context = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [2500]}
    volumes = [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]
    mounts = [{"name": "d", "mountPath": "/data"}, {"name": "m", "mountPath": "/fast"}]
    return {"securityContext": context, "volumes": volumes, "mounts": mounts}


@pytest.mark.skipif(not may_map_ids(), reason="only root may give groups to processes")
async def test_groups_and_the_owner_of_volumes_are_shown(node: Node) -> None:
    look = "id; stat -c '%A %U %g' /data /fast; touch /data/f /fast/f; stat -c '%u %g' /data/f /fast/f; sleep 600"
    found = _owned_by_root()
    main = {"name": "main", "image": "debian:12", "command": ["sh", "-c", look], "volumeMounts": found.pop("mounts")}
    await node.create({"metadata": {"name": "hardened"}, "spec": {**found, "containers": [main]}})
    await node.until_state("hardened", "running")

    async def said() -> list[str]:
        lines = (await node.logs("hardened")).splitlines()
        return lines if len(lines) == 5 else []

    assert await node.until(said) == [
        "uid=1000 gid=3000 groups=3000,2000,2500",
        *["drwxrwsrwx root 2000"] * 2,
        *["1000 2000"] * 2,
    ]
    assert await node.exec("hardened", "id") == (0, "uid=1000 gid=3000 groups=3000,2000,2500\n")


@pytest.mark.skipif(not may_map_ids(), reason="only root may give groups to processes")
async def test_root_owns_the_volumes_of_a_pod_that_runs_as_root(node: Node) -> None:
    spec = {"securityContext": {"fsGroup": 2000}, "volumes": [{"name": "d", "emptyDir": {}}]}
    main = {
        "name": "main",
        "image": "debian:12",
        "command": ["stat", "-c", "%U %g", "/data"],
        "volumeMounts": [{"name": "d", "mountPath": "/data"}],
    }
    await node.create({"metadata": {"name": "plain"}, "spec": {**spec, "containers": [main], "restartPolicy": "Never"}})
    await node.until_phase("plain", "Succeeded")
    assert await node.logs("plain") == "root 2000\n"
