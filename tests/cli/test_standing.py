"""What a learner has done stays done: a lab's check, progress at any width, and a name of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab_checks.engine import course
from lab_checks.engine.progress import Progress
from tests.cli.terminal import Terminal
from tests.cli.test_command import run

LAB = course.load().lab("13-interview")


def finish(home: Path, *names: str) -> None:
    """Passes exercises of the interview lab; all of them where none is named."""
    progress = Progress(home)
    for exercise in LAB.exercises:
        if not names or exercise.id in names:
            progress.start(exercise.key, exercise.version, "", {})
            progress.record(exercise.key, exercise.version, "passed", "all points named", 1.0)


def test_a_finished_lab_is_passed_and_says_since_when(tmp_path: Path) -> None:
    finish(tmp_path)
    done = run(tmp_path, "check", LAB.id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✔ passed 20") == len(LAB.exercises)
    found = json.loads(run(tmp_path, "check", LAB.id, "--json").stdout)
    assert found["passed"] == found["of"] == len(LAB.exercises)
    assert all(row["passed_at"] for row in found["exercises"])


def test_again_looks_anew_and_a_new_start_does(tmp_path: Path) -> None:
    finish(tmp_path)
    key = LAB.exercises[0].key
    kept = run(tmp_path, "check", key)
    assert kept.returncode == 0
    assert "[passed] the-question: all points named" in kept.stdout
    assert "passed on 20" in kept.stdout
    again = run(tmp_path, "check", key, "--again")
    assert again.returncode == 3
    assert "no answer yet" in again.stdout
    assert run(tmp_path, "start", key).returncode == 0
    assert run(tmp_path, "check", key).returncode == 3
    whole = run(tmp_path, "check", LAB.id)
    assert whole.returncode == 3
    assert "no answer yet" in whole.stdout


def test_a_lab_half_done_shows_the_standing_of_all_and_what_is_next(tmp_path: Path) -> None:
    finish(tmp_path, "the-question")
    done = run(tmp_path, "check", LAB.id)
    assert done.returncode == 3
    assert f"1 of {len(LAB.exercises)} exercises passed" in done.stdout
    assert f"next: ai-lab start {LAB.exercises[1].key}" in done.stdout
    assert all(each.key in done.stdout for each in LAB.exercises)


def test_the_help_says_what_a_labs_check_does(tmp_path: Path) -> None:
    told = " ".join(run(tmp_path, "check", "--help").stdout.split())
    assert "What was passed stays passed" in told
    assert "exit status is 0 when all of them are passed" in told


def test_the_version_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "ai-lab")


@pytest.mark.parametrize("columns", [60, 80])
def test_progress_on_a_terminal_cuts_no_name_and_wraps_no_line(columns: int, tmp_path: Path) -> None:
    finish(tmp_path)
    status, shown = Terminal(tmp_path, "progress", columns=columns).end()
    assert status == 0
    rows = [line.split() for line in shown.splitlines()]
    assert [row[0] for row in rows if row and "/" in row[0]] == [each.key for each in course.load().exercises]
    assert max(map(len, shown.splitlines())) <= columns


def test_progress_in_a_pipe_is_one_whole_line_an_exercise(tmp_path: Path) -> None:
    lines = run(tmp_path, "progress").stdout.splitlines()
    for exercise in course.load().exercises:
        assert any(line.startswith(f"{exercise.key} ") and line.endswith(exercise.title) for line in lines)


def learner(home: Path, **environment: str) -> str:
    return str(json.loads(run(home, "check", "--all", "--json", **environment).stdout)["learner"])


def test_a_learner_has_the_name_that_was_given_and_the_environment_comes_first(tmp_path: Path) -> None:
    assert "@" in learner(tmp_path, AI_LAB_LEARNER="")
    run(tmp_path, "up", "--learner", "Ann  Example", "--cluster", "openshift")
    assert learner(tmp_path, AI_LAB_LEARNER="") == "Ann Example"
    assert learner(tmp_path, AI_LAB_LEARNER="Ben") == "Ben"
    run(tmp_path, "up", "--learner", "", "--cluster", "openshift")
    assert "@" in learner(tmp_path, AI_LAB_LEARNER="")


def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "up", "--learner", "x" * 100)
    assert done.returncode == 2
    assert "at most 80 characters" in done.stderr


def test_the_course_asks_for_the_name_once_and_only_on_a_terminal(tmp_path: Path) -> None:
    # A cluster that does not exist: the question comes before it.
    first = Terminal(tmp_path, "open", "--cluster", "openshift")
    first.until("Your name")
    first.type("\r")
    assert first.end()[0] == 2
    status, shown = Terminal(tmp_path, "open", "--cluster", "openshift").end()
    assert (status, "Your name" in shown) == (2, False)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert "Your name" not in run(fresh, "open", "--cluster", "openshift").stderr
    named = Terminal(fresh, "open", "--cluster", "openshift")
    named.until("Your name")
    named.type("Ann Example\r")
    named.end()
    assert learner(fresh, AI_LAB_LEARNER="") == "Ann Example"
