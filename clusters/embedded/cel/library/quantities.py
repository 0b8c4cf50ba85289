"""Quantities: `quantity("1Gi").isLessThan(quantity("2Gi"))`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from clusters.embedded.cel.functions import function, method
from clusters.embedded.cel.types import value
from kubeobjects import quantity

_Q = "Quantity"


def _made(amount: Decimal) -> Any:
    """A quantity of that size. Fractions below a milli are rounded up, as Kubernetes does when it writes one."""
    milli = amount * 1000
    rounded = int(milli) + (milli > int(milli))
    return value(_Q, quantity.canonical(f"{rounded}m"))


@function("quantity", "string", returns=_Q)
def read(text: str) -> Any:
    quantity.parse(text)
    return value(_Q, text)


@function("isQuantity", "string", returns="bool")
def is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.QuantityError:
        return False
    return True


def _amount(message: Any) -> Decimal:
    return quantity.parse(message.text)


@function("sign", _Q, returns="int")
@method("sign", _Q, returns="int")
def sign(one: Any) -> int:
    amount = _amount(one)
    return (amount > 0) - (amount < 0)


@method("isGreaterThan", _Q, _Q, returns="bool")
def is_greater(one: Any, other: Any) -> bool:
    return _amount(one) > _amount(other)


@method("isLessThan", _Q, _Q, returns="bool")
def is_less(one: Any, other: Any) -> bool:
    return _amount(one) < _amount(other)


@method("compareTo", _Q, _Q, returns="int")
def compare(one: Any, other: Any) -> int:
    return is_greater(one, other) - is_less(one, other)


@method("asApproximateFloat", _Q, returns="double")
def as_float(one: Any) -> float:
    return float(_amount(one))


@method("asInteger", _Q, returns="int")
def as_integer(one: Any) -> int:
    amount = _amount(one)
    if amount != int(amount):
        raise ValueError("cannot convert value to integer")
    return int(amount)


@method("isInteger", _Q, returns="bool")
def is_integer(one: Any) -> bool:
    amount = _amount(one)
    return amount == int(amount) and -(2**63) <= amount < 2**63


@method("add", _Q, _Q, returns=_Q)
def add(one: Any, other: Any) -> Any:
    return _made(_amount(one) + _amount(other))


@method("add", _Q, "int", returns=_Q)
def add_number(one: Any, other: int) -> Any:
    return _made(_amount(one) + other)


@method("sub", _Q, _Q, returns=_Q)
def subtract(one: Any, other: Any) -> Any:
    return _made(_amount(one) - _amount(other))


@method("sub", _Q, "int", returns=_Q)
def subtract_number(one: Any, other: int) -> Any:
    return _made(_amount(one) - other)
