"""Fields that are a number or a percentage (k8s.io/apimachinery/pkg/util/intstr)."""

from __future__ import annotations

import math


def scaled(value: int | str | None, whole: int, *, up: bool) -> int:
    """An IntOrString of `whole`: 25% of 3 is 1 rounded up, 0 rounded down."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    share = whole * int(value.rstrip("%")) / 100
    return math.ceil(share) if up else math.floor(share)
