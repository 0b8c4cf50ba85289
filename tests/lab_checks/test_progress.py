"""Progress is never lost: not by a restart, not by two writers, not by a new version of an exercise."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from lab_checks.engine.progress import Progress


def test_a_pass_counts_for_the_version_that_was_passed(tmp_path: Path) -> None:
    Progress(tmp_path).record("03-pending/x", 1, "passed", "well done", 1.0)
    assert Progress(tmp_path).standing("03-pending/x").passed_version == 1


def test_a_later_failure_does_not_take_a_pass_away(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.record("03-pending/x", 1, "passed", "", 1.0)
    progress.record("03-pending/x", 1, "failed", "", 0.0)
    standing = progress.standing("03-pending/x")
    assert (standing.passed_version, standing.last, standing.tries) == (1, "failed", 2)


def test_answers_and_hints_belong_to_the_newest_start(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.start("l/x", 1, "cluster", {"nodes": {}})
    progress.answer("l/x", cause="a")
    assert progress.hint("l/x") == 1
    fresh = progress.start("l/x", 1, "cluster", {"nodes": {}})
    assert (fresh.answers, fresh.hints) == ({}, 0)
    assert progress.standing("l/x").hints == 1


def _write(folder: Path, number: int) -> None:
    progress = Progress(folder)
    for _ in range(20):
        progress.record(f"l/{number}", 1, "failed", "", 0.0)


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    Progress(tmp_path)
    processes = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [Progress(tmp_path).standing(f"l/{number}").tries for number in range(3)] == [20, 20, 20]
