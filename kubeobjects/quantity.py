"""`resource.Quantity`: exact arithmetic on 500m, 64Mi, 1.5 (k8s.io/apimachinery/pkg/api/resource)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_UP, Context, Decimal
from functools import lru_cache
from typing import Literal

_BINARY = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
# Possessive: what has been read is not tried again in shorter pieces.
_PARTS = re.compile(r"([+-]?)(\d*+)(?:\.(\d*+))?+([eEinumkKMGTP]*+[-+]?+\d*+)$")
_EXPONENT = re.compile(r"[eE]([-+]?\d+)$")
# No quantity is finer than a billionth, and none in binary units larger than this.
_FINEST = Decimal("1e-9")
_LARGEST = Decimal(2**63 - 1)
# Up to so many digits Go takes its fast path, which keeps a text that is canonical enough.
_FAST_DIGITS = 18

# Far beyond what a machine has. Arithmetic on longer numbers would keep everybody waiting: they are refused, which Go does not do.
_LONGEST, _LARGEST_EXPONENT = 160, 80
_TOO_MUCH = Decimal("1e80")
# Digits enough for the longest number with the largest exponent and unit.
_EXACT = Context(prec=512)
_MOST = 2**63 - 1

# The words of the API server (resource.ErrFormatWrong, ErrNumeric and ErrSuffix).
FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_WRONG = "unable to parse numeric part of quantity"
SUFFIX_WRONG = "unable to parse quantity's suffix"

Format = Literal["binary", "decimal", "exponent"]


class QuantityError(ValueError):
    """Text that is no quantity; the message is the API server's."""


@dataclass(frozen=True)
class _Quantity:
    """`kept` is the text itself where Go would print it as it was written."""

    amount: Decimal
    format: Format
    kept: str = ""


def _read(text: str) -> _Quantity:
    # What is remembered must be short, however long the texts are that come.
    return _remembered(text) if len(text) <= 2 * _LONGEST else _parse(text)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> _Quantity:
    return _parse(text)


def _parse(text: str) -> _Quantity:
    found = _PARTS.match(text)
    if not text or not found:
        raise QuantityError(FORMAT_WRONG)
    sign, whole_digits, fraction, suffix = found[1], found[2].lstrip("0"), found[3] or "", found[4]
    if len(whole_digits) + len(fraction) > _LONGEST:
        raise QuantityError(NUMERIC_WRONG)
    form: Format = "decimal"
    factor, exponent = Decimal(1), 0
    if suffix in _BINARY:
        form, factor = "binary", Decimal(_BINARY[suffix])
    elif suffix in _DECIMAL:
        exponent = _DECIMAL[suffix]
    elif written := _EXPONENT.match(suffix):
        form, exponent = "exponent", _exponent(written[1])
    else:
        raise QuantityError(SUFFIX_WRONG)
    amount = _EXACT.scaleb(_EXACT.multiply(Decimal(f"{whole_digits or 0}.{fraction or 0}"), factor), exponent)
    exact = _EXACT.normalize(amount).as_tuple().exponent
    rounded = amount.quantize(_FINEST, ROUND_UP, _EXACT) if isinstance(exact, int) and exact < -9 else amount
    if rounded >= _TOO_MUCH:
        raise QuantityError(NUMERIC_WRONG)
    if form == "binary":
        rounded = min(rounded, _LARGEST)
        if 0 < rounded < 1:
            form = "decimal"
    digits = f"{whole_digits or 0}{fraction}"
    kept = text if _is_kept(form, digits, factor, exponent - len(fraction), fraction) else ""
    return _Quantity(-rounded if sign == "-" else rounded, form, kept)


def _exponent(written: str) -> int:
    digits = written.lstrip("+-").lstrip("0")
    if len(digits) > 3 or int(digits or 0) > _LARGEST_EXPONENT:
        raise QuantityError(SUFFIX_WRONG)
    return int(written)


def _is_kept(form: Format, digits: str, factor: Decimal, scale: int, fraction: str) -> bool:
    """Whether Go prints the text as it was written: it looks at a few digits only, so that 1.500 stays and 0.5 becomes 500m."""
    if form == "binary":
        order = int(factor).bit_length() - 1
        return not fraction and 15 - len(digits) - order * 3 // 10 - 1 >= 0 and int(digits) & 7 != 0
    return len(digits) <= _FAST_DIGITS and scale >= -9 and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _of(value: str | int | float) -> _Quantity:
    if isinstance(value, bool):
        raise QuantityError(FORMAT_WRONG)
    return _read(str(value).strip())


def parse(value: str | int | float) -> Decimal:
    """The exact value of a quantity. Raises QuantityError for anything that the API server would refuse."""
    return _of(value).amount


def whole(value: str | int | float) -> int:
    """Quantity.Value(): bytes, devices or Pods, rounded away from zero; an int64 at most."""
    return _int64(parse(value))


def milli(value: str | int | float) -> int:
    """Quantity.MilliValue(): millicores, rounded away from zero; an int64 at most."""
    return _int64(_EXACT.multiply(parse(value), Decimal(1000)))


def _int64(amount: Decimal) -> int:
    return max(-_MOST - 1, min(_MOST, int(amount.to_integral_value(ROUND_UP))))


def _thousands(amount: Decimal) -> tuple[int, int]:
    """The amount as a whole number times the largest power of 1000 that leaves no rest: 1500 is (1500, 0), 2000 is (2, 3)."""
    number, exponent = int(amount.scaleb(9, _EXACT)), -9
    while exponent < 18 and number % 1000 == 0:
        number, exponent = number // 1000, exponent + 3
    return number, exponent


def _written(amount: Decimal, form: Format) -> str:
    """The amount in its canonical form (Quantity.CanonicalizeBytes)."""
    if amount == 0:
        return "0"
    if form == "binary" and abs(amount) >= 1024 and amount == amount.to_integral_value():
        number, suffix = int(amount), ""
        for name in _BINARY:
            if number % 1024:
                break
            number, suffix = number // 1024, name
        return f"{number}{suffix}"
    number, exponent = _thousands(amount)
    if form == "exponent":
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{next(name for name, power in _DECIMAL.items() if power == exponent)}"


def canonical(value: str | int | float) -> str:
    """The form in which the API server stores and prints the quantity (Quantity.String)."""
    found = _of(value)
    return found.kept or _written(found.amount, found.format)


def add(*values: str | int) -> str:
    """The sum in the format of the first summand that is not zero."""
    present = [found for found in map(_of, values) if found.amount != 0]
    return _written(sum((found.amount for found in present), Decimal(0)), present[0].format) if present else "0"
