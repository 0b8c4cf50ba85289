"""Numbers that learners answer, read in whatever form they were typed.

Readers take text or numbers and return plain values; None where the text does not hold what was asked for.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SPELLED = {word: number for number, word in enumerate(_WORDS)} | {"none": 0, "no": 0, "a": 1, "an": 1, "single": 1, "both": 2, "half": 0.5}
_NUMBER = r"[+-]?(?:\d{1,3}(?:[ ,']\d{3})+(?![\d])(?:\.\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_READ = re.compile(rf"(?P<about>~|≈|about|around|roughly|approx\.?|circa|ca\.?)?\s*(?P<number>{_NUMBER})\s*(?P<unit>[a-zA-Zµ%°/ ()-]*)\.?")
# Unit -> (what it measures, in how many of its base units: seconds, bytes, devices or shares).
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), ("time", 1e-3)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("b", "byte", "bytes"), ("size", 1.0)),
    **dict.fromkeys(("ki", "kib"), ("size", 1024.0)),
    **dict.fromkeys(("mi", "mib", "mebibyte", "mebibytes"), ("size", 1024.0**2)),
    **dict.fromkeys(("gi", "gib", "gibibyte", "gibibytes"), ("size", 1024.0**3)),
    **dict.fromkeys(("k", "kb"), ("size", 1e3)),
    **dict.fromkeys(("mb", "megabyte", "megabytes"), ("size", 1e6)),
    **dict.fromkeys(("g", "gb", "gigabyte", "gigabytes"), ("size", 1e9)),
    **dict.fromkeys(("%", "percent", "per cent"), ("share", 0.01)),
}


@dataclass(frozen=True)
class Number:
    """A number and what it measures: time, size, share, or the empty text for a count. `value` is in seconds, bytes or shares of one."""

    value: float
    measures: str


def number(answer: object) -> Number | None:
    """The number in 3, "3.0 s", "three", "2 GPUs", "1,024 MiB", "33 %" or "~ 4"; None for what is none, NaN and infinity among them."""
    if isinstance(answer, bool) or answer is None:
        return None
    if isinstance(answer, int | float):
        return Number(float(answer), "") if math.isfinite(answer) else None
    text = " ".join(str(answer).strip().strip("\"'`").split())
    first, _, rest = text.partition(" ")
    if first.lower() in _SPELLED:
        return _with_unit(float(_SPELLED[first.lower()]), rest)
    found = _READ.fullmatch(text)
    if not found:
        return None
    digits = found["number"].replace("'", "").replace(" ", "")
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?:[eE][+-]?\d+)?", digits):
        digits = digits.replace(",", "")
    return _with_unit(float(digits.replace(",", ".")), found["unit"].strip())


def _with_unit(value: float, unit: str) -> Number | None:
    if not math.isfinite(value):
        return None
    known = _UNITS.get(unit) or _UNITS.get(unit.lower())
    if known:
        return Number(value * known[1], known[0])
    # Any other noun counts things: GPUs, Pods, requests, lines.
    return Number(value, "")


def seconds(answer: object) -> float | None:
    """A time in seconds; a number without a unit is taken as seconds."""
    return _measured(answer, "time", 1.0)


def mebibytes(answer: object) -> float | None:
    """A size in MiB; a number without a unit is taken as MiB."""
    found = _measured(answer, "size", 1024.0**2)
    return None if found is None else found / 1024.0**2


def _measured(answer: object, what: str, base: float) -> float | None:
    found = number(answer)
    if found is None or found.measures not in ("", what):
        return None
    return found.value if found.measures else found.value * base
