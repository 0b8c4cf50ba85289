"""The state folder takes nothing, or what is in it is broken: every command says so in words, and what can be shown is shown."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab_checks.engine.progress import Progress
from tests.cli.test_command import run
from tests.conftest import BIN
from tests.lab_checks.limits import no_privileges, no_space

KEY = "13-interview/the-question"

# (command, exit status with a state that cannot be written)
COMMANDS = [
    (["check", KEY], 1),
    (["check", "13-interview"], 1),
    (["start", KEY], 6),
    (["answer", KEY, "answer=x"], 6),
    (["hint", KEY], 0),
    (["reset", KEY], 6),
    (["reset", "--all", "--yes"], 6),
    (["progress"], 0),
    (["report"], 0),
    (["down"], 0),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    progress = Progress(tmp_path)
    progress.start(KEY, 1, "", {})
    progress.answer(KEY, answer="I would look at the events first, and ask what the workload needs before I write any YAML.")
    return tmp_path


def limited(home: Path, limit: Callable[[], None], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "ai-lab"), *arguments], env={**os.environ, "AI_LAB_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False, timeout=120, preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.parametrize(("arguments", "code"), COMMANDS, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_state_that_cannot_be_written_is_told(kind: str, arguments: list[str], code: int, home: Path) -> None:
    if kind == "read-only":
        (home / "progress.db").chmod(0o444)
        home.chmod(0o555)
    try:
        done = limited(home, no_space if kind == "full" else no_privileges, *arguments)
    finally:
        home.chmod(0o755)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert done.returncode == code, said
    if code == 6:
        assert "next: " in done.stderr
        assert str(home) in done.stderr
    if arguments[0] == "check":
        assert "[failed] the-question" in done.stdout
        assert "this verdict is not saved" in done.stdout


def test_a_full_disk_under_the_output_is_told(home: Path) -> None:
    with (home / "out.json").open("w") as out:
        done = subprocess.run(
            [str(BIN / "ai-lab"), "progress", "--json"], env={**os.environ, "AI_LAB_HOME": str(home)}, stdout=out, stderr=subprocess.PIPE,
            text=True, check=False, timeout=120, preexec_fn=no_space,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.startswith("✘ what the command writes:")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["progress"], ["check", KEY], ["start", KEY], ["hint", KEY], ["report"]], ids=lambda each: each[0])
def test_a_damaged_progress_is_moved_aside_with_its_name_told(arguments: list[str], home: Path) -> None:
    (home / "progress.db").write_bytes(b"no database " * 1000)
    done = run(home, *arguments)
    assert "Traceback" not in done.stderr
    assert "progress.db was damaged" in done.stderr
    (aside,) = home.glob("progress.db.damaged-*")
    assert aside.name in done.stderr
