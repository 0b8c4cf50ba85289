"""Lab 06-observe: pictures of the recorded hour, on which alert rules are tried."""

from __future__ import annotations

from datetime import datetime

from lab_checks.face import measured
from lab_checks.labs.observe import recorded

# Wherever and whenever it was recorded, the hour is told as one of a night.
_TWO_O_CLOCK = datetime(2026, 11, 27, 2)


def hour(promql: str, title: str = "", unit: str = "") -> measured.Plot:
    """Draws an expression over the recorded hour, from 02:00 to 03:00. Raises ValueError for one that cannot be read or evaluated."""
    start, end, lines = recorded.evaluated(promql)
    moved = _TWO_O_CLOCK.timestamp() - start
    # A line without labels is called by what was asked for.
    shown = {promql if name == "{}" else name: [(moment + moved, value) for moment, value in points] for name, points in lines.items()}
    return measured.Plot(title or promql, unit, shown, start + moved, end + moved)
