"""A class as files: CSV for a spreadsheet, JSON for a program."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

from lab_checks.classroom import view
from lab_checks.classroom.roll import Learner

_COLUMNS = ("learner", "mark", "last_seen", "exercise", "state", "passed", "started", "last_check", "checks", "hints", "headline")
_TIMES = ("last_seen", "started", "last_check")
# What a spreadsheet takes for the beginning of a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def moment(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if name in _TIMES:
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    # A learner's name or a quoted line is text, also to a spreadsheet.
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text


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
