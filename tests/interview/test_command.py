"""`ai-lab interview`, as it is typed, on a machine without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import yaml

from tests.conftest import BIN

GOOD = yaml.safe_load((Path(__file__).parent / "answers" / "good.yaml").read_text())


def _run(*arguments: str, said: str = "", folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "ai-lab"), "interview", *arguments], input=said, capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "AI_LAB_HOME": str(folder / "home")},
    )  # fmt: skip


def test_it_lists_the_questions(tmp_path: Path) -> None:
    done = _run("--json", folder=tmp_path)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["questions"]) >= 14
    assert "three-probes" in _run(folder=tmp_path).stdout


def test_a_good_answer_from_standard_input_passes(tmp_path: Path) -> None:
    done = _run("three-probes", "--json", said=GOOD["three-probes"][0], folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"] is True
    assert not (tmp_path / "home").exists()


def test_a_thin_answer_is_asked_on_and_fails(tmp_path: Path) -> None:
    done = _run("three_probes", "--model", said="I would use all three probes.", folder=tmp_path)
    assert done.returncode == 1
    assert "next: " in done.stdout
    assert "try of your own" in done.stdout


def test_no_answer_is_not_yet_and_an_unknown_question_is_a_misspelling(tmp_path: Path) -> None:
    assert _run("three-probes", folder=tmp_path).returncode == 3
    done = _run("three-probe", folder=tmp_path)
    assert done.returncode == 2
    assert "did you mean three-probes" in done.stderr


def test_a_mock_interview_asks_by_its_seed_and_writes_a_report(tmp_path: Path) -> None:
    asked = json.loads(_run("--mock", "--seed", "2", "--json", folder=tmp_path).stdout)["questions"]
    said = "\n---\n".join(GOOD[each][0] for each in asked)
    done = _run("--mock", "--seed", "2", "--report", "mine.md", said=said, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mine.md").read_text().startswith("# Mock interview")
