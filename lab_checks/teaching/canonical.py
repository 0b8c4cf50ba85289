"""JSON in one form only, so that a signature over it can be checked anywhere: that of RFC 8785 (JSON Canonicalization Scheme).

Only strings, integers up to 2^53 - 1, true, false, null, arrays and objects are written. Fractions are refused: their form is the hard part of the RFC, and a
certificate has none.
"""

from __future__ import annotations

import json
from typing import Any

# https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.3: the integers that every reader of JSON keeps as they are.
_LARGEST = 2**53 - 1


class NotCanonical(ValueError):
    """A value that has no one form; the message says which."""


def canonical(value: Any) -> bytes:
    """The value as UTF-8: members sorted by their names' UTF-16 code units, no white space. Raises NotCanonical."""
    try:
        return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise NotCanonical("half of a surrogate pair is no text") from None
    except RecursionError:
        raise NotCanonical("it is nested too deeply") from None


def _sorted(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise NotCanonical(f"{value} is too large for a number in JSON")
        return value
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise NotCanonical("the name of a member is text")
        # surrogatepass: what is no text is refused above, in words.
        return {name: _sorted(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))}
    raise NotCanonical(f"{value!r:.40} is no text, no whole number, no list and no object")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotCanonical("a name stands twice in one object")
    return found


def _no_fraction(text: str) -> Any:
    raise NotCanonical(f"{text:.40} is no whole number")


def parsed(text: bytes) -> Any:
    """What `text` says, in whatever form. Raises NotCanonical where it is no JSON, or where two readers could read it differently."""
    try:
        return json.loads(text, object_pairs_hook=_no_twins, parse_float=_no_fraction, parse_constant=_no_fraction)
    except NotCanonical:
        raise
    except json.JSONDecodeError as problem:
        raise NotCanonical(f"it is not JSON (line {problem.lineno}: {problem.msg})") from None
    except (ValueError, RecursionError):
        raise NotCanonical("it is not JSON") from None
