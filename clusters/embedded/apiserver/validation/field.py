"""Field paths and the errors on them, in the words of k8s.io/apimachinery/pkg/util/validation/field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from clusters.embedded.errors import FieldError

Errors = list[FieldError]


class Path:
    """Where in an object a value is: `Path("spec").child("containers")[0].child("name")` reads `spec.containers[0].name`."""

    __slots__ = ("_text",)

    def __init__(self, *names: str):
        self._text = ".".join(names)

    def child(self, *names: str) -> Path:
        return Path(".".join([self._text, *names] if self._text else names))

    def __getitem__(self, index: int) -> Path:
        return Path(f"{self._text}[{index}]")

    def key(self, name: str) -> Path:
        return Path(f"{self._text}[{name}]")

    def __str__(self) -> str:
        return self._text or "<nil>"


def quote(text: str) -> str:
    """strconv.Quote."""
    return json.dumps(text, ensure_ascii=False)


def render(value: Any) -> str:
    """A refused value as the message shows it: text quoted, numbers and booleans plain, everything else as JSON (None: null)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(value).decode()


def _error(path: Path, kind: str, words: str, detail: str) -> FieldError:
    return FieldError(str(path), kind, f"{words}: {detail}" if detail else words)


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    return _error(path, "FieldValueInvalid", f"Invalid value: {render(value)}", detail)


def invalid_as_such(path: Path, detail: str) -> FieldError:
    """An invalid value that the message does not show (field.OmitValueType)."""
    return _error(path, "FieldValueInvalid", "Invalid value", detail)


def required(path: Path, detail: str = "") -> FieldError:
    return _error(path, "FieldValueRequired", "Required value", detail)


def forbidden(path: Path, detail: str) -> FieldError:
    return _error(path, "FieldValueForbidden", "Forbidden", detail)


def duplicate(path: Path, value: Any, detail: str = "") -> FieldError:
    return _error(path, "FieldValueDuplicate", f"Duplicate value: {render(value)}", detail)


def not_found(path: Path, value: Any, detail: str = "") -> FieldError:
    return _error(path, "FieldValueNotFound", f"Not found: {render(value)}", detail)


def not_supported(path: Path, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` in the order in which the message lists it."""
    listed = ", ".join(map(quote, supported))
    return _error(path, "FieldValueNotSupported", f"Unsupported value: {render(value)}", f"supported values: {listed}" if listed else "")


def too_long(path: Path, limit: int) -> FieldError:
    return _error(path, "FieldValueTooLong", "Too long", f"may not be more than {limit} bytes")


def too_many(path: Path, have: int, limit: int) -> FieldError:
    return _error(path, "FieldValueTooMany", f"Too many: {have}", f"must have at most {limit} items")
