"""A progress file that is damaged, locked, or on a disk that takes nothing more: told in words, and no pass is lost silently."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from lab_checks.engine import store
from lab_checks.engine.progress import Progress
from lab_checks.engine.store import StoreError


def filled(folder: Path, passes: int = 40) -> Path:
    """A progress file with so many passes, long enough to have many pages."""
    progress = Progress(folder)
    progress.start("l/x", 1, "cluster", {"nodes": {"a": {"labels": {}}}})
    for number in range(passes):
        progress.record(f"l/{number}", 1, "passed", f"well done {number} {'.' * 900}", 1.0)
    return folder / "progress.db"


def passed(progress: Progress, count: int = 40) -> int:
    return sum(progress.standing(f"l/{number}").passed_version for number in range(count))


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


def _something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE verdict (recipe TEXT)")
    database.close()


@pytest.mark.parametrize("spoil", [_garbage, _emptied, _folder, _something_else])
def test_what_cannot_be_read_is_moved_aside_and_told_and_progress_goes_on(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    path = filled(tmp_path)
    spoil(path)
    told: list[str] = []
    progress = Progress(tmp_path, told.append)
    assert passed(progress) == 0
    progress.record("l/new", 1, "passed", "", 1.0)
    assert Progress(tmp_path).standing("l/new").passed_version == 1
    (line,) = told
    (aside,) = [each for each in tmp_path.iterdir() if "damaged" in each.name]
    assert str(aside) in line
    assert "nothing in it could be read" in line


def test_of_a_truncated_file_what_can_be_read_is_kept(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    told: list[str] = []
    progress = Progress(tmp_path, told.append)
    kept = passed(progress)
    assert 0 < kept < 40
    assert f"{kept + 1} entries" in told[0]
    assert next(each for each in tmp_path.iterdir() if "damaged" in each.name).read_bytes() == whole[: len(whole) * 2 // 3]


def test_damage_in_the_middle_costs_the_middle_only(tmp_path: Path) -> None:
    path = filled(tmp_path)
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(whole)
    told: list[str] = []
    assert passed(Progress(tmp_path, told.append)) >= 30
    assert len(told) == 1


def test_damage_that_comes_while_a_notebook_is_open_is_repaired_too(tmp_path: Path) -> None:
    told: list[str] = []
    path = filled(tmp_path)
    progress = Progress(tmp_path, told.append)
    assert passed(progress) == 40
    _garbage(path)
    progress.record("l/new", 1, "passed", "", 1.0)
    assert progress.standing("l/new").passed_version == 1
    assert len(told) == 1


def test_two_damaged_files_are_both_kept(tmp_path: Path) -> None:
    for _ in range(2):
        _garbage(filled(tmp_path, 1))
        Progress(tmp_path).standing("l/0")
    assert len([each for each in tmp_path.iterdir() if ".damaged-" in each.name]) == 2


def test_a_file_of_an_earlier_version_is_read_with_what_its_log_holds(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("INSERT INTO verdict (exercise, version, at, outcome, headline, credit) VALUES ('l/7', 1, 1.0, 'passed', '', 1.0)")
        database.commit()
        assert Progress(tmp_path).standing("l/7").passed_version == 1
    database.close()
    assert Progress(tmp_path).standing("l/7").passed_version == 1


def test_a_locked_file_is_told_and_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PATIENCE", 0.2)
    path = filled(tmp_path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match="locked by another program"):
            Progress(tmp_path).standing("l/0")
    finally:
        other.close()
    assert Progress(tmp_path).standing("l/0").passed_version == 1


def test_a_folder_that_cannot_be_made_reads_as_no_progress_and_refuses_what_is_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    progress = Progress(tmp_path / "file" / "below")
    assert progress.standing("l/0").tries == 0
    with pytest.raises(StoreError, match="AI_LAB_HOME"):
        progress.record("l/0", 1, "passed", "", 1.0)


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    assert os.listdir(tmp_path) == ["progress.db"]
