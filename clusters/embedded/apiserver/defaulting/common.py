"""What defaulting of several kinds shares: struct fields that are always written out, quantities in canonical form."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from kubeobjects import Object, quantity


def struct(obj: Object, name: str) -> Object:
    """The object in the field `name`, made empty where it is absent or null: a Go struct is never absent."""
    value = obj.get(name)
    if value is None:
        value = obj[name] = {}
    return value


def default(obj: Object, name: str, value: Any) -> None:
    """Sets the field where it is absent or null."""
    if obj.get(name) is None:
        obj[name] = value


def default_empty(obj: Object, name: str, value: Any) -> None:
    """Sets the field where it is absent, null or its type's zero value: for fields that are no pointers in Go."""
    if not obj.get(name):
        obj[name] = value


def drop_empty(obj: Object, *names: str) -> None:
    """Removes fields that hold null, an empty list, map or text, 0 or false: `omitempty` never writes those."""
    for name in names:
        if name in obj and not obj[name]:
            del obj[name]


def metadata(owner: Object) -> None:
    """`metadata` of an object or a template: always there, without its empty fields."""
    fields = struct(owner, "metadata")
    drop_empty(fields, "labels", "annotations", "finalizers", "ownerReferences", "generateName", "creationTimestamp", "namespace")


def canonical(value: Any) -> Any:
    """A quantity as the API server writes it, rounded up to thousandths; what is no quantity is left for validation."""
    try:
        amount = quantity.parse(value)
        if amount != amount.quantize(Decimal("0.001")):
            value = f"{int((amount * 1000).to_integral_value(ROUND_CEILING))}m"
        return quantity.canonical(value)
    except (quantity.QuantityError, ArithmeticError):
        return value


def resource_list(obj: Object, name: str) -> None:
    """Brings the quantities of the map in field `name` into canonical form."""
    amounts = obj.get(name)
    if isinstance(amounts, dict):
        obj[name] = {resource: canonical(value) for resource, value in amounts.items()}


def quantity_field(obj: Object, name: str) -> None:
    if obj.get(name) is not None:
        obj[name] = canonical(obj[name])
