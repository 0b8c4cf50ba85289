"""Lists: `[1, 2].sum()`, `list.isSorted()`, `sets.contains(a, b)`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from clusters.embedded.cel.functions import function, method

_LIST = "list(dyn)"


@method("isSorted", _LIST, returns="bool")
def is_sorted(items: list[Any]) -> bool:
    return all(one <= next for one, next in pairwise(items))


@method("sum", _LIST, returns="dyn")
def total(items: list[Any]) -> Any:
    return sum(items[1:], items[0]) if items else 0


@method("min", _LIST, returns="dyn")
def smallest(items: list[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    return min(items)


@method("max", _LIST, returns="dyn")
def largest(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


@method("indexOf", _LIST, "dyn", returns="int")
def index_of(items: list[Any], item: Any) -> int:
    return items.index(item) if item in items else -1


@method("lastIndexOf", _LIST, "dyn", returns="int")
def last_index_of(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item) if item in items else -1


@function("sets.contains", _LIST, _LIST, returns="bool")
def contains(items: list[Any], others: list[Any]) -> bool:
    return all(each in items for each in others)


@function("sets.equivalent", _LIST, _LIST, returns="bool")
def equivalent(items: list[Any], others: list[Any]) -> bool:
    return contains(items, others) and contains(others, items)


@function("sets.intersects", _LIST, _LIST, returns="bool")
def intersects(items: list[Any], others: list[Any]) -> bool:
    return any(each in items for each in others)
