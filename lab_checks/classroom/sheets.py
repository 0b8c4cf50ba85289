"""A class as files: CSV for a spreadsheet, JSON for a program."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from kubeobjects import meta
from lab_checks import spreadsheet
from lab_checks.classroom import view
from lab_checks.classroom.roll import Learner

_COLUMNS = ("learner", "mark", "last_seen", "exercise", "state", "passed", "started", "last_check", "checks", "hints", "headline")
_TIMES = ("last_seen", "started", "last_check")


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if name in _TIMES:
        return meta.format_seconds(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return spreadsheet.text(str(value))


def as_csv(learners: list[Learner], now: float, stuck_after: float = view.STUCK_AFTER) -> str:
    """One line for each learner and exercise (RFC 4180), with a head line."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in view.details(learners, now, stuck_after):
        writer.writerow([_cell(name, row.get(name)) for name in _COLUMNS])
    return out.getvalue()


def as_json(learners: list[Learner], now: float, stuck_after: float = view.STUCK_AFTER) -> str:
    """What the page shows, and the rows of the CSV; times are seconds since the epoch."""
    return json.dumps(view.of(learners, now, stuck_after) | {"details": view.details(learners, now, stuck_after)}, indent=1) + "\n"
