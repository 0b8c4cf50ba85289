"""The learner's copies of the notebooks: what an update of the course renews, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_checks.engine import paths
from lab_checks.face import jupyter

FIRST, SECOND = "00-first.ipynb", "01-second.ipynb"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the course's own notebooks."""
    labs = tmp_path / "course" / "labs"
    labs.mkdir(parents=True)
    for name in (FIRST, SECOND):
        (labs / name).write_text(f"{name}, first edition")
    monkeypatch.setattr(paths, "root", lambda: tmp_path / "course")
    return labs


def test_an_update_renews_what_is_untouched_and_keeps_what_is_the_learners(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert jupyter.copy_notebooks(mine) == ([FIRST, SECOND], [])
    assert jupyter.copy_notebooks(mine) == ([], [])
    (mine / FIRST).write_text("with my answers")
    assert jupyter.copy_notebooks(mine) == ([], [])
    for name in (FIRST, SECOND):
        (course / name).write_text(f"{name}, second edition")
    assert jupyter.copy_notebooks(mine) == ([SECOND], [FIRST])
    assert (mine / FIRST).read_text() == "with my answers"
    assert (mine / SECOND).read_text() == f"{SECOND}, second edition"


def test_each_newer_notebook_is_told_once_and_comes_when_the_learners_is_renamed(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    jupyter.copy_notebooks(mine)
    (mine / FIRST).write_text("with my answers")
    (course / FIRST).write_text("second edition")
    assert jupyter.copy_notebooks(mine) == ([], [FIRST])
    assert jupyter.copy_notebooks(mine) == ([], [])
    (course / FIRST).write_text("third edition")
    assert jupyter.copy_notebooks(mine) == ([], [FIRST])
    (mine / FIRST).rename(mine / "my-answers.ipynb")
    assert jupyter.copy_notebooks(mine) == ([FIRST], [])
    assert (mine / FIRST).read_text() == "third edition"
    assert (mine / "my-answers.ipynb").read_text() == "with my answers"


@pytest.mark.parametrize("record", ["", "{", '{"00-first.ipynb": "0"}'])
def test_without_a_usable_record_nothing_of_the_learners_is_written_over(course: Path, tmp_path: Path, record: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / FIRST).write_text("with my answers")
    (mine / ".ai-lab-copies.json").write_text(record)
    assert jupyter.copy_notebooks(mine) == ([SECOND], [FIRST])
    assert (mine / FIRST).read_text() == "with my answers"
