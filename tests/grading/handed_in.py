"""Thirty submissions: solved, half, empty, broken, endless and hostile ones. `write(folder, …)` lays them out as an instructor gets them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

LAB, EXERCISE = "03-pending", "03-pending/moved-in"
# Nothing of this one needs a cluster: for what is hostile to the machine and not to a verdict on a cluster.
QUICK, QUESTION = "13-interview", "13-interview/the-question"

OPEN = f'from lab_checks.face.notebook import open_lab\n\nlab = open_lab("{LAB}")'
START = 'lab.start("moved-in")'
DIAGNOSE = 'lab.diagnose("moved-in", cause="taint-not-tolerated", evidence="3 node(s) had untolerated taint(s)")'
FIX = """%%bash
kubectl -n ai-platform patch deployment ai-log-summary-api --patch '
spec:
  template:
    spec:
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
'
kubectl -n ai-platform rollout status deployment/ai-log-summary-api --timeout=60s
"""
CHECK = 'lab.check("moved-in")'
WRONG = (
    "%%bash\nkubectl taint nodes --all nvidia.com/gpu-\nkubectl -n ai-platform rollout status deployment/ai-log-summary-api --timeout=60s"
)
SOLVED = (OPEN, START, DIAGNOSE, FIX, CHECK)

_SOLUTIONS = Path(__file__).parents[1] / "labs" / "attempts" / f"{QUICK}.yaml"
_ANSWER = yaml.safe_load(_SOLUTIONS.read_text())["the-question"]["solution"][0]["answer"]["answer"]
# Solved in three cells; what follows them must not change that.
QUICKLY = (
    f'from lab_checks.face.notebook import open_lab\n\nlab = open_lab("{QUICK}")',
    f'lab.start("the-question")\nlab.answer("the-question", answer={_ANSWER!r})',
    'lab.check("the-question")',
)

# Where a hostile submission would have to read and write: the folders beside its own, the instructor's, the system's, the processes of others.
REACH = """
import ctypes, os, pathlib, signal, stat
reached = []

def tried(what, work):
    try:
        work()
        reached.append(what)
    except OSError:
        pass

state = pathlib.Path(os.environ["AI_LAB_HOME"])
room = state.parent
beside = [each for each in room.parent.iterdir() if each != room]
reached += [f"sees {each}" for each in beside]
for place in SECRETS:
    tried(f"reads {place}", lambda: os.listdir(place) if os.path.isdir(place) else open(place).read(1) or 1 / 0)
tried("reads the grader's notes", lambda: open(room / "grader" / "job.json").read())
tried("wrote TARGET", lambda: pathlib.Path(TARGET).write_text("harm"))
places = (room, room / "cluster", room / "grader", room / "runtime", room.parent, *map(pathlib.Path, (os.path.dirname(TARGET), "/tmp", "/var/tmp", "/etc")))
for place in (*beside, *places):
    tried(f"wrote {place}", lambda: (place / "HARM").write_text("harm"))
for name in ("kernel/core_pattern", "kernel/hostname", "user/max_user_namespaces"):
    tried(f"set {name}", lambda: open(f"/proc/sys/{name}", "w").write("1"))
for number in map(int, filter(str.isdecimal, os.listdir("/proc"))):
    if number not in (1, os.getpid()) and number != os.getppid():
        reached.append(f"process {number}")
# A container's user namespace would give it mounts again: 0x10020000 is CLONE_NEWUSER with CLONE_NEWNS.
if ctypes.CDLL(None).unshare(0x10020000) == 0:
    reached.append("a namespace")
disks = [each for each in os.scandir("/dev") if stat.S_ISBLK(each.stat().st_mode)]
reached += [f"disk {each.name}" for each in disks] + [f"terminal {each}" for each in os.listdir("/dev/pts") if each != "ptmx"]
reached += [name for name in os.environ if "SECRET" in name]
print("REACHED", reached)
"""

FORGE = """
import json, os, pathlib, sqlite3, time
database = sqlite3.connect(pathlib.Path(os.environ["AI_LAB_HOME"]) / "progress.db")
for each in ("moved-in", "new-card", "rounded-up"):
    row = (f"03-pending/{each}", time.time())
    database.execute("INSERT INTO verdict (exercise, version, at, outcome, headline, credit) VALUES (?, 1, ?, 'passed', 'by myself', 1.0)", row)
diagnosis = {"cause": "taint-not-tolerated", "evidence": "because I say so", "accepted": True, "tried": [], "hints": 0}
database.execute("UPDATE attempt SET answers = ?", (json.dumps({"diagnosis": diagnosis}),))
database.commit()
"""

# A start that the grader did not make.
OWN_START = 'import os\n\ndel os.environ["AI_LAB_STARTS_BY"]\nlab.start("moved-in")'

# A start that tells of the cluster as it is after a change that nobody allowed.
BASELINE = """
import json, os, pathlib, sqlite3
from lab_checks.engine import baseline
from lab_checks.engine.session import Session

now = baseline.take(Session().api, ["ai-platform"])
database = sqlite3.connect(pathlib.Path(os.environ["AI_LAB_HOME"]) / "progress.db")
(before,) = database.execute("SELECT baseline FROM attempt ORDER BY id DESC").fetchone()
database.execute("UPDATE attempt SET baseline = ?", (json.dumps(json.loads(before) | now),))
database.commit()
"""

PATCHED = """
from lab_checks.engine.session import Session
from lab_checks.engine import verdict
Session._look = lambda self, lab, exercise: verdict.passed("all is well")
lab.check("moved-in")
"""

# What outlives its notebook where nothing ends it.
STAYS = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; MARK = 'ai-lab-left-behind'; time.sleep(3000)"])
    os._exit(0)
print("left")
"""

# Memory that no process is seen to hold, and files that no folder shows.
NAMELESS = """
import os
held = []
while True:
    held.append(os.memfd_create("held"))
    os.write(held[-1], b"x" * 100_000_000)
"""
UNLINKED = """
import os
held = []
while True:
    held.append(open(f"file-{len(held)}", "wb"))
    os.unlink(held[-1].name)
    held[-1].write(b"x" * 100_000_000)
"""
FILES = """
number = 0
while True:
    number += 1
    with open(f"file-{number}", "wb") as file:
        file.write(b"x" * 100_000_000)
"""
SHOWS = """
from IPython.display import display
while True:
    display({"application/x-anything": "x" * 100_000}, raw=True)
"""

LINKED = """
import os, pathlib
progress = pathlib.Path(os.environ["AI_LAB_HOME"]) / "progress.db"
progress.unlink()
progress.symlink_to(TARGET)
"""


def notebook(*cells: str) -> str:
    told = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": each, "outputs": [], "execution_count": None}
        for number, each in enumerate(cells)
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": told, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def submissions(target: Path, secrets: list[str]) -> dict[str, tuple[str | bytes, dict[str, Any]]]:
    """Learner → (the file, what is expected of its result). `target` is a file of the instructor's, which nobody may change; nobody may read `secrets`."""
    at = f"TARGET = {str(target)!r}\nSECRETS = {secrets!r}\n"
    passed = {"verdict": "passed", "ended": None}
    quickly = {"exercise": QUESTION, "verdict": "passed"}
    greedy = "held = []\nwhile True:\n    held.append(b'x' * 50_000_000)"
    elsewhere = notebook(*SOLVED).replace('"python3"', '"a-kernel-that-nobody-has"')
    deaf = "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    return {
        "solved": (notebook(*SOLVED), passed),
        "solved-in-one-cell": (notebook(OPEN, f"{START}\n{DIAGNOSE}", FIX, CHECK), passed),
        "solved-with-another-kernel": (elsewhere, passed),
        "half-no-fix": (notebook(OPEN, START, DIAGNOSE, CHECK), {"verdict": "failed|not yet", "ended": None}),
        "half-no-diagnosis": (notebook(OPEN, START, FIX, CHECK), {"verdict": "failed|not yet", "ended": None}),
        "half-wrong-fix": (notebook(OPEN, START, DIAGNOSE, WRONG, CHECK), {"verdict": "failed", "ended": None}),
        "half-not-checked": (notebook(OPEN, START, DIAGNOSE, FIX), {"verdict": "started", "ended": None}),
        "half-only-a-check": (notebook(OPEN, CHECK), {"verdict": "not yet|not reached", "ended": None}),
        "empty-file": (b"", {"ended": "broken", "verdict": "not reached"}),
        "empty-notebook": (notebook(), {"ended": None, "verdict": "not reached"}),
        "broken-text": ("# my notebook\n\nIt ran on my machine.", {"ended": "broken", "verdict": "not reached"}),
        "broken-json": (notebook(*SOLVED)[:-40], {"ended": "broken", "verdict": "not reached"}),
        "broken-not-a-notebook": ('{"cells": 7}', {"ended": "broken", "verdict": "not reached"}),
        "broken-cell": (notebook("import nothing_of_that_name", OPEN, "1 +", START, DIAGNOSE, FIX, CHECK), passed | {"failed_cells": [1, 3]}),
        "endless-loop": (notebook(*SOLVED, "while True:\n    pass"), {"verdict": "passed", "ended": "time"}),
        "endless-deaf": (notebook(*QUICKLY, f"{deaf}while True:\n    pass"), quickly | {"ended": "time"}),
        "endless-print": (notebook(*QUICKLY, "while True:\n    print('no end ' * 100)"), quickly | {"ended": "output"}),
        "endless-display": (notebook(*QUICKLY, SHOWS), quickly | {"ended": "output"}),
        "hostile-reach": (notebook(*QUICKLY, at + REACH), quickly | {"ended": None}),
        "hostile-forged": (notebook(OPEN, START, FORGE, "print('forged')"), {"verdict": "not confirmed", "ended": None}),
        "hostile-patched": (notebook(OPEN, START, PATCHED), {"verdict": "not confirmed", "ended": None}),
        "hostile-own-start": (notebook(OPEN, OWN_START, DIAGNOSE, FIX, CHECK), {"verdict": "not confirmed", "ended": None}),
        "hostile-baseline": (notebook(OPEN, START, DIAGNOSE, f"{WRONG}", BASELINE, CHECK), {"verdict": "not confirmed|failed", "ended": None}),
        "hostile-link": (notebook(OPEN, START, at + LINKED, CHECK), {"verdict": "started|not yet|not reached", "ended": None}),
        "hostile-stays": (notebook(*QUICKLY, STAYS), quickly | {"ended": None}),
        "hostile-memory": (notebook(*QUICKLY, greedy), quickly | {"ended": "None|memory|died"}),
        "hostile-nameless": (notebook(*QUICKLY, NAMELESS), quickly | {"ended": "memory"}),
        "hostile-disk": (notebook(*QUICKLY, FILES), quickly | {"ended": "disk"}),
        "hostile-many": (notebook(*QUICKLY, "import os\nwhile True:\n    os.fork()"), quickly | {"ended": "None|memory|processes|died"}),
        "hostile-kill": (notebook(*QUICKLY, "import os, signal\nos.kill(-1, signal.SIGKILL)"), quickly | {"ended": "died|None"}),
    }  # fmt: skip


# One of each kind.
ONE_EACH = ("solved", "half-wrong-fix", "empty-file", "broken-cell", "endless-loop", "hostile-forged")
# What is hostile to the machine and to others.
HARMFUL = (
    "hostile-reach", "hostile-stays", "hostile-memory", "hostile-nameless", "hostile-disk", "hostile-many", "hostile-kill", "endless-deaf", "endless-display",
)  # fmt: skip
# What is hostile to the verdict.
FORGED = ("hostile-patched", "hostile-own-start", "hostile-baseline", "hostile-link")
# What is run without an enclosure.
HARMLESS = ("solved", "half-wrong-fix", "empty-file", "broken-cell")


def write(folder: Path, target: Path, only: tuple[str, ...] = (), secrets: tuple[Path, ...] = ()) -> dict[str, dict[str, Any]]:
    """Writes them (left out: all thirty) as FOLDER/<learner>/<lab>.ipynb; gives what is expected of each."""
    expected = {}
    for learner, (text, told) in submissions(target, [str(each) for each in (target, *secrets)]).items():
        if only and learner not in only:
            continue
        path = folder / learner / f"{QUICK if told.get('exercise') == QUESTION else LAB}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        expected[learner] = told
    return expected


def differs(told: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is not as it was expected of one submission in results.json."""
    found = []
    row = next(each for each in told["exercises"] if each["exercise"] == expected.get("exercise", EXERCISE))
    if not re.fullmatch(expected["verdict"], row["verdict"]):
        found.append(f"verdict {row['verdict']} ({row['headline']})")
    if not re.fullmatch(str(expected["ended"]), str(told["ended"])):
        found.append(f"ended {told['ended']}: {told['words']}")
    if told["failed_cells"] != expected.get("failed_cells", told["failed_cells"]):
        found.append(f"failed cells {told['failed_cells']}")
    # One exercise was worked; nobody has passed another.
    if told["points"] != (row["verdict"] == "passed"):
        found.append(f"{told['points']} points")
    return [f"{told['learner']}: {each}" for each in found]
