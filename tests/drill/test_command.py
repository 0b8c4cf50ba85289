"""`ai-lab drill` where nothing is under way, and where a command is misspelt: words for people and exit statuses, no cluster needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab_checks.drill import catalogue
from lab_checks.face import drill_command, interview_command
from tests.cli.test_command import run


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(drill_command.app, list(arguments))
    return done.exit_code, done.output


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    for name in ("AI_LAB_ASSISTANT_URL", "AI_LAB_ASSISTANT_MODEL", "AI_LAB_ASSISTANT_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_a_cluster_the_next_command_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "drill", "--seed", "7")
    assert done.returncode == 5
    assert "next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_causes_are_listed_with_what_they_mean() -> None:
    code, said = invoke("causes")
    assert code == 0
    assert all(each.id in said and each.title in said for each in catalogue.load().values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["answer"], "nothing to hand in"),
        (["answer", "--cause", "bad-release"], "a diagnosis has a service"),
        (["answer", "--service", "x", "--evidence", "y"], "a diagnosis has a service"),
        (["answer", "--update-file", "/no/such/file"], "cannot be read"),
        (["evaluate"], "no assistant is configured"),
        (["evaluate", "--endpoint", "nonsense"], "is no base URL"),
        (["evaluate", "--recorded", "/no/such/file"], "No such file"),
    ],
)
def test_a_misspelt_command_is_told(arguments: list[str], says: str) -> None:
    code, said = invoke(*arguments)
    assert code in (1, 2)
    assert says in said


def test_a_report_can_be_read_after_the_end_and_without_a_cluster(home: Path) -> None:
    assert invoke("report")[0] == 3
    kept = {"seed": 7, "faults": 1, "score": {"total": 90.0, "of": 100, "passed": True, "restored": True, "lines": []}}
    (home / "drill-report.json").write_text(json.dumps(kept))
    code, said = invoke("report", "--json")
    assert code == 0
    assert json.loads(said) == kept


def test_the_practical_question_is_a_drill_and_knows_its_score(home: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(interview_command.interview)
    asked = CliRunner().invoke(app, ["--practical", "--seed", "7"])
    assert asked.exit_code == 3
    assert "ai-lab drill start --seed 7" in asked.output
    kept = {"seed": 7, "faults": 1, "score": {"total": 90.0, "of": 100, "passed": True, "restored": True, "lines": []}}
    (home / "drill-report.json").write_text(json.dumps(kept))
    again = CliRunner().invoke(app, ["--practical", "--seed", "7"])
    assert again.exit_code == 0
    assert "90 of 100 points, passed" in again.output
    assert CliRunner().invoke(app, ["--practical", "--seed", "x"]).exit_code == 2
