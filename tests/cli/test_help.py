"""What a newcomer reads first: help that is whole in 80 columns, and colours only where they are wanted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab_checks.face import cli
from tests.cli.terminal import Terminal
from tests.cli.test_command import run

COMMANDS = (
    "up", "down", "status", "env", "open", "notebooks", "start", "check", "hint", "diagnose", "answer", "reset", "debrief", "progress", "report", "doctor",
    "watch", "endpoint", "interview", "drill", "certificate", "class", "teach", "grade",
)  # fmt: skip


def test_the_list_of_commands_is_cut_nowhere(tmp_path: Path) -> None:
    said = run(tmp_path, "--help", COLUMNS="80").stdout
    listed = said[said.index("Commands:") :].splitlines()[1:]
    assert {line.split()[0] for line in listed} >= set(COMMANDS)
    assert not [line for line in listed if "..." in line]


@pytest.mark.parametrize("command", COMMANDS[:-7])
def test_help_fits_in_80_columns_and_names_arguments_as_people_type_them(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(cli.app, [command, "--help"]).stdout
    assert said.startswith("Usage: ")
    assert max(map(len, said.splitlines())) <= 80
    assert not re.search(r"target|words|files|\[\[", said.splitlines()[0])


def colours(home: Path, **environment: str) -> bool:
    """Whether an error is red on a terminal."""
    terminal = Terminal(home, "status", **environment)
    terminal.until("no lab cluster")
    terminal.end()
    return "\x1b[3" in terminal.seen


def test_no_color_is_heard(tmp_path: Path) -> None:
    assert colours(tmp_path)
    assert not colours(tmp_path, NO_COLOR="1")


def test_there_are_no_colours_in_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor")
    assert "\x1b" not in done.stdout + done.stderr
