"""`ai-lab notebooks`: the learner's copies for an editor of one's own, without a cluster."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_command import run
from tests.conftest import ROOT


def test_notebooks_are_copied_once_and_never_over_the_learners(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    names = sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    done = run(tmp_path, "notebooks", str(mine))
    assert (done.returncode, done.stdout) == (0, f"Your notebooks are in {mine}: {len(names)} new or renewed\n")
    assert sorted(path.name for path in mine.glob("*.ipynb")) == names
    (mine / names[0]).write_text("{}")
    assert run(tmp_path, "notebooks", str(mine)).stdout.endswith("0 new or renewed\n")
    assert (mine / names[0]).read_text() == "{}"


def test_a_folder_that_cannot_be_written_is_told_with_another_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path, "notebooks", str(tmp_path / "file"))
    assert done.returncode == 2
    assert "the notebooks cannot be copied to" in done.stderr
    assert "ai-lab open --folder" in done.stderr
