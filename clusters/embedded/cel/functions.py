"""How functions of expressions are declared: by a decorator on the Python function that does the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Implementation = TypeVar("Implementation", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """Types are named as in `types.TYPES`. `on_first` says that it is written after its first parameter: `a.isLessThan(b)`."""

    parameters: tuple[str, ...]
    returns: str
    on_first: bool
    call: Callable[..., Any]


# By the function's name.
DECLARED: dict[str, list[Declaration]] = {}


def function(name: str, *parameters: str, returns: str) -> Callable[[Implementation], Implementation]:
    """Declares `name(parameters)`."""
    return _declare(name, parameters, returns, on_first=False)


def method(name: str, *parameters: str, returns: str) -> Callable[[Implementation], Implementation]:
    """Declares `first.name(others)`."""
    return _declare(name, parameters, returns, on_first=True)


def _declare(name: str, parameters: tuple[str, ...], returns: str, *, on_first: bool) -> Callable[[Implementation], Implementation]:
    def register(implementation: Implementation) -> Implementation:
        DECLARED.setdefault(name, []).append(Declaration(parameters, returns, on_first, implementation))
        return implementation

    return register
