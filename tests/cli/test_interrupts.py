"""Ctrl-C while a command is still being read, and while it asks: no traceback, and the exit status of an interrupted program."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.cli.test_command import run


def interrupt_at_import(folder: Path, module: str) -> str:
    """PYTHONPATH for a Python in which Ctrl-C is pressed in the moment in which `module` is imported."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Presses:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Presses())\n"
    )
    return str(folder)


@pytest.mark.parametrize("module", ["typer", "clusters", "lab_checks.face.cluster_commands"])
def test_ctrl_c_while_the_command_is_read_ends_it_without_a_word(module: str, tmp_path: Path) -> None:
    done = run(tmp_path, "progress", PYTHONPATH=interrupt_at_import(tmp_path / "site", module))
    assert done.returncode == -signal.SIGINT
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("module", ["lab_checks.face.classroom", "sqlite3", "lab_checks.engine.session"])
def test_ctrl_c_while_it_works_ends_with_130(module: str, tmp_path: Path) -> None:
    done = run(tmp_path, "progress", PYTHONPATH=interrupt_at_import(tmp_path / "site", module))
    assert (done.returncode, done.stderr) == (130, "")


def test_a_command_that_is_told_to_ignore_ctrl_c_ignores_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = run(tmp_path, "progress", PYTHONPATH=interrupt_at_import(tmp_path / "site", "typer"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_at_a_question_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "cluster").write_text("embedded\n")
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "kept").write_text("")
    asked = Terminal(tmp_path, "down", "--wipe")
    asked.until("Delete?")
    asked.type("\x03")
    status, shown = asked.end()
    assert status == 130, shown
    assert "Traceback" not in shown
    assert (tmp_path / "embedded" / "kept").exists()
