"""Thirty submissions of a class, solved, half, empty, broken, endless and hostile, graded two at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.grading import handed_in

JOBS = 2
# Of one cell, seconds: what the slowest cell that is right may take on a busy machine, and what each endless one costs.
_CELL = 90


def measure(folder: Path) -> dict[str, Any]:
    """Grades them in `folder`; gives the wall time of all and the mean of each kind in seconds, and who did not get the result that is expected."""
    target = folder / "precious"
    target.write_text("the instructor's own\n")
    expected = handed_in.write(folder / "handed-in", target, secrets=(folder / "handed-in", folder / "grades"))
    began = time.monotonic()
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ai-lab"), "grade", "handed-in", "--out", "grades", "-j", str(JOBS), "--cell-seconds", str(_CELL)],
        cwd=folder, env={**os.environ, "AI_LAB_HOME": str(folder / "state")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"ai-lab grade failed:\n{done.stdout}{done.stderr}")
    found = {each["learner"]: each for each in json.loads((folder / "grades" / "results.json").read_text())["submissions"]}
    kinds: dict[str, list[float]] = defaultdict(list)
    for learner, told in found.items():
        kinds[learner.partition("-")[0]].append(told["seconds"])
    wrong = [line for learner, told in expected.items() for line in handed_in.differs(found[learner], told)]
    if target.read_text() != "the instructor's own\n":
        wrong.append("somebody wrote into the instructor's file")
    return {
        "submissions": len(found), "seconds": seconds, "wrong": wrong,
        "kinds": {kind: (len(each), sum(each) / len(each)) for kind, each in kinds.items()},
    }  # fmt: skip
