"""Semantic versions: `semver("1.2.3").isLessThan(semver("1.3.0"))`."""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded.cel.functions import function, method
from clusters.embedded.cel.types import value

_V = "Semver"
_STRICT = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def _read(text: str, pattern: re.Pattern[str] = _STRICT) -> tuple[int, int, int, str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"semver parse error: Invalid character(s) found in version {text!r}")
    return int(found[1]), int(found[2] or 0), int(found[3] or 0), found[4] or ""


def _key(one: Any) -> tuple[Any, ...]:
    """Precedence as semver.org has it: a pre-release is before its release; numbers are before words."""
    major, minor, patch, before = _read(one.text)
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")] if before else []
    return major, minor, patch, not before, parts


@function("semver", "string", returns=_V)
def read(text: str) -> Any:
    _read(text)
    return value(_V, text)


@function("semver", "string", "bool", returns=_V)
def read_loosely(text: str, normalize: bool) -> Any:
    major, minor, patch, before = _read(text, _LOOSE if normalize else _STRICT)
    return value(_V, f"{major}.{minor}.{patch}" + (f"-{before}" if before else ""))


@function("isSemver", "string", returns="bool")
def is_version(text: str) -> bool:
    return _STRICT.fullmatch(text) is not None


@function("isSemver", "string", "bool", returns="bool")
def is_version_loosely(text: str, normalize: bool) -> bool:
    return (_LOOSE if normalize else _STRICT).fullmatch(text) is not None


@method("major", _V, returns="int")
def major(one: Any) -> int:
    return _read(one.text)[0]


@method("minor", _V, returns="int")
def minor(one: Any) -> int:
    return _read(one.text)[1]


@method("patch", _V, returns="int")
def patch(one: Any) -> int:
    return _read(one.text)[2]


@method("isGreaterThan", _V, _V, returns="bool")
def is_greater(one: Any, other: Any) -> bool:
    return _key(one) > _key(other)


@method("isLessThan", _V, _V, returns="bool")
def is_less(one: Any, other: Any) -> bool:
    return _key(one) < _key(other)


@method("compareTo", _V, _V, returns="int")
def compare(one: Any, other: Any) -> int:
    return is_greater(one, other) - is_less(one, other)
