"""`resource.Quantity`: exact arithmetic on 500m, 64Mi, 1.5 (k8s.io/apimachinery/pkg/api/resource)."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_BINARY = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei)|([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E)?)$")

# The words of the API server (resource.ErrFormatWrong).
FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class QuantityError(ValueError):
    """Text that is no quantity."""


@lru_cache(maxsize=4096)
def _parse(text: str) -> Decimal:
    found = _FORM.match(text)
    if not found:
        raise QuantityError(FORMAT_WRONG)
    number, binary, exponent, suffix = found.groups()
    if binary:
        return Decimal(number) * _BINARY[binary]
    if exponent:
        return Decimal(number).scaleb(int(exponent[1:]))
    return Decimal(number).scaleb(_DECIMAL[suffix or ""])


def parse(value: str | int | float) -> Decimal:
    """The exact value of a quantity. Raises QuantityError for anything that the API server would refuse."""
    if isinstance(value, bool):
        raise QuantityError(FORMAT_WRONG)
    return _parse(str(value))


def whole(value: str | int | float) -> int:
    """Quantity.Value(): bytes, devices or Pods, rounded up."""
    return int(parse(value).to_integral_value(ROUND_CEILING))


def milli(value: str | int | float) -> int:
    """Quantity.MilliValue(): millicores, rounded up."""
    return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def _trimmed(value: Decimal) -> str:
    """A number that fits a power of 1000 without rest, with its suffix: 1500 stays 1500, 2000 becomes 2k."""
    if value == 0:
        return "0"
    for suffix, exponent in reversed(_DECIMAL.items()):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int((value.scaleb(9)).to_integral_value(ROUND_CEILING))}n"


def canonical(value: str | int | float) -> str:
    """The form in which the API server stores and prints the quantity (Quantity.String)."""
    text = str(value)
    amount = parse(value)
    found = _FORM.match(text)
    binary = bool(found and found.group(2))
    if binary and abs(amount) >= 1024:
        best = ""
        for suffix, factor in _BINARY.items():
            if amount % factor == 0:
                best = suffix
        if best:
            return f"{int(amount / _BINARY[best])}{best}"
        return str(whole(text))
    if binary:
        return _trimmed(amount)
    if found and found.group(3) and amount == amount.to_integral_value():
        exponent = 0
        while amount and amount % 1000 == 0:
            amount, exponent = amount / 1000, exponent + 3
        return f"{int(amount)}e{exponent}" if exponent else str(int(amount))
    return _trimmed(amount)


def add(*values: str | int) -> str:
    """The sum in the format of the first summand that is not zero."""
    present = [str(value) for value in values if parse(value) != 0]
    if not present:
        return "0"
    total = sum((parse(value) for value in present), Decimal(0))
    binary = _FORM.match(present[0])
    if binary and binary.group(2):
        return canonical(f"{int(total / 1024)}Ki") if total % 1024 == 0 else str(int(total))
    return _trimmed(total)
