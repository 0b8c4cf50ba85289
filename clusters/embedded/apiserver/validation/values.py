"""Checks of single values that many kinds share: counts, quantities, ports, choices, paths."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from clusters.embedded.apiserver.validation import addresses, content, field
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import quantity

_MAX_ID = 0x7FFFFFFF


def all_of(path: Path, value: Any, reasons: Iterable[str]) -> Errors:
    """One `Invalid value` for each reason."""
    return [field.invalid(path, value, why) for why in reasons]


def nonnegative(value: int | None, path: Path) -> Errors:
    return [field.invalid(path, value, content.NEGATIVE)] if value is not None and value < 0 else []


def positive(value: int | None, path: Path) -> Errors:
    return [field.invalid(path, value, content.NOT_POSITIVE)] if value is not None and value <= 0 else []


def amount(value: Any) -> Decimal | None:
    """The quantity's value, or None for text that is none: the decoder has refused that already."""
    try:
        return quantity.parse(value)
    except quantity.QuantityError:
        return None


def nonnegative_quantity(value: Any, path: Path) -> Errors:
    parsed = amount(value)
    return [field.invalid(path, str(value), content.NEGATIVE)] if parsed is not None and parsed < 0 else []


def choice(value: str | None, path: Path, supported: Iterable[str]) -> Errors:
    """Required, and one of `supported`, which the message lists as given."""
    if not value:
        return [field.required(path)]
    listed = list(supported)
    return [] if value in listed else [field.not_supported(path, value, listed)]


def port_number(value: Any, path: Path) -> Errors:
    return all_of(path, value, content.port_number(value)) if isinstance(value, int) else []


def port_number_or_name(value: Any, path: Path) -> Errors:
    if isinstance(value, int):
        return port_number(value, path)
    return all_of(path, value or "", content.port_name(value or ""))


def user_or_group(value: int | None, path: Path) -> Errors:
    if value is None or 0 <= value <= _MAX_ID:
        return []
    return [field.invalid(path, value, content.between(0, _MAX_ID))]


def no_backsteps(value: str, path: Path) -> Errors:
    return [field.invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def descending_path(value: str, path: Path) -> Errors:
    """A path inside a volume."""
    found = [field.invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return found + no_backsteps(value, path)


def ip(value: str, path: Path) -> Errors:
    return all_of(path, value, addresses.ip(value))


def cidr(value: str, path: Path) -> Errors:
    return all_of(path, value, addresses.cidr(value))


def int_or_percent(value: Any, path: Path) -> Errors:
    """A count or a share such as 25% (ValidatePositiveIntOrPercent)."""
    if isinstance(value, str):
        return all_of(path, value, content.percent(value))
    return nonnegative(value, path)


def share(value: Any) -> int | None:
    """The number before the percent sign, None for a plain count."""
    return int(value[:-1]) if isinstance(value, str) and not content.percent(value) else None


def not_over_hundred(value: Any, path: Path) -> Errors:
    percentage = share(value)
    return [field.invalid(path, value, "must not be greater than 100%")] if percentage is not None and percentage > 100 else []
