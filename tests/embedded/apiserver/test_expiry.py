"""Events are kept for an hour after they were last written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clusters.embedded.apiserver.expiry import expired

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def event(created: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": created, "creationTimestamp": f"2026-11-23T{created}Z"}, **fields}


def test_old_events_go() -> None:
    old, fresh = event("10:59:59"), event("11:00:01")
    assert expired([old, fresh], NOW) == [old]


def test_an_event_that_repeats_stays() -> None:
    counted = event("08:00:00", lastTimestamp="2026-11-23T11:30:00Z")
    series = event("08:00:00", lastTimestamp=None, series={"lastObservedTime": "2026-11-23T11:30:00.123456Z"})
    assert expired([counted, series], NOW) == []
