"""How much of a capacity one request may take of a device that many share (resource/validation, validateRequestPolicy)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.validation import dra, field
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, quantity

_MOST_VALUES = 10
_TWO = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'


def policy(given: Object, most: Any, path: Path) -> Errors:
    """`most` is the capacity itself."""
    choices, span, default = given.get("validValues") or [], given.get("validRange"), given.get("default")
    if choices and span is not None:
        return [field.forbidden(path, _TWO)]
    kind = "validValues" if choices else "validRange"
    if not choices and span is None:
        return []
    if default is None:
        return [field.required(path.child("default"), f"required when {kind} is defined")]
    where = path.child(kind)
    return _choices(choices, default, most, where) if choices else _span(span or {}, default, most, where)


def _choices(choices: list[Any], default: Any, most: Any, path: Path) -> Errors:
    amounts = [quantity.parse(each) for each in choices]
    found: Errors = []
    for index in range(1, len(amounts)):
        if amounts[index - 1] > amounts[index]:
            found.append(field.invalid(path[index], str(choices[index]), "values must be sorted in ascending order"))

    def choice(each: Any, where: Path) -> Errors:
        too_large = quantity.parse(each) > quantity.parse(most)
        return [field.invalid(where, str(each), f"option is larger than capacity value: {most}")] if too_large else []

    found += dra.items(choices, _MOST_VALUES, choice, path, lambda each: str(quantity.whole(each)))
    if quantity.parse(default) not in amounts:
        found.append(field.invalid(path, str(default), "default value is not valid according to the requestPolicy"))
    return found


def _span(span: Object, default: Any, most: Any, path: Path) -> Errors:
    least, largest, step = (span.get(name) for name in ("min", "max", "step"))
    if least is None:
        return [field.required(path.child("min"), "required when validRange is defined")]
    found: Errors = []

    def no_more(value: Any, bound: Any, name: str, shown: Any, why: str) -> None:
        if quantity.parse(value) > quantity.parse(bound):
            found.append(field.invalid(path.child(name), str(shown), why))

    no_more(least, most, "min", least, f"min is larger than capacity value: {most}")
    no_more(least, default, "min", default, f"default is less than min: {least}")
    if largest is not None:
        no_more(least, largest, "max", least, f"min is larger than max: {largest}")
        no_more(largest, most, "max", largest, f"max is larger than capacity value: {most}")
        no_more(default, largest, "max", default, f"default is more than max: {largest}")
    if step is not None:
        first = quantity.add(least, step)
        no_more(first, most, "step", step, f"one step {first} is larger than capacity value: {most}")
        for each in (default, largest):
            if each is not None and quantity.whole(step) and (quantity.whole(each) - quantity.whole(least)) % quantity.whole(step):
                why = f"value is not a multiple of a given step ({step}) from ({least})"
                found.append(field.invalid(path.child("step"), str(each), why))
    return found
