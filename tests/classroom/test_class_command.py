"""`ai-lab class` as instructors and learners type it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab_checks.engine.progress import Progress
from lab_checks.face import class_command
from tests.classroom.command import serving
from tests.classroom.served import until
from tests.cli.test_command import run

EXERCISE = "13-interview/the-question"


def test_a_class_from_the_first_link_to_the_last_deletion(tmp_path: Path) -> None:
    teacher, mira = tmp_path / "teacher", tmp_path / "mira"
    assert "reports to no class: nothing is sent" in run(mira, "class", "status").stdout
    with serving(teacher) as room:
        assert "Only this machine reaches it" in room.said
        joined = run(mira, "class", "join", room.join, "--name", "Mira")
        assert joined.returncode == 0, joined.stderr
        told = joined.stdout
        assert told.index("What is sent") < told.index("[joined] your instructor sees where you are")

        assert run(mira, "start", EXERCISE).returncode == 0
        assert run(mira, "hint", EXERCISE).returncode == 0
        sheet = until(
            lambda: EXERCISE in (text := run(teacher, "class", "export", "--csv").stdout) and ",0,1," in text and text, lambda: room.said
        )
        assert sheet.splitlines()[1].startswith("Mira,working,")
        shown = run(mira, "class", "status", "--json")
        report = json.loads(shown.stdout)["report"]
        assert (report["name"], report["exercises"][0]["hints"]) == ("Mira", 1)

        again = run(teacher, "class", "serve", "--port", str(room.port))
        assert (again.returncode, "serves a class already" in again.stderr) == (1, True)
        assert "the class is being served" in run(teacher, "class", "end", "--yes").stderr
        elsewhere = run(mira, "class", "join", "http://127.0.0.1:1/#join=x")
        assert (elsewhere.returncode, "ai-lab class leave" in elsewhere.stderr) == (2, True)

        left = run(mira, "class", "leave", "--delete")
        assert "has deleted what was reported" in left.stdout
        assert json.loads(run(teacher, "class", "export", "--json").stdout)["learners"] == []
        assert run(mira, "class", "join", room.join).returncode == 0
        assert room.interrupt() == 0
        assert "[stopped]" in room.said

    away = run(mira, "hint", EXERCISE)
    assert (away.returncode, away.stderr) == (0, "")
    refused = run(mira, "class", "leave", "--delete")
    assert refused.returncode == 1
    assert refused.stdout.startswith("[left]")
    assert "is not deleted: no class answers" in refused.stderr
    assert "reports to no class" in run(mira, "class", "status").stdout
    assert "nothing was deleted" in run(teacher, "class", "end").stderr
    assert run(teacher, "class", "end", "--yes").returncode == 0
    assert [each.name for each in (teacher / "class").iterdir()] == ["serving.lock"]
    assert run(teacher, "class", "export", "--csv").returncode == 3


def test_a_port_that_is_taken_is_named_with_another(tmp_path: Path) -> None:
    with serving(tmp_path / "one") as room:
        done = run(tmp_path / "two", "class", "serve", "--port", str(room.port))
        assert done.returncode == 1
        assert f"port {room.port} is taken by another program" in done.stderr
        assert f"--port {room.port + 1}" in done.stderr
        room.process.send_signal(signal.SIGTERM)
        assert room.process.wait(60) == 0


def test_an_open_address_says_what_that_means(tmp_path: Path) -> None:
    with serving(tmp_path / "lan", "--host", "0.0.0.0") as room:
        assert f"Every machine that reaches this one can open port {room.port}" in room.said
        assert "unencrypted" in room.said
        first = room.view
        assert room.interrupt() == 0
    with serving(tmp_path / "lan", "--base-url", "https://hub.example.org/services/class/", "--new-links") as room:
        assert room.view.startswith("https://hub.example.org/services/class/#view=")
        assert room.view.partition("=")[2] != first.partition("=")[2]
        assert "the proxy has to run here" in room.said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["serve", "--base-url", "ftp://host/"], 2, "is no address for a class"),
        (["serve", "--base-url", "http://host/?a=b"], 2, "is no address for a class"),
        (["serve", "--base-url", "http://host/{x}/"], 2, "is no address for a class"),
        (["serve", "--base-url", "//host/path"], 2, "is no address for a class"),
        (["serve", "--base-url", "http://[::1/"], 2, "is no address for a class"),
        (["serve", "--host", "host.invalid"], 2, "host.invalid is no address of this machine"),
        (["serve", "--port", "0"], 2, "--port"),
        (["join", "mira"], 1, "begins with http"),
        (["join", "http://127.0.0.1:1/#join=x"], 1, "no class answers at http://127.0.0.1:1/"),
        (["join", "http://127.0.0.1:1/#join=x", "--name", "M" * 81], 2, "at most 80 characters"),
        (["leave"], 0, "reports to no class"),
        (["export"], 2, "say which"),
        (["export", "--csv"], 3, "no class was served"),
        (["end"], 3, "no class was served"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do_next(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    done = CliRunner().invoke(class_command.app, arguments)
    assert (done.exit_code, words in done.output) == (code, True), done.output
    assert not done.exception or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("command", ["serve", "join", "leave", "status", "export", "end"])
def test_help_fits_in_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(class_command.app, [command, "--help"]).stdout
    assert said.startswith("Usage: ")
    assert max(map(len, said.splitlines())) <= 80


def test_a_file_is_written_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab_checks.classroom.roll import Roll

    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    Roll(tmp_path).secrets()
    out = tmp_path / "class.csv"
    assert CliRunner().invoke(class_command.app, ["export", "--csv", "--out", str(out)]).exit_code == 0
    assert out.read_text().startswith("learner,")
    assert out.stat().st_mode & 0o077 == 0
    bad = CliRunner().invoke(class_command.app, ["export", "--json", "--out", str(tmp_path / "none" / "class.json")])
    assert (bad.exit_code, "cannot be written" in bad.output) == (2, True)


def test_status_shows_the_report_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab_checks.classroom import membership, report

    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    Progress(tmp_path).start(EXERCISE, 1, "", {})
    membership.keep(tmp_path, membership.Membership("http://127.0.0.1:1/", "Mira", "the-key", 1000.0))
    said = CliRunner().invoke(class_command.app, ["status"]).stdout
    shown = json.loads(said[said.index("\n{") :])
    assert {**shown, "at": 0} == {**report.of(tmp_path, "Mira"), "at": 0}
    assert "the-key" not in said
