"""What came back: one `Answer` a request in, a summary out. Nothing here has an effect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One request. `began` is in seconds since the start; `outcome` is the status as text, or what went wrong before there was one."""

    began: float
    seconds: float
    outcome: str
    ok: bool
    model: str = ""
    first_token: float | None = None


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed; values in rising order, at least one."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def _milliseconds(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    shown = {f"p{percent}": percentile(ordered, percent) for percent in (50, 90, 95, 99)}
    return {name: round(1000 * value, 1) for name, value in {"min": ordered[0], **shown, "max": ordered[-1]}.items()}


def summarise(answers: Sequence[Answer], seconds: float) -> dict[str, Any]:
    """Counts, latencies of the good answers in milliseconds, and the errors: which, how many, first and last (seconds since the start)."""
    good = [each for each in answers if each.ok]
    bad = [each for each in answers if not each.ok]
    first_tokens = [each.first_token for each in good if each.first_token is not None]
    found: dict[str, Any] = {
        "seconds": round(seconds, 2),
        "requests": len(answers),
        "ok": len(good),
        "errors": len(bad),
        "rate": round(len(answers) / seconds, 2) if seconds else 0.0,
        "latency_ms": _milliseconds([each.seconds for each in good]),
        "outcomes": dict(Counter(each.outcome for each in answers).most_common()),
        "models": dict(Counter(each.model for each in good if each.model).most_common()),
    }
    if first_tokens:
        found["first_token_ms"] = _milliseconds(first_tokens)
    if bad:
        failed = [each.began for each in bad]
        found["first_error_at"] = round(min(failed), 2)
        found["last_error_at"] = round(max(failed), 2)
        found["longest_outage_seconds"] = round(_longest_outage(answers), 2)
    return found


def _longest_outage(answers: Sequence[Answer]) -> float:
    """The longest time, from the first bad answer to the next good one, in which no request went well."""
    longest, since = 0.0, None
    for each in sorted(answers, key=lambda answer: answer.began):
        if each.ok:
            if since is not None:
                longest = max(longest, each.began - since)
            since = None
        elif since is None:
            since = each.began
    if since is not None:
        longest = max(longest, max(each.began + each.seconds for each in answers) - since)
    return longest
