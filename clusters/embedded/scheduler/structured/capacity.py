"""Devices that several claims may use at once: how much of each capacity a request takes (consumable_capacity.go)."""

from __future__ import annotations

from decimal import Decimal

from clusters.embedded.client import Object
from kubeobjects import quantity

Amounts = dict[str, Decimal]


def consumed(wanted: Object, device: Object) -> Amounts | None:
    """What a request with `capacity.requests` takes of the device, rounded as the device's policy says.

    None where the device has no such capacity or its policy forbids the amount.
    """
    capacity: Object = device.get("capacity") or {}
    if set(wanted) - set(capacity):
        return None
    amounts: Amounts = {}
    for name, each in capacity.items():
        policy = each.get("requestPolicy") or {}
        amount = (
            _rounded(quantity.parse(wanted[name]), policy) if name in wanted else quantity.parse(policy.get("default") or each["value"])
        )
        if not _allowed(amount, policy):
            return None
        amounts[name] = amount
    return amounts


def fits(amounts: Amounts, used: list[Amounts], device: Object) -> bool:
    """Whether the device has that much left beside what is in use."""
    return all(
        amount + sum((each.get(name, Decimal()) for each in used), Decimal()) <= quantity.parse(device["capacity"][name]["value"])
        for name, amount in amounts.items()
    )


def _rounded(amount: Decimal, policy: Object) -> Decimal:
    span, values = policy.get("validRange") or {}, policy.get("validValues")
    if span.get("min") is not None:
        least = quantity.parse(span["min"])
        if amount < least or span.get("step") is None:
            return max(amount, least)
        step = quantity.parse(span["step"])
        steps, rest = divmod(amount - least, step)
        return least + step * (steps + (rest > 0))
    if values:
        return min((each for value in values if (each := quantity.parse(value)) >= amount), default=amount)
    return amount


def _allowed(amount: Decimal, policy: Object) -> bool:
    if policy.get("default") is not None and amount == quantity.parse(policy["default"]):
        return True
    span = policy.get("validRange")
    if span:
        if span.get("max") is not None and amount > quantity.parse(span["max"]):
            return False
        return span.get("step") is None or (amount - quantity.parse(span["min"])) % quantity.parse(span["step"]) == 0
    values = policy.get("validValues")
    return not values or amount in [quantity.parse(value) for value in values]
