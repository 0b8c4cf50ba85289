"""Ages as kubectl shows them (k8s.io/apimachinery/pkg/util/duration HumanDuration)."""

from __future__ import annotations

from datetime import UTC, datetime

from kubeobjects import meta

UNKNOWN = "<unknown>"


def human(seconds: float) -> str:
    """`95s`, `2m3s`, `14m`, `5h12m`, `3d4h`, `2y31d`: the finer unit goes when it no longer says much."""
    # Two seconds of disagreement between clocks are let pass.
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, finer: str) -> str:
    return f"{large}{unit}{small}{finer}" if small else f"{large}{unit}"


def since(stamp: str | None, now: datetime | None = None) -> str:
    """The age of an RFC 3339 time, `<unknown>` where there is none."""
    if not stamp:
        return UNKNOWN
    return human(((now or datetime.now(UTC)) - meta.parse_time(stamp)).total_seconds())


def between(start: str, end: str) -> str:
    return human((meta.parse_time(end) - meta.parse_time(start)).total_seconds())
