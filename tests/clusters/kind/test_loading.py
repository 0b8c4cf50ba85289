"""Images into the nodes: which node gets what, in what way, and what a later `up` makes of it."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from clusters import images
from clusters.base import ClusterError, Progress
from clusters.kind.archive import Archive, canonical
from clusters.kind.engine import parse_memory
from clusters.kind.loading import lacking, snapshotter
from clusters.kind.nodes import NODES
from tests.clusters.kind.test_provider import ANSWERS, GIB, PYTHON, SERVER, kind, recorded, roomy
from tests.clusters.recorded import Heard, Machine

__all__ = ["roomy"]

WHOLE = {"when": "^docker ps", "out": ANSWERS["nodes_whole"]}


def again(before: Machine, *rows: dict[str, Any]) -> Machine:
    """The machine after it: the same images in the engine and in the nodes of a cluster that runs."""
    after = recorded(WHOLE, *rows, newer_store=before.newer_store)
    after.engine, after.inside = before.engine, before.inside
    return after


def imports(commands: Machine) -> list[str]:
    """The nodes into which the archive was streamed."""
    found = [re.search(r"-i (\S+) ctr", line) for line in commands.ran if "images import" in line]
    return sorted(each[1] for each in found if each)


@pytest.mark.parametrize("newer_store", [False, True])
def test_every_image_of_the_lab_is_in_every_node_by_one_archive(tmp_path: Path, newer_store: bool) -> None:
    commands = recorded(newer_store=newer_store)
    kind(tmp_path, commands).up(Progress())
    assert imports(commands) == sorted(NODES)
    assert len([line for line in commands.ran if line.startswith("docker save")]) == 1
    for node in NODES:
        assert commands.inside[node] == {canonical(name): commands.node_id(name) for name in images.needed()}
    assert "docker.io/library/python:3.12-slim" in commands.inside["ai-lab-worker"]


@pytest.mark.parametrize("newer_store", [False, True])
def test_a_cluster_that_has_them_is_left_alone(tmp_path: Path, newer_store: bool) -> None:
    first = recorded(newer_store=newer_store)
    kind(tmp_path, first).up(Progress())
    second = again(first)
    kind(tmp_path, second).up(Progress())
    assert not second.did("import|save|kind load")


@pytest.mark.parametrize("newer_store", [False, True])
def test_a_rebuilt_image_is_brought_into_every_node_under_its_old_tag(tmp_path: Path, newer_store: bool) -> None:
    first = recorded(newer_store=newer_store)
    kind(tmp_path, first).up(Progress())
    second = again(first)
    second.engine = {**second.engine, SERVER: "sha256:" + "7e" * 32}
    kind(tmp_path, second).up(Progress())
    assert imports(second) == sorted(NODES)
    assert {second.inside[node][SERVER] for node in NODES} == {second.node_id(SERVER)}


def test_only_the_node_that_lacks_one_gets_the_archive(tmp_path: Path) -> None:
    first = recorded()
    kind(tmp_path, first).up(Progress())
    second = again(first)
    del second.inside["ai-lab-worker2"][SERVER]
    kind(tmp_path, second).up(Progress())
    assert imports(second) == ["ai-lab-worker2"]
    assert not second.did("^docker save"), "the archive in the state folder is up to date"


def test_a_new_cluster_takes_the_archive_of_the_old_one(tmp_path: Path) -> None:
    first = recorded()
    kind(tmp_path, first).up(Progress())
    kind(tmp_path, first).down(Progress())
    second = recorded()
    kind(tmp_path, second).up(Progress())
    assert imports(second) == sorted(NODES)
    assert not second.did("^docker save")
    kind(tmp_path, second).wipe()
    assert not list((tmp_path / "kind" / "images").iterdir())


def test_an_image_that_only_the_engine_has_lost_is_no_reason_to_fetch_it(tmp_path: Path) -> None:
    first = recorded()
    kind(tmp_path, first).up(Progress())
    second = again(first)
    second.engine = {name: number for name, number in second.engine.items() if name != PYTHON}
    kind(tmp_path, second).up(Progress())
    assert not second.did("pull|import|save")


def test_workers_get_theirs_while_kubeadm_makes_the_control_plane(tmp_path: Path) -> None:
    """`kind create` ends only after the import into a worker was seen: begun later, this would wait for ever."""
    imported = threading.Event()

    class Waiting(Machine):
        def run(self, *argv: str, **options: Any) -> Any:
            if argv[:3] == ("kind", "create", "cluster"):
                options["on_line"](" ✓ Preparing nodes 📦 📦 📦 📦 ")
                assert imported.wait(60)
                assert not self.did("ai-lab-control-plane ctr"), "it has a control plane to make"
            ran = super().run(*argv, **options)
            if "import" in argv:
                imported.set()
            return ran

    plain = recorded()
    commands = Waiting(rest=list(plain.rest), engine=plain.engine, outputs=plain.outputs)
    kind(tmp_path, commands).up(Progress())
    assert imports(commands) == sorted(NODES)


def test_a_node_that_refuses_the_stream_is_given_the_archive_in_kinds_own_way(tmp_path: Path) -> None:
    commands = recorded()
    commands.refusing = {"ai-lab-worker2"}
    kind(tmp_path, commands).up(Progress())
    assert commands.did(r"^kind load image-archive \S+images\.tar --name ai-lab --nodes ai-lab-worker2$")
    assert SERVER in commands.inside["ai-lab-worker2"]


def test_a_node_that_takes_nothing_is_named_with_its_own_words(tmp_path: Path) -> None:
    commands = recorded({"when": "^kind load image-archive", "out": ""})
    commands.refusing = {"ai-lab-worker2"}
    with pytest.raises(ClusterError, match=r"ai-lab-worker2 did not take .*ai-log-summary-api:v1.*content digest sha256:ab: not found"):
        kind(tmp_path, commands).up(Progress())


def test_a_cluster_that_cannot_be_made_leaves_nothing_at_work(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ClusterError, match="inotify"):
        kind(tmp_path, recorded({"when": "^kind create", "code": 1, "err": " ✓ Preparing nodes\nERROR: Too many open files\n"})).up(
            Progress()
        )
    assert threading.active_count() == before


def test_an_image_of_others_is_fetched_with_its_size_told_first(tmp_path: Path) -> None:
    commands = recorded()
    del commands.engine[PYTHON]
    assert "python:3.12-slim is missing: about 45 MB to fetch" in kind(tmp_path, commands).can_start_at_once()
    assert not commands.did("pull")
    heard = Heard()
    kind(tmp_path, commands).up(heard)
    assert commands.did("^docker pull python:3.12-slim")
    assert any("python:3.12-slim is missing: about 45 MB to fetch" in line for line in heard.lines)
    assert canonical(PYTHON) in commands.inside["ai-lab-worker"]


NO_NETWORK = {"when": "^docker pull", "code": 1, "err": "Error response from daemon: lookup registry-1.docker.io: no such host\n"}


def test_where_nothing_can_be_fetched_the_base_image_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_IMAGE", "mirror.example.com/python:3.12")

    class Tagging(Machine):
        def run(self, *argv: str, **options: Any) -> Any:
            if argv[:2] == ("docker", "tag"):
                self.engine[argv[3]] = self.engine[argv[2]]
            return super().run(*argv, **options)

    plain = recorded()
    commands = Tagging(NO_NETWORK, {"when": "^docker tag", "out": ""}, rest=list(plain.rest), engine=plain.engine, outputs=plain.outputs)
    commands.engine["mirror.example.com/python:3.12"] = commands.engine.pop(PYTHON)
    heard = Heard()
    kind(tmp_path, commands).up(heard)
    assert commands.did("^docker tag mirror.example.com/python:3.12 python:3.12-slim")
    assert any("mirror.example.com/python:3.12 (BASE_IMAGE) takes its place" in line for line in heard.lines)
    assert canonical(PYTHON) in commands.inside["ai-lab-worker"]


def test_without_it_and_without_a_network_the_cluster_comes_up_and_says_what_will_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    commands = recorded(NO_NETWORK)
    del commands.engine[PYTHON]
    heard = Heard()
    kind(tmp_path, commands).up(heard)
    assert any("Pods of python:3.12-slim will show ImagePullBackOff" in line and "ai-lab images load" in line for line in heard.lines)
    assert SERVER in commands.inside["ai-lab-worker"]


def test_a_cluster_that_nobody_asked_for_fetches_nothing(tmp_path: Path) -> None:
    first = recorded()
    kind(tmp_path, first).up(Progress())
    second = again(first)
    del second.engine[PYTHON]
    for node in NODES:
        del second.inside[node][canonical(PYTHON)]
    cluster = kind(tmp_path, second)
    cluster.may_fetch = False
    heard = Heard()
    cluster.up(heard)
    assert not second.did("pull")
    assert any("python:3.12-slim is missing, about 45 MB to fetch" in line for line in heard.lines)


def test_images_that_were_loaded_into_the_engine_go_into_the_nodes_and_none_is_fetched(tmp_path: Path) -> None:
    first = recorded()
    kind(tmp_path, first).up(Progress())
    second = again(first)
    second.engine = {**second.engine, SERVER: "sha256:" + "7e" * 32}
    del second.engine[PYTHON]
    kind(tmp_path, second).load_images()
    assert {second.inside[node][SERVER] for node in NODES} == {second.node_id(SERVER)}
    assert not second.did("pull")


def test_an_archive_that_broke_off_is_written_anew(tmp_path: Path) -> None:
    commands = recorded()
    kind(tmp_path, commands).up(Progress())
    archive = tmp_path / "kind" / "images" / "images.tar"
    archive.unlink()
    archive.with_name("images.tar.part").write_text("half")
    kind(tmp_path, commands).down(Progress())
    second = recorded()
    kind(tmp_path, second).up(Progress())
    assert second.did("^docker save")
    assert archive.exists()
    assert not archive.with_name("images.tar.part").exists()


def test_a_disk_that_fills_while_the_archive_is_written_is_told(tmp_path: Path) -> None:
    full = {"when": "^docker save", "code": 1, "err": "write /x/images.tar.part: no space left on device\n"}
    with pytest.raises(ClusterError, match="disk of the container engine is full"):
        kind(tmp_path, recorded(full)).up(Progress())


def test_podman_saves_in_one_archive_and_streams_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "podman")
    info = {
        "host": {"cgroupVersion": "v2", "memTotal": 8 * GIB, "cpus": 4},
        "version": {"Version": "5.4.2"},
        "store": {"graphRoot": "/nowhere"},
    }
    dump = {"when": "^podman exec --privileged \\S+ containerd config dump", "out": ""}
    commands = recorded({"when": "^podman info --format json", "out": json.dumps(info)}, {"when": "^podman ps", "out": ""}, dump)
    commands.engine = {name: number.removeprefix("sha256:") for name, number in commands.engine.items()}
    kind(tmp_path, commands).up(Progress())
    assert commands.did("^podman save --multi-image-archive -o \\S+images.tar.part registry.example.com/")
    assert imports(commands) == sorted(NODES)
    assert not commands.did("^docker")
    assert commands.environment["KIND_EXPERIMENTAL_PROVIDER"] == "podman"


def test_without_a_terminal_a_step_is_one_line_and_the_end_says_the_seconds(tmp_path: Path) -> None:
    heard = Heard()
    kind(tmp_path, recorded()).up(heard)
    assert len(heard.lines) == 1
    assert re.search(r"s in all; images, beside the steps above: .*archive [\d.]+ s.*ai-lab-worker2 [\d.]+ s", heard.lines[0])


@pytest.mark.parametrize(
    ("config", "used"),
    [
        ("version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'native'\n", "native"),
        ('version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "fuse-overlayfs"\n', "fuse-overlayfs"),
        ("", "overlayfs"),
        ("not = [toml", "overlayfs"),
    ],
)
def test_the_snapshotter_is_the_one_that_the_nodes_containerd_uses(config: str, used: str) -> None:
    assert snapshotter(config) == used


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("kindest/node:v1.36.2", "docker.io/kindest/node:v1.36.2"),
        ("registry.example.com/load-generator:v1", "registry.example.com/load-generator:v1"),
        ("localhost/base:1", "localhost/base:1"),
        ("mirror:5000/base:1", "mirror:5000/base:1"),
    ],
)
def test_a_node_knows_an_image_by_its_whole_name(reference: str, name: str) -> None:
    assert canonical(reference) == name


def test_an_image_that_a_node_has_and_nothing_is_known_of_is_brought_in_anew() -> None:
    inside = {SERVER: "old"}
    assert lacking(inside, [SERVER], {SERVER: "sha256:manifest"}, {}) == [SERVER]
    assert lacking(inside, [SERVER], {SERVER: "sha256:old"}, {}) == []
    assert lacking(inside, [SERVER], {}, {}) == []


@pytest.mark.parametrize(
    ("seen", "size"),
    [
        ("314572800\ninactive_file 52428800\n", 250 * 1024**2),
        ("314572800\ntotal_inactive_file 0\n", 300 * 1024**2),
        ("", 0),
        ("max\nx y\n", 0),
    ],
)
def test_memory_is_counted_without_the_cache_that_can_be_dropped(seen: str, size: int) -> None:
    assert parse_memory(seen) == size


def test_status_says_what_the_nodes_use(tmp_path: Path) -> None:
    kind(tmp_path, recorded()).up(Progress())
    assert kind(tmp_path, recorded(WHOLE)).status().memory == 4 * 250 * 1024**2


def test_what_describes_the_archive_may_be_broken(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text('{"x": 3}')
    assert Archive(tmp_path).contents() == {}
