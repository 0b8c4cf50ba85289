"""`ai-lab down` says what it did, and asks before it deletes what the cluster has stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.cli.test_command import run


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A state folder in which an embedded cluster was up and was stopped."""
    (tmp_path / "cluster").write_text("embedded\n")
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "stored").write_text("")
    return tmp_path


def test_a_stopped_cluster_is_not_said_to_be_stopped_again(stopped: Path) -> None:
    done = run(stopped, "down")
    assert done.returncode == 0
    assert "is not " in done.stderr + done.stdout
    assert "Stopping" not in done.stderr


def test_nothing_is_deleted_where_nobody_can_be_asked(stopped: Path) -> None:
    done = run(stopped, "down", "--wipe")
    assert done.returncode == 2
    assert "every object on the embedded cluster" in done.stderr
    assert "Progress and notebooks are kept" in done.stderr
    assert "ai-lab down --wipe --yes" in done.stderr
    assert (stopped / "embedded" / "stored").exists()


def test_with_yes_nothing_is_asked(stopped: Path) -> None:
    done = run(stopped, "down", "--wipe", "--yes")
    assert done.returncode == 0, done.stderr
    assert "every object on the embedded cluster" in done.stderr
    assert not (stopped / "embedded").exists()


@pytest.mark.parametrize(("answer", "status", "kept"), [("y", 0, False), ("n", 1, True), ("", 1, True)])
def test_the_answer_decides(answer: str, status: int, kept: bool, stopped: Path) -> None:
    asked = Terminal(stopped, "down", "--wipe")
    asked.until("Delete? [y/N]")
    asked.type(f"{answer}\r")
    assert asked.end()[0] == status
    assert (stopped / "embedded").exists() is kept
