"""Expressions in objects: what is no CEL is refused in the words of its compiler."""

from __future__ import annotations

from clusters.embedded import cel
from clusters.embedded.apiserver.validation import field
from clusters.embedded.apiserver.validation.field import Errors, Path

# What an expression may look at, with its type.
Variables = tuple[tuple[str, str], ...]

DEVICE: Variables = (("device", "dyn"),)


def condition(text: str, variables: Variables, path: Path, not_bool: str) -> Errors:
    """An expression that gives yes or no; `not_bool` is said of one that gives something else (`{}`: what it gives)."""
    try:
        returns = cel.compiled(text, variables).returns
    except cel.CompileError as error:
        # The original's parser says that an empty text ends before its first column.
        words = str(error) if text else str(error).replace("<input>:1:1:", "<input>:1:0:")
        return [field.invalid(path, text, f"compilation failed: {words}")]
    return [] if returns in ("bool", "dyn", "any") else [field.invalid(path, text, not_bool.format(returns))]


def policy(*, params: bool, composed: bool = False, authorizer: bool = True) -> Variables:
    """What expressions of policies may look at: `params` where the policy has a paramKind, `variables` where it has some."""
    names = ["object", "oldObject", "request", "namespaceObject", *(["params"] if params else []), *(["variables"] if composed else [])]
    asked = (("authorizer", "Authorizer"), ("authorizer.requestResource", "ResourceCheck")) if authorizer else ()
    return (*((name, "dyn") for name in names), *asked)


def of_type(text: str, variables: Variables, path: Path, *kinds: str, messages: bool = False) -> Errors:
    """An expression that gives one of these types, anything without any. With `messages` it may make some: see `cel/message_literals.py`."""
    from clusters.embedded.cel import message_literals

    written = message_literals.as_maps(text) if messages else None
    try:
        returns = cel.compiled(text if written is None else written.text, variables).returns
    except cel.CompileError as error:
        why = str(error) if written is None else written.in_original(str(error))
        return [field.invalid(path, text, f"compilation failed: {why}")]
    # Messages are of any type to the engine, and a list of them is one of anything.
    returns = {"null": "null_type", "list(dyn)": next((each for each in kinds if each.startswith("list(")), "list(dyn)")}.get(
        returns, returns
    )
    if not kinds or returns in (*kinds, "dyn", "any"):
        return []
    wanted = kinds[0] if len(kinds) == 1 else f"one of [{' '.join(kinds)}]"
    return [field.invalid(path, text, f"must evaluate to {wanted} but got {returns}")]
