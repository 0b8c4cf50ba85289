"""`ai-lab open` as a person sees it in a terminal: a line a step, the address once JupyterLab answers, Ctrl-C, and what is said when it fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.cli.test_interrupts import interrupt_at_import
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("open")]

PATIENCE = 120  # seconds
ADDRESS = r"http://127\.0\.0\.1:(\d+)/lab\?token=\w+"


@dataclass
class Desk:
    """A learner's machine with a cluster up."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ, "AI_LAB_HOME": str(self.folder), "HOME": str(self.folder), "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"), "PATH": "/usr/bin:/bin", "TERM": "xterm", "AI_LAB_LEARNER": "Mira",
        }  # fmt: skip

    def opens(self, *arguments: str, **environment: str) -> pexpect.spawn[str]:
        """`ai-lab open` in a terminal of its own, typed in the checkout."""
        return pexpect.spawn(
            str(BIN / "ai-lab"), ["open", "--cluster", "embedded", "--no-browser", *arguments], env=self.environment | environment, cwd=str(ROOT),
            encoding="utf-8", timeout=PATIENCE, dimensions=(50, 300),
        )  # fmt: skip

    def without_a_terminal(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", *arguments], env=self.environment, cwd=ROOT,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    found = Desk(Path(tempfile.mkdtemp(prefix="ai-lab-open-")))
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", "embedded"], env=found.environment, check=True, timeout=PATIENCE)
    try:
        yield found
    finally:
        subprocess.run([str(BIN / "ai-lab"), "down"], env=found.environment, check=False, timeout=PATIENCE)
        shutil.rmtree(found.folder, ignore_errors=True)


def plain(shown: str) -> str:
    """What a terminal shows, without colours and cleared lines."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def address(terminal: pexpect.spawn[str]) -> str:
    """The address that the terminal shows."""
    terminal.expect(ADDRESS)
    assert isinstance(terminal.match, re.Match)
    return terminal.match[0]


def end(terminal: pexpect.spawn[str]) -> str:
    """Presses Ctrl-C once; what the terminal shows from then on."""
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    return str(terminal.before)


def test_one_line_says_the_address_and_one_ctrl_c_ends_it(desk: Desk) -> None:
    terminal = desk.opens()
    found = address(terminal)
    steps = plain(str(terminal.before))
    with urllib.request.urlopen(found, timeout=PATIENCE) as page:
        assert page.status == 200
    terminal.expect("Ctrl-C")
    # Nothing of the command stays in memory: the process that was started is JupyterLab itself.
    assert "lab_checks.face.jupyter_server" in psutil.Process(terminal.pid).cmdline()
    said = end(terminal)
    assert terminal.exitstatus == 0
    for sign in ("Your notebooks in ~/my-labs", "JupyterLab ("):
        assert f"✔ {sign}" in steps
    assert "ServerApp" not in steps + said
    assert "?" not in said
    assert said.rstrip().endswith("JupyterLab has stopped. The lab cluster goes on running; stop it with: .venv/bin/ai-lab down")
    assert "is running at" in (desk.folder / "my-labs" / ".ai-lab-jupyterlab.log").read_text()


@pytest.mark.parametrize("module", ["lab_checks.face.jupyter_server", "lab_checks.face.terminal_shell", "jupyterlab.labapp"])
def test_ctrl_c_before_jupyterlab_is_open_is_told_in_one_line(module: str, desk: Desk, tmp_path: Path) -> None:
    terminal = desk.opens(PYTHONPATH=interrupt_at_import(tmp_path, module))
    terminal.expect(pexpect.EOF)
    terminal.close()
    said = plain(str(terminal.before))
    assert terminal.exitstatus == 130
    assert said.rstrip().endswith("JupyterLab was stopped before it was open.")
    assert "Traceback" not in said


def test_two_at_once_open_one_jupyterlab_and_both_say_where(desk: Desk) -> None:
    both = [desk.opens(), desk.opens()]
    addresses = [address(each) for each in both]
    assert addresses[0] == addresses[1]
    [late] = [each for each in both if each.expect(["JupyterLab stops|Ctrl-C", pexpect.EOF]) == 1]
    late.close()
    assert late.exitstatus == 0
    third = desk.without_a_terminal()
    assert (third.returncode, third.stdout) == (0, f"JupyterLab is already open on these notebooks: {addresses[0]}\n")
    [first] = [each for each in both if each is not late]
    end(first)


def test_a_port_that_is_taken_is_passed_over(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        terminal = desk.opens("--port", str(port))
        assert f":{port}/" not in address(terminal)
        end(terminal)


def test_a_jupyterlab_that_does_not_start_shows_the_end_of_its_log_and_where_it_is(desk: Desk) -> None:
    settings = desk.folder / "config" / "jupyter_server_config.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"ServerApp": {"certfile": "/no/such/certificate.pem"}}))
    try:
        done = desk.without_a_terminal()
    finally:
        settings.unlink()
    log = desk.folder / "my-labs" / ".ai-lab-jupyterlab.log"
    assert done.returncode == 1
    assert "JupyterLab did not start. The end of its log:" in done.stderr
    assert "certificate.pem" in done.stderr
    assert done.stderr.rstrip().endswith(f"next: the whole log is in {log}")
    assert "at http" not in done.stdout


def test_what_is_left_of_a_jupyterlab_that_was_killed_is_not_taken_for_one(desk: Desk) -> None:
    terminal = desk.opens()
    address(terminal)
    terminal.kill(9)
    terminal.expect(pexpect.EOF)
    terminal.close()
    [left] = (desk.folder / "runtime").glob("jpserver-*.json")
    # Its process number may be another program's by now.
    said = json.loads(left.read_text())
    left.write_text(json.dumps({**said, "pid": os.getpid()}))
    again = desk.opens()
    address(again)
    assert "already open" not in str(again.before)
    end(again)
    left.unlink()


def test_without_a_terminal_each_step_is_one_line(desk: Desk) -> None:
    with (desk.folder / "said").open("w") as file:
        process = subprocess.Popen(
            [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser"], env=desk.environment, cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not (said := re.findall(r".*\n", (desk.folder / "said").read_text())) or not re.search(ADDRESS, said[-1]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert [re.sub(r" \(.*", "", line) for line in said[:-1]] == [
        "✔ Embedded cluster: API server, 4 nodes, GPUs\n", "✔ Your notebooks in ~/my-labs\n", "✔ JupyterLab\n",
    ]  # fmt: skip
