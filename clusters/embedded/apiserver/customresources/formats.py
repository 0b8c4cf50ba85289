"""The formats of strings and numbers that a custom resource's schema may ask for (pkg/apiserver/validation/formats.go, kube-openapi's strfmt)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from clusters.embedded.apiserver.validation import content
from kubeobjects import Object

_UUID = "[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{}[0-9a-f]{{3}}-?{}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
_ANY = "[0-9a-f]"
_EITHER = "[89ab]"
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|[+-]?0")
_SCALA_UNITS = "d|day|h|hour|m|minute|s|sec|second|ms|milli|millisecond|us|µs|micro|microsecond|ns|nano|nanosecond|w|week|y|year"
_SCALA = re.compile(rf"\d+(\.\d+)?\s*({_SCALA_UNITS})s?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt](2[0-3]|[01]\d):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_HOST = re.compile(
    r"([a-zA-Z0-9\u00a1-\uffff]([a-zA-Z0-9\u00a1-\uffff-]{0,61}[a-zA-Z0-9\u00a1-\uffff])?)(\.[a-zA-Z0-9\u00a1-\uffff-]{1,63})*\.?"
)
_CARD = re.compile(r"4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11}")


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _reads(reader: Callable[[str], object]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            reader(text)
        except ValueError:
            return False
        return True

    return fits


def _uri(text: str) -> bool:
    """url.ParseRequestURI: an absolute URI, or a path from the root."""
    if not text or any(ord(character) <= 32 or ord(character) == 127 for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return text.startswith("/") or bool(parts.scheme)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits):
        return False
    return sum((10 if each == "X" else int(each)) * (10 - index) for index, each in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    return (
        re.fullmatch(r"\d{13}", digits) is not None and sum(int(each) * (1 + index % 2 * 2) for index, each in enumerate(digits)) % 10 == 0
    )


def _byte(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _cidr(text: str) -> bool:
    return "/" in text and _reads(lambda each: ipaddress.ip_network(each, strict=False))(text)


def _datetime(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and _reads(date.fromisoformat)(text[:10])


def _duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None or _SCALA.fullmatch(text.strip()) is not None


_COLOR = r"rgb\((0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5]),(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5]),(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\)"
_FITS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("[0-9a-f]{24}"),
    "uri": _uri,
    "email": _matches(r"(.*<)?[^@\s<>]+@[^@\s<>]+>?"),
    "hostname": lambda text: len(text) <= 255 and _HOST.fullmatch(text) is not None,
    "ipv4": lambda text: "." in text and _reads(ipaddress.IPv4Address)(text),
    "ipv6": _reads(ipaddress.IPv6Address),
    "cidr": _cidr,
    "mac": _matches(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}|([0-9a-f]{2}[:-]){7}[0-9a-f]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}"),
    "uuid": _matches(_UUID.format(_ANY, _ANY)),
    "uuid3": _matches(_UUID.format("3", _ANY)),
    "uuid4": _matches(_UUID.format("4", _EITHER)),
    "uuid5": _matches(_UUID.format("5", _EITHER)),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": lambda text: _CARD.fullmatch(re.sub(r"\D", "", text)) is not None,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches("#?([0-9a-f]{3}|[0-9a-f]{6})"),
    "rgbcolor": _matches(_COLOR),
    "byte": _byte,
    "password": lambda text: True,
    "date": lambda text: len(text) == 10 and _reads(date.fromisoformat)(text),
    "duration": _duration,
    "datetime": _datetime,
    "k8sshortname": lambda text: not content.dns_label(text),
    "k8slongname": lambda text: not content.dns_subdomain(text),
}
_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def supported(schema: Object) -> str:
    """The schema's format, "" where it has none that is looked at."""
    form = schema.get("format") or ""
    if not form:
        return ""
    kind = schema.get("type") or ""
    if kind in ("", "string"):
        return form if form.replace("-", "") in _FITS else ""
    return form if form in _NUMBERS.get(kind, ()) else ""


def fits(form: str, text: str) -> bool:
    """Whether a string is of a format; numbers' formats fit any."""
    known = _FITS.get(form.replace("-", ""))
    return known is None or known(text)
