"""Volumes as containers see them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubeobjects import Object

from .conftest import PYTHON, Node


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


async def _mounted(node: Node, name: str, volume: Object, *command: str, mount: Object | None = None, **spec: Any) -> None:
    mounts = [{"name": "v", "mountPath": "/config", **(mount or {})}]
    await node.run(name, *command, volumes=[{"name": "v", **volume}], volumeMounts=mounts, restartPolicy="Never", **spec)


async def test_keys_of_a_config_map_are_files_for_the_shell_and_for_python(node: Node) -> None:
    data = {"vocab.txt": "hello\nworld\n", "run.sh": "cat /config/vocab.txt | head -1\n"}
    await node.client.create("configmaps", {"metadata": {"name": "tokenizer"}, "data": data}, "default")
    source = {"configMap": {"name": "tokenizer"}}
    await _mounted(node, "shell", source, "sh", "-c", "cat /config/vocab.txt")
    await _mounted(node, "script", source, "sh", "/config/run.sh")
    await _mounted(
        node, "python", source, "python3", "-c", "import os; print(open('/config/vocab.txt').read(), sorted(os.listdir('/config'))[-1])"
    )
    for name, expected in (("shell", "hello\nworld\n"), ("script", "hello\n"), ("python", "hello\nworld\n vocab.txt\n")):
        await node.until_phase(name, "Succeeded")
        assert await node.logs(name) == expected


async def test_a_config_map_that_is_not_there_holds_the_pod_up(node: Node) -> None:
    await _mounted(node, "waits", {"configMap": {"name": "missing-config"}}, "cat", "/config/a")
    assert await node.until_event("waits", "FailedMount") == (
        'MountVolume.SetUp failed for volume "v" : configmap "missing-config" not found'
    )
    status = await node.status("waits")
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}
    await node.client.create("configmaps", {"metadata": {"name": "missing-config"}, "data": {"a": "now"}}, "default")
    await node.until_phase("waits", "Succeeded")
    assert await node.logs("waits") == "now"


async def test_a_change_of_a_config_map_reaches_a_running_container(node: Node) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "live"}, "data": {"a": "one"}}, "default")
    program = 'while [ "$(cat /config/a)" != two ]; do sleep 0.1; done; echo seen'
    await _mounted(node, "watcher", {"configMap": {"name": "live"}}, "sh", "-c", program)
    await node.until_phase("watcher", "Running")
    await node.client.patch("configmaps", "live", {"data": {"a": "two"}}, "default")
    await node.until_phase("watcher", "Succeeded", seconds=10)


async def test_a_sub_path_keeps_what_it_was_at_the_start(node: Node) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "live"}, "data": {"a": "one", "b": "x"}}, "default")
    await _mounted(
        node,
        "fixed",
        {"configMap": {"name": "live"}},
        "sh",
        "-c",
        "cat /etc/app.conf; echo; sleep 60",
        mount={"mountPath": "/etc/app.conf", "subPath": "a"},
    )
    await node.until_phase("fixed", "Running")
    await node.until(lambda: node.logs("fixed"))
    assert await node.logs("fixed") == "one\n"


async def test_items_and_modes_of_a_secret(node: Node) -> None:
    await node.client.create("secrets", {"metadata": {"name": "s"}, "data": {"key": base64.b64encode(b"s3cret").decode()}}, "default")
    source = {"secret": {"secretName": "s", "items": [{"key": "key", "path": "deep/password", "mode": 0o400}]}}
    await _mounted(node, "reads", source, "sh", "-c", "cat /config/deep/password; stat -L -c ' %a' /config/deep/password")
    await node.until_phase("reads", "Succeeded")
    assert await node.logs("reads") == "s3cret 400\n"


async def test_a_key_that_a_secret_does_not_have(node: Node) -> None:
    await node.client.create("secrets", {"metadata": {"name": "s"}, "data": {}}, "default")
    source = {"secret": {"secretName": "s", "items": [{"key": "nope", "path": "nope"}]}}
    await _mounted(node, "waits", source, "true")
    assert (await node.until_event("waits", "FailedMount")).endswith('for volume "v" : references non-existent secret key: nope')


async def test_containers_of_a_pod_share_an_empty_dir(node: Node) -> None:
    mounts = [{"name": "cache", "mountPath": "/cache"}]
    writer = {
        "name": "writer",
        "image": PYTHON,
        "command": ["python3", "-c", "open('/cache/a', 'w').write('shared')"],
        "volumeMounts": mounts,
    }
    reader = {
        "name": "main",
        "image": PYTHON,
        "command": ["sh", "-c", "until [ -s /cache/a ]; do sleep 0.05; done; cat /cache/a"],
        "volumeMounts": mounts,
    }
    spec = {"containers": [writer, reader], "volumes": [{"name": "cache", "emptyDir": {}}], "restartPolicy": "Never"}
    await node.create({"metadata": {"name": "pair"}, "spec": spec})
    await node.until_phase("pair", "Succeeded")
    assert await node.logs("pair") == "shared"


async def test_a_host_path_is_a_folder_of_the_node(node: Node) -> None:
    (node.root / "data/models").mkdir(parents=True)
    (node.root / "data/models/weights").write_text("42")
    await _mounted(node, "reads", {"hostPath": {"path": "/data/models", "type": "Directory"}}, "cat", "/config/weights")
    await _mounted(node, "waits", {"hostPath": {"path": "/data/none", "type": "Directory"}}, "true")
    await node.until_phase("reads", "Succeeded")
    assert await node.logs("reads") == "42"
    message = await node.until_event("waits", "FailedMount")
    assert message == 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /data/none is not a directory'


async def test_the_service_account_is_in_every_container(node: Node) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    await node.run("token", "sh", "-c", f"cat {folder}/namespace {folder}/ca.crt; echo; wc -c < {folder}/token", restartPolicy="Never")
    await node.until_phase("token", "Succeeded")
    words = (await node.logs("token")).split()
    assert words[0] == "defaultcertificate"
    assert int(words[1]) > 100


async def test_labels_reach_a_downward_api_volume(node: Node) -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}, {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
    source = {"downwardAPI": {"items": items}}
    await _mounted(
        node, "tells", source, "sh", "-c", "cat /config/name /config/labels", metadata={"labels": {"app": "demo", "tier": "cpu"}}
    )
    await node.until_phase("tells", "Succeeded")
    assert await node.logs("tells") == 'tellsapp="demo"\ntier="cpu"'


async def test_a_claim_is_the_folder_of_its_volume(node: Node) -> None:
    volume = {
        "metadata": {"name": "pv-1"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/data/pv-1"},
            "claimRef": {"namespace": "default", "name": "weights"},
        },
    }
    claim = {
        "metadata": {"name": "weights"},
        "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pv-1", "resources": {"requests": {"storage": "1Gi"}}},
    }
    await node.client.create("persistentvolumes", volume)
    await node.client.create("persistentvolumeclaims", claim, "default")
    await node.client.patch("persistentvolumeclaims", "weights", {"status": {"phase": "Bound"}}, "default", subresource="status")
    await _mounted(node, "writes", {"persistentVolumeClaim": {"claimName": "weights"}}, "sh", "-c", "echo kept > /config/a")
    await node.until_phase("writes", "Succeeded")
    assert (node.root / "data/pv-1/a").read_text() == "kept\n"
    assert (node.root / "data/pv-1").stat().st_mode & 0o777 == 0o777
    # Read-only by the volume: for every container, whatever its mounts say.
    source = {"persistentVolumeClaim": {"claimName": "weights", "readOnly": True}}
    await _mounted(node, "reads", source, "python3", "-c", "print(open('/config/a').read()); open('/config/a', 'w')")
    await node.until_phase("reads", "Failed")
    assert "Read-only file system" in await node.logs("reads")
    assert (node.root / "data/pv-1/a").read_text() == "kept\n"


async def test_files_of_a_container_are_gone_with_it(node: Node) -> None:
    await node.run("fresh", "sh", "-c", "ls /tmp | wc -l; touch /tmp/left; exit 1")

    async def restarted() -> bool:
        return (await node.status("fresh")).get("restartCount", 0) == 1

    await node.until(restarted)
    await node.until(lambda: node.logs("fresh"))
    assert (await node.logs("fresh")).strip() == "0"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            {"csi": {"driver": "gcsfuse.csi.storage.gke.io"}},
            "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: "
            "driver name gcsfuse.csi.storage.gke.io not found in the list of registered CSI drivers",
        ),
        (
            {"gitRepo": {"repository": "https://git.example.com/a/b"}},
            "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate `GitRepoVolumeDriver`",
        ),
        (
            {"nfs": {"server": "10.0.0.1", "path": "/models"}},
            "mount failed: exit status 32\nMounting command: mount\n"
            "Mounting arguments: -t nfs 10.0.0.1:/models /var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~nfs/m\n"
            "Output: mount.nfs: No such device\n\n",
        ),
    ],
)
async def test_a_volume_that_no_node_serves_fails_in_its_plugins_words(node: Node, source: Object, words: str) -> None:
    pod = await node.run("v", "sleep", "600", volumeMounts=[{"name": "m", "mountPath": "/m"}], volumes=[{"name": "m", **source}])
    message = await node.until_event("v", "FailedMount")
    assert message == f'MountVolume.SetUp failed for volume "m" : {words.format(uid=pod["metadata"]["uid"])}'


async def test_an_image_can_be_mounted_to_read(node: Node) -> None:
    volumes = [{"name": "m", "image": {"reference": "python:3.12-slim", "pullPolicy": "IfNotPresent"}}]
    await node.run("v", "sleep", "600", image="busybox:1.37", volumeMounts=[{"name": "m", "mountPath": "/m"}], volumes=volumes)
    await node.until_state("v", "running")
    assert (await node.exec("v", "ls", "/m"))[1].split()[:4] == ["bin", "boot", "dev", "etc"]

    async def pulled() -> list[Object]:
        return [each for each in await node.events("v") if each["reason"] == "Pulled"]

    async def both_pulled() -> bool:
        return len(await pulled()) == 2

    await node.until(both_pulled)
    assert [each["involvedObject"].get("fieldPath") for each in await pulled()] == [None, "spec.containers{main}"]


async def test_what_is_mounted_to_read_cannot_be_written(node: Node) -> None:
    await node.client.create("configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1"}}, "default")
    write = "import sys\nfor path in sys.argv[1:]:\n  try: open(path, 'w')\n  except OSError as error: print(error)"
    places = ("image", "config", "empty", "other")
    sources: list[Object] = [{"image": {"reference": PYTHON}}, {"configMap": {"name": "settings"}}, {"emptyDir": {}}, {"emptyDir": {}}]
    volumes = [{"name": f"v{number}", **source} for number, source in enumerate(sources)]
    mounts = [{"name": f"v{number}", "mountPath": f"/{place}", "readOnly": place == "empty"} for number, place in enumerate(places)]
    paths = [f"/{place}/x" for place in places]
    await node.run("v", "python3", "-c", write, *paths, volumeMounts=mounts, volumes=volumes, restartPolicy="Never")
    await node.until_phase("v", "Succeeded")
    assert (await node.logs("v")).splitlines() == [f"[Errno 30] Read-only file system: '{path}'" for path in paths[:3]]


async def test_an_image_volume_that_cannot_be_pulled_keeps_the_container_waiting(node: Node) -> None:
    volumes = [{"name": "m", "image": {"reference": "nosuch.example.com/model:1"}}]
    await node.run("v", "sleep", "600", volumeMounts=[{"name": "m", "mountPath": "/m"}], volumes=volumes)
    await node.until_state("v", "waiting", "ImagePullBackOff")
    reasons = [reason for reason, _ in await node.messages("v")]
    assert {"Pulling", "Failed", "BackOff"} <= {*reasons}
