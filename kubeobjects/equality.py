"""When two values of the API are one (k8s.io/apimachinery/pkg/api/equality)."""

from __future__ import annotations

from typing import Any


def same(one: Any, other: Any) -> bool:
    """Equal as `apiequality.Semantic` has it: null, an empty list or map, and absence are one."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one.get(name), other.get(name)) for name in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if one is None or other is None:
        return (one if other is None else other) in (None, {}, [])
    return bool(one == other and type(one) is type(other)) or (not isinstance(one, bool) and one == other)
