"""Some thirty submissions, solved, half, empty, broken, endless and hostile: each gets its own verdict, and none harms another."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
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


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("grading")
    # A long path, as some have: the sockets of a cluster must not lie below it.
    temporary = folder / ("tmp" + "-and-so-on" * 6)
    temporary.mkdir()
    (folder / "tmp").symlink_to(temporary)
    (folder / "precious").write_text(PRECIOUS)
    expected = handed_in.write(folder / "handed-in", folder / "precious", () if ENCLOSED else handed_in.HARMLESS)
    how = ["-j", "3"] if ENCLOSED else ["--trusted"]
    done = grade(folder, "handed-in", "--out", "grades", "--cell-seconds", "90", "--minutes", "8", *how)
    left = list(temporary.iterdir())
    assert done.returncode == 0, done.stdout + done.stderr
    return Run(folder, expected, left, json.loads((folder / "grades" / "results.json").read_text()))


def test_each_gets_the_verdict_that_is_its_own(graded: Run) -> None:
    wrong = []
    for learner, expected in graded.expected.items():
        found = graded.of(learner)
        verdict = next(each["verdict"] for each in found["exercises"] if each["exercise"] == handed_in.EXERCISE)
        if not re.fullmatch(expected["verdict"], verdict) or not re.fullmatch(str(expected["ended"]), str(found["ended"])):
            wrong.append((learner, verdict, found["ended"], found["words"], found["exercises"][0]["headline"]))
        if found["failed_cells"] != expected.get("failed_cells", found["failed_cells"]):
            wrong.append((learner, found["failed_cells"]))
        # One exercise was worked; nobody has passed another.
        assert found["points"] == (verdict == "passed"), learner
    assert wrong == []
    assert len(graded.told["submissions"]) == len(graded.expected)


def test_none_reached_what_is_anothers(graded: Run) -> None:
    assert (graded.folder / "precious").read_text() == PRECIOUS
    assert list(graded.folder.rglob("HARM")) == []
    assert not Path("/tmp/HARM").exists()
    if ENCLOSED:
        number = sorted(graded.expected).index("hostile-reach") + 1
        kept = (graded.folder / "grades" / "notebooks" / f"{number:03d}-{handed_in.LAB}.ipynb").read_text()
        assert "REACHED []" in kept
        assert graded.told["isolation"].startswith("namespaces")
    else:
        refused = grade(graded.folder, "handed-in", "--out", "refused")
        assert refused.returncode == 2
        assert "--trusted" in refused.stderr
        assert graded.told["isolation"].startswith("none")


def test_nothing_is_left_behind(graded: Run) -> None:
    left = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "ai-lab-left-behind" in line or str(graded.folder) in line:
            left.append(line)
    assert left == []
    assert graded.left == []
    assert not (graded.folder / "state").exists()


def test_what_a_submission_printed_is_kept_and_no_more_than_its_limit(graded: Run) -> None:
    kept = list((graded.folder / "grades" / "notebooks").iterdir())
    assert len(kept) >= 10
    assert max(path.stat().st_size for path in kept) < 10_000_000


def test_an_enclosure_holds_or_says_why_not(tmp_path: Path) -> None:
    if not ENCLOSED:
        assert len(enclosure.missing()) > 5
        return
    own, beside = tmp_path / "rooms" / "own", tmp_path / "rooms" / "beside"
    for each in (own, beside):
        each.mkdir(parents=True)
    tried = (
        f"import os, pathlib\n"
        f"print(sorted(os.listdir({str(tmp_path / 'rooms')!r})), [each for each in os.listdir('/proc') if each.isdecimal()], os.getuid())\n"
        f"pathlib.Path({str(own / 'mine')!r}).write_text('mine')\n"
        f"for place in ({str(tmp_path)!r}, '/tmp', '/etc', '/var/tmp'):\n"
        f"    try: pathlib.Path(place, 'HARM').write_text('')\n"
        f"    except OSError as problem: print(problem.strerror)\n"
        f"if os.fork() == 0: os.setsid(); os.execv({sys.executable!r}, [{sys.executable!r}, '-c', 'import time; time.sleep(3000)', 'ai-lab-stays'])\n"
        f"raise SystemExit(7)"
    )
    command = enclosure.command([own], [sys.executable, "-c", tried], hide=[tmp_path / "rooms"], network=True)
    done = subprocess.run(command, cwd=own, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == ["['own'] ['1', '2'] 1000", *["Read-only file system"] * 4]
    assert (own / "mine").read_text() == "mine"
    assert not any("ai-lab-stays" in each.cmdline() for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"])


def test_a_limit_on_memory_ends_what_takes_more(tmp_path: Path) -> None:
    greedy = [sys.executable, "-c", "held = bytearray(900 * 2**20); print(len(held))"]
    for command in (enclosure.limited(greedy, memory=512 * 2**20), enclosure.command([tmp_path], greedy, memory=512 * 2**20)):
        if ENCLOSED or "--none" in command:
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
            assert "MemoryError" in done.stderr
