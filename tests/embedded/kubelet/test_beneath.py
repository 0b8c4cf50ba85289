"""Paths with links in them: none leads the kubelet out of the folder that it means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusters.embedded.kubelet import atomic_writer, beneath
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.volume_payload import VolumeError


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that no container may reach."""
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "secret.txt").write_text("of the machine")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "data/deep").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [("/a/b", "/a/b"), ("/../../a", "/a"), ("a/../../b", "/b"), ("//a//b/.", "/a/b"), ("/", "/"), ("..", "/")],
)
def test_a_path_of_a_container_stays_below_its_root(given: str, cleaned: str) -> None:
    assert beneath.clean(given) == cleaned


def test_links_lead_to_places_of_the_same_root(root: Path, machine: Path) -> None:
    (root / "absolute").symlink_to(machine)
    (root / "data/up").symlink_to("../../../../machine")
    (root / "data/inner").symlink_to("/data/deep")
    assert beneath.resolve(root, "/absolute/secret.txt") == root / str(machine).lstrip("/") / "secret.txt"
    assert beneath.resolve(root, "/data/up/secret.txt") == root / "machine/secret.txt"
    assert beneath.resolve(root, "data/inner/../new") == root / "data/new"
    assert beneath.resolve(root, "/../../data") == root / "data"


def test_links_in_circles_are_an_error(root: Path) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.raises(OSError, match="Too many levels"):
        beneath.resolve(root, "/one")


def test_a_folder_of_the_root_may_really_lie_elsewhere(root: Path, machine: Path) -> None:
    (machine / "out").symlink_to("/data")
    aliases = {"/data/sockets": machine}
    assert beneath.resolve(root, "/data/sockets/kubelet.sock", aliases) == machine / "kubelet.sock"
    assert beneath.resolve(root, "/data/sockets/../deep", aliases) == root / "data/deep"
    assert beneath.resolve(root, "/data/sockets/out/x", aliases) == root / "data/x"


def test_a_link_on_the_way_is_refused(root: Path, machine: Path) -> None:
    (root / "data/link").symlink_to(machine)
    (root / "file").symlink_to(machine / "secret.txt")
    for use in (
        lambda: beneath.make_folder(root, "data/link/new"),
        lambda: beneath.open_file(root, "data/link/secret.txt", os.O_RDONLY),
        lambda: beneath.open_file(root, "file", os.O_RDONLY),
        lambda: beneath.open_file(root, "file", os.O_WRONLY | os.O_CREAT),
        lambda: beneath.open_file(root, "../machine/secret.txt", os.O_RDONLY),
        lambda: beneath.tail(root / "data/link/secret.txt", 10),
    ):
        with pytest.raises(OSError):  # noqa: PT011 (the system has ELOOP or ENOTDIR, as it looks first)
            use()
    assert os.listdir(machine) == ["secret.txt"]


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux has mounts to open paths for")
def test_a_link_that_came_after_a_path_was_resolved_is_refused(root: Path, machine: Path) -> None:
    resolved = beneath.resolve(root, "/data/deep")
    os.close(beneath.open_resolved(resolved))
    resolved.rmdir()
    resolved.symlink_to(machine)
    with pytest.raises(OSError, match="symbolic links"):
        beneath.open_resolved(resolved)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        beneath.open_file(root, "pipe", os.O_RDONLY)


def test_folders_are_made_with_their_mode_whatever_the_umask(root: Path) -> None:
    for umask in (0o000, 0o022, 0o077):
        before = os.umask(umask)
        try:
            made = beneath.make_folder(root, f"{umask}/inner", 0o751)
        finally:
            assert os.umask(before) == umask
        assert {each.stat().st_mode & 0o777 for each in (made, made.parent)} == {0o751}


def test_a_tree_goes_with_locked_folders_and_leaves_what_its_links_name(root: Path, machine: Path) -> None:
    (root / "data/deep/out").symlink_to(machine)
    (root / "data/deep/file").touch()
    (root / "data/deep").chmod(0)
    (root / "data").chmod(0o500)
    beneath.remove_tree(root)
    assert not root.exists()
    assert (machine / "secret.txt").exists()


# The writer of ConfigMaps and Secrets


def test_a_planted_data_link_is_written_over_and_not_followed(root: Path, machine: Path) -> None:
    folder = root / "data"
    atomic_writer.write(folder, {"a": (b"one", 0o644)})
    for planted in (str(machine), "../../machine", "deep"):
        (folder / "..data").unlink()
        (folder / "..data").symlink_to(planted)
        assert atomic_writer.write(folder, {"a": (planted.encode(), 0o644)})
        assert (folder / "a").read_bytes() == planted.encode()
        assert (machine / "secret.txt").read_text() == "of the machine"
    (folder / "..data").unlink()
    (folder / "..data").mkdir()
    (folder / "a").unlink()
    (folder / "a").symlink_to(machine / "secret.txt")
    assert atomic_writer.write(folder, {"a": (b"last", 0o644)})
    assert (folder / "a").read_bytes() == b"last"
    assert (machine / "secret.txt").read_text() == "of the machine"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../x", "invalid path: must not contain '..': ../x"),
        ("a/../../x", "invalid path: must not contain '..': a/../../x"),
        ("/x", "invalid path: must be relative path: /x"),
        ("..x", "invalid path: must not start with '..': ..x"),
    ],
)
def test_a_path_that_leads_out_of_a_volume_is_not_written(root: Path, path: str, words: str) -> None:
    with pytest.raises(VolumeError) as error:
        atomic_writer.write(root / "data", {path: (b"", 0o644)})
    assert str(error.value) == words
    assert not (root / "x").exists()


# A node's folders


def test_a_node_s_path_stays_on_the_node(tmp_path: Path, machine: Path) -> None:
    node = NodeFolder(tmp_path / "node")
    node.prepare()
    (node.root / "var/out").symlink_to(machine)
    assert node.host_path("/var/out/secret.txt") == node.root / str(machine / "secret.txt").lstrip("/")
    assert node.host_path("/var/lib/kubelet/device-plugins/x.sock") == node.sockets / "x.sock"
    assert node.host_path("/var/lib/kubelet/pod-resources") == node.sockets / "pod-resources"
    with pytest.raises(OSError):  # noqa: PT011
        node.make(node.root / "var/out/new")


def test_the_folder_for_sockets_is_this_user_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shared = tmp_path / f"ai-lab-{os.getuid()}"
    node = NodeFolder(tmp_path / ("deep" * 20) / "node")
    node.prepare()
    assert node.sockets.parent == shared
    assert shared.stat().st_mode & 0o777 == node.sockets.stat().st_mode & 0o777 == 0o700
    beneath.remove_tree(shared)
    (tmp_path / "mine").mkdir()
    shared.symlink_to(tmp_path / "mine")
    # What somebody put in its place is not followed: the sockets get a folder with a name that nobody can know.
    node.prepare()
    assert node.sockets.parent == tmp_path.resolve()
    assert node.sockets.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "mine").iterdir()) == []
