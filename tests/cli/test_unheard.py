"""What a command tells on the way stops nobody: a pipe that is closed, a line that stands while a check waits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect
from nbclient import NotebookClient

from lab_checks.engine.progress import Progress
from tests.conftest import BIN

_KEY = "13-interview/the-question"


def in_a_closed_pipe(*command: str, home: Path) -> int:
    """The exit status of a command whose output and errors go to a pipe that nobody reads any more, as after `2>&1 | head`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            command, env={**os.environ, "AI_LAB_HOME": str(home)}, stdout=writer, stderr=writer, check=False, timeout=120
        ).returncode
    finally:
        os.close(writer)


def test_what_is_told_on_the_way_and_heard_by_nobody_stops_no_work(tmp_path: Path) -> None:
    work = (
        "from pathlib import Path\nfrom lab_checks.face import terminal\n"
        "session = terminal.open_session()\nsession.say('one')\nsession.say('two')\n"
        "with terminal.TerminalProgress().step('a step'):\n    session.say('three')\n"
        "with terminal.passing() as waiting:\n    waiting('for four')\n"
        f"Path({str(tmp_path / 'done')!r}).touch()\n"
    )
    assert in_a_closed_pipe(sys.executable, "-c", work, home=tmp_path) == 0
    assert (tmp_path / "done").exists()


def test_a_start_that_nobody_reads_of_is_kept(tmp_path: Path) -> None:
    in_a_closed_pipe(str(BIN / "ai-lab"), "start", _KEY, home=tmp_path)
    assert Progress(tmp_path).newest([_KEY]) == _KEY


def test_what_is_waited_for_goes_away_on_a_terminal(tmp_path: Path) -> None:
    code = "from lab_checks.face import terminal\nwith terminal.passing() as say:\n    say('waiting: ' + 'a long line ' * 20)\nprint('verdict')"
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = pexpect.spawn(sys.executable, ["-c", code], env=environment, dimensions=(24, 60), encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    first, _, rest = child.before.replace("\x1b[0m", "").partition("\r")
    assert first == ("… waiting: " + "a long line " * 20)[:59]
    assert rest == f"{' ' * 59}\rverdict\r\n"


def test_a_verdict_takes_the_place_of_what_was_waited_for_in_a_notebook() -> None:
    code = "from lab_checks.face.notebook import _Place\nplace = _Place()\nplace.wait('waiting: not Ready')\nplace.show('[passed] x', '<b>x</b>')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.data == {"text/plain": "[passed] x", "text/html": "<b>x</b>"}
