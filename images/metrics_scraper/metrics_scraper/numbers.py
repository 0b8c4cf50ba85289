"""Numbers, times and durations as Prometheus reads and writes them."""

from __future__ import annotations

import math
import re
import struct
from datetime import datetime
from decimal import Decimal

# A series that ended: a NaN of its own, told from a measured one by its bits (Prometheus: model/value/value.go).
# The quiet bit is set here: a signalling NaN may lose its payload on its way through a register.
_STALE_BITS = 0x7FF8_0000_0000_0002
STALE: float = struct.unpack("<d", struct.pack("<Q", _STALE_BITS))[0]


def is_stale(value: float) -> bool:
    return value != value and struct.pack("<d", value) == struct.pack("<Q", _STALE_BITS)


_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def duration(text: str) -> int:
    """`1m30s` → 90000: milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if text.strip() == "0":
        return 0
    if not found or not any(found.groups()):
        raise ValueError(f'not a valid duration string: "{text}"')
    return sum(int(count) * unit for count, unit in zip(found.groups(), _UNITS.values(), strict=True) if count)


def duration_text(milliseconds: int) -> str:
    """90000 → `1m30s`; years, weeks and days only where nothing is left over, as Prometheus writes them."""
    if milliseconds == 0:
        return "0s"
    written, left = "", milliseconds
    for unit, size in _UNITS.items():
        exact = unit in ("y", "w", "d")
        if exact and left % size:
            continue
        if count := left // size:
            written += f"{count}{unit}"
            left -= count * size
    return written


def value(text: str) -> float:
    """A number as expositions and queries have it, such as `1e3`, `+Inf` or `NaN`. Raises ValueError."""
    return float(text)


def text(number: float) -> str:
    """The shortest text that reads back as the same number, without an exponent from 1e-6 to 1e21 (the HTTP API's form)."""
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if number == int(number) and abs(number) < 1e15:
        return str(int(number)) if number or math.copysign(1, number) > 0 else "-0"
    if abs(number) < 1e-6 or abs(number) >= 1e21:
        return repr(number)
    written = format(Decimal(repr(number)), "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def seconds(milliseconds: int) -> int | float:
    """A time as the API writes it: seconds, with a fraction only where there is one."""
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def time(text: str) -> int:
    """A time of a request, Unix seconds or RFC 3339, in milliseconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return round(number * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f'cannot parse "{text}" to a valid timestamp')
    return round(moment.timestamp() * 1000)


def step(text: str) -> int:
    """A step of a request, a number of seconds or a duration, in milliseconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        try:
            return duration(text)
        except ValueError:
            raise ValueError(f'cannot parse "{text}" to a valid duration') from None
    if not math.isfinite(number):
        raise ValueError(f'cannot parse "{text}" to a valid duration. It overflows int64')
    return round(number * 1000)
