"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab_checks import whole_file


def test_a_file_takes_the_place_of_the_one_before_and_has_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    for content, mode in (("früher", 0o644), (b"later", 0o600)):
        whole_file.write(path, content, mode)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert path.stat().st_mode & 0o777 == mode
    assert os.listdir(tmp_path) == ["kept.json"]


def test_what_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "folder"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        whole_file.write(taken, "x")
    assert os.listdir(tmp_path) == ["folder"]
