"""Submissions that are solved, half, empty, broken, endless and hostile: each gets its own verdict, and none harms another."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab_checks.grading import enclosure
from tests.conftest import BIN
from tests.grading import handed_in

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800), pytest.mark.xdist_group("grading")]

PRECIOUS = "the instructor's own\n"
# Containers of a build service often give no user namespaces: there, only notebooks that one trusts are run.
ENCLOSED = not enclosure.missing()


@dataclass
class Run:
    folder: Path
    expected: dict[str, dict[str, Any]]
    left: list[Path]
    told: dict[str, Any]

    def of(self, learner: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.told["submissions"] if each["learner"] == learner)
        return found


def grade(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "AI_LAB_HOME": str(folder / "state"),
        "TMPDIR": str((folder / "tmp").resolve()),
        "MY_SECRET": "of the instructor's",
    }
    return subprocess.run(
        [str(BIN / "ai-lab"), "grade", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )


def run(folder: Path, only: tuple[str, ...], *how: str) -> Run:
    """Grades some of the submissions, and holds the results against what is expected of each."""
    # A long path, as some have: the sockets of a cluster must not lie below it.
    temporary = folder / ("tmp" + "-and-so-on" * 6)
    temporary.mkdir()
    (folder / "tmp").symlink_to(temporary)
    (folder / "precious").write_text(PRECIOUS)
    (folder / "weights.toml").write_text("default = 1\n")
    secrets = (folder / "handed-in", folder / "weights.toml", folder / "grades")
    expected = handed_in.write(folder / "handed-in", folder / "precious", only, secrets)
    done = grade(folder, "handed-in", "--out", "grades", "--weights", "weights.toml", *how)
    assert done.returncode == 0, done.stdout + done.stderr
    found = Run(folder, expected, list(temporary.iterdir()), json.loads((folder / "grades" / "results.json").read_text()))
    assert len(found.told["submissions"]) == len(expected) == len(only)
    return found


def running(what: Path | str) -> list[str]:
    """The command lines in which `what` is named."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return [line for line in found if str(what) in line]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    how = ("-j", "2") if ENCLOSED else ("--trusted",)
    return run(tmp_path_factory.mktemp("graded"), handed_in.ONE_EACH if ENCLOSED else handed_in.HARMLESS, "--cell-seconds", "60", *how)


@pytest.fixture(scope="module")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> Run:
    limits = ("--cell-seconds", "45", "--memory", "1024", "--processes", "100", "--output", "500", "--disk", "512")
    return run(tmp_path_factory.mktemp("harmful"), handed_in.HARMFUL, "-j", "2", *limits)


def wrong(run: Run) -> list[str]:
    return [line for learner, expected in run.expected.items() for line in handed_in.differs(run.of(learner), expected)]


def test_each_gets_the_verdict_that_is_its_own(graded: Run) -> None:
    assert wrong(graded) == []
    if not ENCLOSED:
        refused = grade(graded.folder, "handed-in", "--out", "refused")
        assert refused.returncode == 2
        assert "--trusted" in refused.stderr
    assert graded.told["isolation"].startswith("namespaces" if ENCLOSED else "none")


# Where nothing can be enclosed, strangers' notebooks are refused: test_each_gets_the_verdict_that_is_its_own.
if ENCLOSED:

    def test_a_verdict_cannot_be_forged(tmp_path: Path) -> None:
        forged = run(tmp_path, handed_in.FORGED, "-j", "2", "--cell-seconds", "120")
        assert wrong(forged) == []
        assert [each["points"] for each in forged.told["submissions"]] == [0] * len(handed_in.FORGED)

    def test_what_is_hostile_to_the_machine_ends_alone_and_keeps_what_it_had(harmful: Run) -> None:
        assert wrong(harmful) == []

    def test_none_reached_what_is_anothers(harmful: Run) -> None:
        number = sorted(harmful.expected).index("hostile-reach") + 1
        kept = json.loads((harmful.folder / "grades" / "notebooks" / f"{number:03d}-{handed_in.QUICK}.ipynb").read_text())
        said = [output.get("text", "") for cell in kept["cells"] for output in cell.get("outputs", ())]
        assert [text for text in map("".join, said) if "REACHED" in text] == ["REACHED []\n"]
        assert (harmful.folder / "precious").read_text() == PRECIOUS
        assert list(harmful.folder.rglob("HARM")) == []
        assert not any(Path(each, "HARM").exists() for each in ("/tmp", "/var/tmp", "/etc"))

    def test_nothing_is_left_behind(harmful: Run) -> None:
        assert running(harmful.folder) == []
        assert running("ai-lab-left-behind") == []
        assert harmful.left == []
        assert not (harmful.folder / "state").exists()

    def test_what_a_submission_printed_is_kept_and_no_more_than_its_limit(harmful: Run) -> None:
        kept = list((harmful.folder / "grades" / "notebooks").iterdir())
        assert len(kept) >= 3
        assert max(path.stat().st_size for path in kept) < 2_000_000

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
    def test_a_grader_that_is_killed_leaves_nothing_running(how: signal.Signals, tmp_path: Path) -> None:
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        handed_in.write(tmp_path / "handed-in", tmp_path / "precious", ("endless-deaf",))
        environment = {**os.environ, "AI_LAB_HOME": str(tmp_path / "state"), "TMPDIR": str(temporary)}
        with (tmp_path / "log").open("w") as log:
            grader = subprocess.Popen([str(BIN / "ai-lab"), "grade", "handed-in"], cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: any("ipykernel_launcher" in line for line in running(tmp_path)), "its kernel runs")
        finally:
            grader.send_signal(how)
            grader.wait(120)
        until(lambda: not running(tmp_path), "nothing of it runs")
        assert how is signal.SIGKILL or list(temporary.iterdir()) == []


def test_an_enclosure_holds_or_says_why_not(tmp_path: Path) -> None:
    if not ENCLOSED:
        assert len(enclosure.missing()) > 5
        return
    own, beside = tmp_path / "rooms" / "own", tmp_path / "rooms" / "beside"
    for each in (own, beside):
        each.mkdir(parents=True)
    enclosure.give(own)
    tried = (
        f"import os, pathlib, subprocess\n"
        f"print(sorted(os.listdir({str(tmp_path / 'rooms')!r})), [each for each in os.listdir('/proc') if each.isdecimal()], os.getuid())\n"
        f"pathlib.Path({str(own / 'mine')!r}).write_text('mine')\n"
        f"for place in ({str(tmp_path)!r}, '/tmp', '/etc', '/var/tmp'):\n"
        f"    try: pathlib.Path(place, 'HARM').write_text('')\n"
        f"    except OSError as problem: print(problem.strerror)\n"
        f"open('/dev/null', 'w').write('…'); os.openpty()\n"
        f"print(sorted(os.listdir('/dev')))\n"
        f"if os.fork() == 0: os.setsid(); os.execv({sys.executable!r}, [{sys.executable!r}, '-c', 'import time; time.sleep(3000)', 'ai-lab-stays'])\n"
        f"raise SystemExit(7)"
    )
    command = enclosure.for_a_stranger(own, [tmp_path / "rooms"]).command([sys.executable, "-c", tried])
    done = subprocess.run(command, cwd=own, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7, done.stderr
    *first, devices = done.stdout.splitlines()
    assert first == ["['own'] ['1', '2'] 1000", *["Read-only file system"] * 4]
    assert {"null", "ptmx", "shm"} <= set(ast.literal_eval(devices)) <= {
        "null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "ptmx", "fd", "stdin", "stdout", "stderr",
    }  # fmt: skip
    assert (own / "mine").read_text() == "mine"
    # Whoever asks for grades is not who runs strangers' notebooks where that is root.
    assert (own / "mine").stat().st_uid == (os.geteuid() or enclosure.OUTSIDE)
    assert not any("ai-lab-stays" in each.cmdline() for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])


def test_limits_end_what_takes_more(tmp_path: Path) -> None:
    enclosure.give(tmp_path)
    greedy = [sys.executable, "-c", "held = bytearray(900 * 2**20); print(len(held))"]
    commands = [enclosure.limited(greedy, memory=512 * 2**20)]
    if ENCLOSED:
        commands.append(replace(enclosure.for_a_stranger(tmp_path), memory=512 * 2**20).command(greedy))
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert "MemoryError" in done.stderr
    if ENCLOSED:
        many = [sys.executable, "-c", "import os\nfor _ in range(100):\n    if os.fork() == 0: __import__('signal').pause()"]
        done = subprocess.run(
            replace(enclosure.for_a_stranger(tmp_path), processes=20).command(many),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Resource temporarily unavailable" in done.stderr
