"""Lab 12-incident: a game day: three calls in a row. Its record is a file in the state folder, since each call is a start of its own."""

from __future__ import annotations

import json
import time
from typing import Any

import clusters
from lab_checks import whole_file
from lab_checks.drill import Score

# Seconds after a call in which the next one has to be started, or the day begins anew.
_PAUSE = 900.0


def _read() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _path() -> Any:
    return clusters.state_folder() / "game-day.json"


def _write(record: dict[str, Any]) -> None:
    _path().parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(_path(), json.dumps(record))


def next_call(cluster: str, seed: int) -> int:
    """The number of the call that begins now, from 1: the next one after a call that was passed, else the first of a new day."""
    record = _read()
    over = record.get("passed") or []
    goes_on = (
        (record.get("cluster"), record.get("seed")) == (cluster, seed)
        and 0 < len(over) < 3
        and record.get("number") == len(over)
        and time.time() - over[-1]["at"] < _PAUSE
    )
    record = {"cluster": cluster, "seed": seed, "number": len(over) + 1 if goes_on else 1, "passed": over if goes_on else []}
    _write(record)
    return int(record["number"])


def number(cluster: str, seed: int) -> int:
    """The number of the call that was begun last on this cluster; 1 where there is no record of one."""
    record = _read()
    return int(record["number"]) if (record.get("cluster"), record.get("seed")) == (cluster, seed) else 1


def of_today(cluster: str) -> list[dict[str, Any]]:
    """The calls that are over of the day that was begun last on this cluster."""
    record = _read()
    return list(record.get("passed") or []) if record.get("cluster") == cluster else []


def over(call: int) -> list[dict[str, Any]]:
    """The calls that are over, with their points and minutes, where this call is one of them; else none."""
    record = _read()
    found = list(record.get("passed") or [])
    return found if record.get("number") == call and len(found) >= call else []


def done(call: int, score: Score, what: str) -> list[dict[str, Any]]:
    """Notes that a call was passed, once; returns all that are over."""
    if found := over(call):
        return found
    record = _read()
    row = {
        "call": call,
        "points": score.total,
        "what": what,
        "time": next(each.why for each in score.lines if each.name == "time"),
        "at": time.time(),
    }
    _write({**record, "number": call, "passed": [*(record.get("passed") or [])[: call - 1], row]})
    return over(call)
