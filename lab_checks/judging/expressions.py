"""What a CEL expression of the learner's says of objects that are not there yet: the card of next quarter, the Job of another team.

A quantity is a whole number of bytes here, so that `compareTo`, `isLessThan` and `asInteger` need no type of their own. Attributes that are versions are
text: an expression that compares versions gives no answer.

Source: kubernetes.io/docs/reference/using-api/cel, "Kubernetes quantity library".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab_checks.engine.observe import amount

if TYPE_CHECKING:
    from cel_expr_python import cel


def holds(expression: str, variables: Mapping[str, Any]) -> bool | None:
    """Whether the expression is true of these variables (name to plain value); None where it gives no answer here."""
    try:
        found = _compiled(expression, tuple(sorted(variables))).eval(data=dict(variables)).plain_value()
    except (RuntimeError, TypeError, ValueError):
        return None
    return found if isinstance(found, bool) else None


@lru_cache(maxsize=256)
def _compiled(expression: str, names: tuple[str, ...]) -> cel.Expression:
    """Raises RuntimeError for what is no expression."""
    return _environment(names).compile(expression)


@lru_cache(maxsize=8)
def _environment(names: tuple[str, ...]) -> cel.Env:
    # Loaded with the first expression: the engine takes some 20 MiB.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional, ext_strings
    from google.protobuf import descriptor_pool

    kind = cel.Type
    declared: list[tuple[str, Any, list[Any], bool, Callable[..., Any]]] = [
        ("quantity", kind.INT, [kind.STRING], False, lambda text: int(amount(text))),
        ("isQuantity", kind.BOOL, [kind.STRING], False, _is_quantity),
        ("compareTo", kind.INT, [kind.INT, kind.INT], True, lambda one, other: (one > other) - (one < other)),
        ("isLessThan", kind.BOOL, [kind.INT, kind.INT], True, lambda one, other: one < other),
        ("isGreaterThan", kind.BOOL, [kind.INT, kind.INT], True, lambda one, other: one > other),
        ("asInteger", kind.INT, [kind.INT], True, lambda one: one),
        ("isInteger", kind.BOOL, [kind.INT], True, lambda _one: True),
        ("asApproximateFloat", kind.DOUBLE, [kind.INT], True, float),
        ("sign", kind.INT, [kind.INT], True, lambda one: (one > 0) - (one < 0)),
        ("add", kind.INT, [kind.INT, kind.INT], True, lambda one, other: one + other),
        ("sub", kind.INT, [kind.INT, kind.INT], True, lambda one, other: one - other),
    ]
    return cel.NewEnv(
        descriptor_pool.DescriptorPool(),
        variables=dict.fromkeys(names, kind.DYN),
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
        functions=[
            cel.FunctionDecl(name, [cel.Overload(f"own_{name}", returns, takes, on_first)])
            for name, returns, takes, on_first, _ in declared
        ],
        function_impls={f"own_{name}": call for name, _, _, _, call in declared},
    )


def _is_quantity(text: str) -> bool:
    try:
        amount(text)
    except ValueError:
        return False
    return True
