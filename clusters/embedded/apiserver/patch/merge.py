"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any


def apply(original: Any, patch: Any) -> Any:
    """A new value: `patch` merged over `original`; a null in the patch removes the key."""
    if not isinstance(patch, dict):
        return patch
    result = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result
