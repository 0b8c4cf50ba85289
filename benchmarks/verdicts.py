"""What one verdict takes on a cluster that does not change meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path


def measure(home: Path, runs: int) -> list[float]:
    """Milliseconds of `runs` checks in one process, of the first exercise of lab 03, whose start has been laid."""
    os.environ["AI_LAB_HOME"] = str(home)
    from lab_checks.engine import course
    from lab_checks.engine.session import Session

    session = Session(home)
    exercise = course.load().lab("03-pending").exercises[0]
    session.start(exercise)
    session.check(exercise, patience=0)
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        session.check(exercise, patience=0)
        found.append((time.perf_counter() - began) * 1000)
    return found
