"""Strings that stand for something else: times and bytes, read and written as Go does, with Go's words for what is wrong with them."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
# The parts of the layout in their order: what matches, and the number's name and range.
_PARTS: tuple[tuple[str, str, str, int, int], ...] = (
    ("2006", r"\d{4}", "year", 0, 9999),
    ("-", "-", "", 0, 0),
    ("01", r"\d{2}", "month", 1, 12),
    ("-", "-", "", 0, 0),
    ("02", r"\d{2}", "day", 0, 99),
    ("T", "T", "", 0, 0),
    ("15", r"\d{2}", "hour", 0, 23),
    (":", ":", "", 0, 0),
    ("04", r"\d{2}", "minute", 0, 59),
    (":", ":", "", 0, 0),
    ("05", r"\d{2}", "second", 0, 59),
)
_FRACTION = re.compile(r"[.,](\d+)")
_ZONE = re.compile(r"Z|([+-])(\d\d):(\d\d)")
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

_URL_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class ScalarError(ValueError):
    """Text that is not what it should be; the message is that of Go's time or encoding/base64."""


def time(text: str, *, micro: bool = False) -> str:
    """A time as metav1.Time (or MicroTime) writes it: UTC, whole seconds (microseconds). Raises ScalarError."""
    layout = _MICRO_LAYOUT if micro else _LAYOUT
    opening = f'parsing time {_quoted(text)} as "{layout}": cannot parse {{}} as "{{}}"'
    at, numbers = 0, []
    for shown, pattern, name, low, high in _PARTS:
        found = re.compile(pattern).match(text, at)
        if not found:
            raise ScalarError(opening.format(_quoted(text[at:]), shown))
        if name:
            numbers.append(int(found[0]))
            if not low <= numbers[-1] <= high:
                raise ScalarError(f"parsing time {_quoted(text)}: {name} out of range")
        at = found.end()
    microseconds = 0
    fraction = _FRACTION.match(text, at)
    if fraction:
        microseconds, at = int(fraction[1][:6].ljust(6, "0")), fraction.end()
    elif micro:
        raise ScalarError(opening.format(_quoted(text[at:]), ".000000"))
    zone = _ZONE.match(text, at)
    if not zone:
        raise ScalarError(opening.format(_quoted(text[at:]), "Z07:00"))
    if zone.end() < len(text):
        raise ScalarError(f"parsing time {_quoted(text)}: extra text: {_quoted(text[zone.end() :])}")
    try:
        moment = datetime(*numbers[:6], microseconds, tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        raise ScalarError(f"parsing time {_quoted(text)}: day out of range") from None
    if zone[1]:
        offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
        moment = moment - offset if zone[1] == "+" else moment + offset
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond:06d}Z" if micro else "Z")


def _quoted(text: str) -> str:
    """Text as the time package quotes it: all but ASCII as bytes in hexadecimal."""
    plain = "".join(f"\\{each}" if each in '"\\' else each for each in text)
    return '"' + "".join(each if " " <= each < "\x80" else "".join(f"\\x{byte:02x}" for byte in each.encode()) for each in plain) + '"'


def go_float(value: float) -> str:
    """A float64 as Go's %v prints it: the shortest digits, with an exponent from 1e+06 on and below 1e-4 (strconv, 'g')."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent
    minus = "-" if sign else ""
    if shown == "0":
        return f"{minus}0"
    if -4 <= point - 1 < 6:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{shown}"
        whole = shown.ljust(point, "0")
        return minus + (f"{whole[:point]}.{whole[point:]}" if len(whole) > point else whole)
    fraction = f".{shown[1:]}" if len(shown) > 1 else ""
    return f"{minus}{shown[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"


def base64_text(text: str) -> str:
    """Base64 as Go writes it: one line. Raises ScalarError with the place of the first byte that is wrong (base64.CorruptInputError)."""
    data = text.encode()
    positions = [number for number, byte in enumerate(data) if byte not in b"\r\n"]
    for count, position in enumerate(positions):
        byte = data[position]
        if byte in _ALPHABET:
            continue
        in_group = count % 4
        if byte != ord("=") or in_group < 2:
            raise ScalarError(_corrupt(position))
        ending = positions[count + 1 :]
        if in_group == 2:
            if not ending:
                raise ScalarError(_corrupt(len(data)))
            if data[ending[0]] != ord("="):
                raise ScalarError(_corrupt(position))
            ending = ending[1:]
        if ending:
            raise ScalarError(_corrupt(ending[0]))
        break
    else:
        if len(positions) % 4:
            raise ScalarError(_corrupt(len(data) - len(positions) % 4))
    return base64.b64encode(base64.b64decode(data)).decode()


def _corrupt(position: int) -> str:
    return f"illegal base64 data at input byte {position}"


def raw_url_base64(text: str) -> bytes:
    """What base64 for URLs without padding stands for. Raises ScalarError with the place of what is wrong (base64.RawURLEncoding)."""
    for position, character in enumerate(text):
        if character not in _URL_ALPHABET:
            raise ScalarError(_corrupt(len(text[:position].encode())))
    if len(text) % 4 == 1:
        raise ScalarError(_corrupt(len(text) - 1))
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
