"""Thirty submissions of one exercise: solved, half, empty, broken, endless and hostile ones. `write(folder)` lays them out as an instructor gets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LAB, EXERCISE = "03-pending", "03-pending/moved-in"

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

# Where a hostile submission would have to write to harm another: the folders beside its own, and what else the account has.
REACH = """
import glob, os, pathlib, signal, subprocess
state = pathlib.Path(os.environ["AI_LAB_HOME"])
reached = []
beside = [each for each in state.parent.parent.iterdir() if each != state.parent]
reached += [f"sees {each}" for each in beside]
room = state.parent
places = (room, room / "cluster", room / "grader", room.parent, *map(pathlib.Path, (os.path.dirname(TARGET), "/tmp", "/var/tmp")))
try:
    pathlib.Path(TARGET).write_text("harm")
    reached.append("wrote TARGET")
except OSError:
    pass
for place in (*beside, *places):
    try:
        (place / "HARM").write_text("harm")
        reached.append(f"wrote {place}")
    except OSError:
        pass
for number in map(int, filter(str.isdecimal, os.listdir("/proc"))):
    if number not in (1, os.getpid()) and number != os.getppid():
        reached.append(f"process {number}")
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


def submissions(target: Path) -> dict[str, tuple[str | bytes, dict[str, Any]]]:
    """Learner → (the file, what is expected of its result). `target` is a file of the instructor's, which nobody may change."""
    at = f"TARGET = {str(target)!r}\n"
    passed = {"verdict": "passed", "ended": None}
    greedy = "held = []\nwhile True:\n    held.append(b'x' * 50_000_000)"
    elsewhere = notebook(*SOLVED).replace('"python3"', '"a-kernel-that-nobody-has"')
    hidden = f"import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{at}"
    return {
        **{f"solved-{number}": (notebook(*SOLVED), passed) for number in range(1, 6)},
        "solved-in-one-cell": (notebook(OPEN, f"{START}\n{DIAGNOSE}", FIX, CHECK), passed),
        "solved-with-another-kernel": (elsewhere, passed),
        "half-no-fix": (notebook(OPEN, START, DIAGNOSE, CHECK), {"verdict": "failed|not yet", "ended": None}),
        "half-no-diagnosis": (notebook(OPEN, START, FIX, CHECK), {"verdict": "failed|not yet", "ended": None}),
        "half-wrong-fix": (notebook(OPEN, START, DIAGNOSE, WRONG, CHECK), {"verdict": "failed", "ended": None}),
        "half-not-checked": (notebook(OPEN, START, DIAGNOSE, FIX), {"verdict": "started", "ended": None}),
        "half-only-a-check": (notebook(OPEN, CHECK), {"verdict": "not yet|not reached", "ended": None}),
        "empty-file": (b"", {"ended": "broken", "verdict": "not reached"}),
        "empty-notebook": (notebook(), {"ended": None, "verdict": "not reached"}),
        "empty-cells": (notebook("", "# nothing", ""), {"ended": None, "verdict": "not reached"}),
        "broken-text": ("# my notebook\n\nIt ran on my machine.", {"ended": "broken", "verdict": "not reached"}),
        "broken-json": (notebook(*SOLVED)[:-40], {"ended": "broken", "verdict": "not reached"}),
        "broken-not-a-notebook": ('{"cells": 7}', {"ended": "broken", "verdict": "not reached"}),
        "broken-bytes": (bytes(range(256)) * 20, {"ended": "broken", "verdict": "not reached"}),
        "broken-cell": (notebook("import nothing_of_that_name", OPEN, "1 +", START, DIAGNOSE, FIX, CHECK), passed | {"failed_cells": [1, 3]}),
        "endless-loop": (notebook(*SOLVED, "while True:\n    pass"), {"verdict": "passed", "ended": "time"}),
        "endless-ignoring": (notebook(OPEN, START, f"{hidden}while True:\n    pass"), {"verdict": "started", "ended": "time"}),
        "endless-print": (notebook(*SOLVED, "while True:\n    print('no end ' * 100)"), {"verdict": "passed", "ended": "output"}),
        "hostile-reach": (notebook(*SOLVED, at + REACH), passed),
        "hostile-forged": (notebook(OPEN, START, FORGE, "print('forged')"), {"verdict": "not confirmed", "ended": None}),
        "hostile-patched": (notebook(OPEN, START, PATCHED), {"verdict": "not confirmed", "ended": None}),
        "hostile-stays": (notebook(*SOLVED, STAYS), passed),
        "hostile-memory": (notebook(*SOLVED, greedy), {"verdict": "passed", "ended": "None|memory|died"}),
        "hostile-many": (notebook(*SOLVED, "import os\nwhile True:\n    os.fork()"), {"verdict": "passed", "ended": "processes|memory|died"}),
        "hostile-link": (notebook(OPEN, START, at + LINKED, CHECK), {"verdict": "started", "ended": None}),
        "hostile-kill": (notebook(*SOLVED, "import os, signal\nos.kill(-1, signal.SIGKILL)"), {"verdict": "passed", "ended": "died|fault|None"}),
    }  # fmt: skip


HARMLESS = ("solved", "half", "empty", "broken")


def write(folder: Path, target: Path, only: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Writes them as FOLDER/<learner>/03-pending.ipynb; gives what is expected of each."""
    expected = {}
    for learner, (text, told) in submissions(target).items():
        if only and not learner.startswith(only):
            continue
        path = folder / learner / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        expected[learner] = told
    return expected
