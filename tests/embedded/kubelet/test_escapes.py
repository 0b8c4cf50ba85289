"""Ways out of a container, tried against a folder of this test's own: none of them reads it or changes it, with either launcher."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeobjects import Object

from .conftest import PYTHON, Node

_SHARED = {"name": "v", "emptyDir": {}}


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


@pytest.fixture
def machine(node: Node, tmp_path: Path) -> Path:
    """What is outside of every container."""
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "secret.txt").write_text("of the machine")
    return folder


def _untouched(machine: Path) -> bool:
    return [each.name for each in machine.iterdir()] == ["secret.txt"] and (machine / "secret.txt").read_text() == "of the machine"


async def _planted(node: Node, name: str, plant: str, mount: Object, *command: str) -> None:
    """A Pod whose first container prepares the volume for the second, which mounts it at /config."""
    first = {"name": "first", "image": PYTHON, "command": ["sh", "-c", plant], "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    main = {"name": "main", "image": PYTHON, "command": list(command), "volumeMounts": [{"name": "v", "mountPath": "/config", **mount}]}
    await node.create(
        {
            "metadata": {"name": name},
            "spec": {"initContainers": [first], "containers": [main], "volumes": [_SHARED], "restartPolicy": "Never"},
        }
    )


# subPath


@pytest.mark.parametrize("below", ["out", "out/secret.txt", "up", "new"])
async def test_a_sub_path_over_a_link_that_leads_out_is_refused(node: Node, machine: Path, below: str) -> None:
    plant = (
        f"ln -s {machine} /data/out; ln -s ../../../../../../../../../../../../../../../{machine} /data/up; ln -s {machine}/new /data/new"
    )
    await _planted(node, "sub", plant, {"subPath": below}, "sh", "-c", "cat /config/secret.txt; touch /config/written")
    state = await node.until_state("sub", "waiting", "CreateContainerConfigError")
    words = 'failed to prepare subPath for volumeMount "v" of container "main"'
    assert state["message"] == words
    assert await node.until_event("sub", "Failed") == f"Error: {words}"
    assert _untouched(machine)


async def test_a_sub_path_over_a_link_within_the_volume_is_mounted(node: Node) -> None:
    plant = "mkdir /data/real; echo inside > /data/real/a; ln -s real /data/link"
    await _planted(node, "sub", plant, {"subPath": "link"}, "cat", "/config/a")
    await node.until_phase("sub", "Succeeded")
    assert await node.logs("sub") == "inside\n"


async def test_a_sub_path_over_a_link_that_leads_nowhere_is_not_made(node: Node) -> None:
    await _planted(node, "sub", "ln -s nowhere /data/link", {"subPath": "link"}, "true")
    state = await node.until_state("sub", "waiting", "CreateContainerConfigError")
    assert state["message"] == 'failed to create subPath directory for volumeMount "v" of container "main"'


async def test_a_sub_path_s_variables_cannot_lead_out(node: Node) -> None:
    for name, value, words in (
        ("up", "../..", "unable to provision SubPath `../..`: must not contain '..'"),
        ("root", "/etc", "error SubPath `/etc` must not be an absolute path"),
        ("empty", "", "missing value for WHERE"),
    ):
        mount = {"name": "v", "mountPath": "/config", "subPathExpr": "$(WHERE)"}
        await node.run(name, "true", volumes=[_SHARED], volumeMounts=[mount], env=[{"name": "WHERE", "value": value}])
        assert (await node.until_state(name, "waiting", "CreateContainerConfigError"))["message"] == words


# hostPath


async def test_a_host_path_over_a_planted_link_stays_on_the_node(node: Node, machine: Path) -> None:
    mount = [{"name": "h", "mountPath": "/h"}]
    plant = f"ln -s {machine} /h/out; ln -s ../../../../../../../{machine}/secret.txt /h/up"
    await node.run(
        "plants", "sh", "-c", plant, restartPolicy="Never", volumes=[{"name": "h", "hostPath": {"path": "/shared"}}], volumeMounts=mount
    )
    await node.until_phase("plants", "Succeeded")
    through = [{"name": "h", "hostPath": {"path": "/shared/out"}}]
    await node.run("through", "sh", "-c", "ls -A /h; touch /h/written", restartPolicy="Never", volumes=through, volumeMounts=mount)
    await node.until_phase("through", "Succeeded")
    assert await node.logs("through") == ""
    assert _untouched(machine)
    assert (node.root / str(machine).lstrip("/") / "written").exists()
    file = [{"name": "h", "hostPath": {"path": "/shared/up", "type": "File"}}]
    await node.run("file", "cat", "/h", volumes=file, volumeMounts=mount)
    assert "hostPath type check failed: /shared/up is not a file" in await node.until_event("file", "FailedMount")


async def test_logs_and_links_in_the_node_s_log_folder(node: Node, machine: Path) -> None:
    await node.run("victim", "sh", "-c", "echo own; sleep 600")
    await node.until_phase("victim", "Running")
    await node.until(lambda: node.logs("victim"))
    plant = f"cd /h/pods/default_victim_*/main && rm 0.log && ln -s {machine}/secret.txt 0.log"
    varlog = [{"name": "h", "hostPath": {"path": "/var/log"}}]
    await node.run("plants", "sh", "-c", plant, restartPolicy="Never", volumes=varlog, volumeMounts=[{"name": "h", "mountPath": "/h"}])
    await node.until_phase("plants", "Succeeded")
    with pytest.raises(OSError, match="symbolic links"):
        await node.logs("victim")


# Paths in the container


async def test_dots_in_paths_of_a_container_do_not_lead_out_of_it(node: Node, machine: Path) -> None:
    up = "/.." * 20 + str(machine)
    container = {
        "name": "main",
        "image": PYTHON,
        "command": ["sh", "-c", f"touch {machine}/mounted/a && touch b && echo last words > {machine}/words"],
        "workingDir": f"{up}/work",
        "terminationMessagePath": f"{up}/words",
        "volumeMounts": [{"name": "v", "mountPath": f"{up}/mounted"}],
    }
    await node.create({"metadata": {"name": "dots"}, "spec": {"containers": [container], "volumes": [_SHARED], "restartPolicy": "Never"}})
    await node.until_phase("dots", "Succeeded")
    assert (await node.status("dots"))["state"]["terminated"]["message"] == "last words\n"
    assert _untouched(machine)


@pytest.mark.parametrize("replace", ["ln -s {}/secret.txt", "mkfifo"])
async def test_last_words_are_read_from_no_link_and_no_pipe(node: Node, machine: Path, replace: str) -> None:
    log = "/dev/termination-log"
    await node.run("words", "sh", "-c", f"rm -f {log}; {replace.format(machine)} {log}; exit 0", restartPolicy="Never")
    await node.until_phase("words", "Succeeded")
    assert "message" not in (await node.status("words"))["state"]["terminated"]


async def test_the_end_of_very_long_last_words_is_shown(node: Node) -> None:
    await node.run("words", "sh", "-c", "truncate -s 64G /dev/termination-log; printf end >> /dev/termination-log", restartPolicy="Never")
    await node.until_phase("words", "Succeeded")
    assert (await node.status("words"))["state"]["terminated"]["message"].endswith("end")


# What the kubelet writes and deletes


async def test_an_update_of_a_config_map_follows_no_planted_link(node: Node, machine: Path) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "live"}, "data": {"a": "one"}}, "default")
    program = f'ln -sfn {machine} /config/..data; until [ "$(cat /config/a)" = two ]; do sleep 0.1; done'
    volume = {"name": "v", "configMap": {"name": "live"}}
    await node.run(
        "live", "sh", "-c", program, restartPolicy="Never", volumes=[volume], volumeMounts=[{"name": "v", "mountPath": "/config"}]
    )
    await node.until_phase("live", "Running")
    await node.client.patch("configmaps", "live", {"data": {"a": "two"}}, "default")
    await node.until_phase("live", "Succeeded")
    assert _untouched(machine)


async def test_the_end_of_a_pod_removes_its_volumes_and_not_what_links_in_them_name(node: Node, machine: Path) -> None:
    pod = await node.run(
        "ends",
        "sh",
        "-c",
        f"ln -s {machine} /v/out; mkdir /v/locked; touch /v/locked/file; chmod 0 /v/locked",
        restartPolicy="Never",
        volumes=[_SHARED],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    await node.until_phase("ends", "Succeeded")
    await node.client.delete("pods", "ends", "default", grace_period_seconds=0)
    folder = node.root / "var/lib/kubelet/pods" / pod["metadata"]["uid"]
    await node.until(lambda: not folder.exists())
    assert _untouched(machine)


async def test_the_table_of_services_is_written_over_a_planted_link(node: Node, machine: Path) -> None:
    (node.network.directory / ".services.new").symlink_to(machine / "secret.txt")
    node.network.publish({"services": {}})
    assert _untouched(machine)


async def test_files_of_a_container_have_their_usual_modes_whatever_the_server_s_umask(node: Node) -> None:
    before = os.umask(0o077)
    try:
        await node.client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "x"}}, "default")
        volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "h", "hostPath": {"path": "/h", "type": "DirectoryOrCreate"}}]
        mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
        program = "import os; print(*[oct(os.stat(each).st_mode & 0o777)[2:] for each in ('/tmp', '/var/log', '/c', '/c/a', '/h')]); print(os.umask(0))"
        await node.run("own", "python3", "-c", program, restartPolicy="Never", volumes=volumes, volumeMounts=mounts)
        await node.until_phase("own", "Succeeded")
    finally:
        os.umask(before)
    assert (await node.logs("own")).split() == ["777", "755", "755", "644", "755", str(0o022)]
