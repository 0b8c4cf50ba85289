"""Label selectors: the text form of `?labelSelector=` and the object form of `metav1.LabelSelector`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Labels = dict[str, str]
Matcher = Callable[[Labels], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=,()<>]+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*(?P<key>[^\s!=,()<>]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s=!<>()]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=,()<>]+)\s*$")


class SelectorError(ValueError):
    """A selector that cannot be parsed; the message names the part."""


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _requirement(key: str, operator: str, values: list[str]) -> Matcher:
    if operator in ("In", "in", "=", "=="):
        return lambda labels: key in labels and labels[key] in values
    if operator in ("NotIn", "notin", "!="):
        return lambda labels: labels.get(key) not in values
    if operator == "Exists":
        return lambda labels: key in labels
    if operator == "DoesNotExist":
        return lambda labels: key not in labels
    if operator in ("Gt", ">", "Lt", "<"):
        bound = _number(values[0]) if values else None

        def compare(labels: Labels) -> bool:
            have = _number(labels.get(key))
            if have is None or bound is None:
                return False
            return have > bound if operator in ("Gt", ">") else have < bound

        return compare
    raise SelectorError(f'"{operator}" is not a valid label selector operator')


def parse(text: str) -> Matcher:
    """A matcher for a `labelSelector` query; the empty text matches everything. Raises SelectorError."""
    if not text.strip():
        return lambda labels: True
    matchers: list[Matcher] = []
    for part in _split(text):
        if found := _SET.match(part):
            values = [value.strip() for value in found["values"].split(",")]
            matchers.append(_requirement(found["key"], found["op"], values))
        elif found := _EQUALITY.match(part):
            matchers.append(_requirement(found["key"], found["op"], [found["value"]]))
        elif found := _EXISTS.match(part):
            matchers.append(_requirement(found["key"], "DoesNotExist" if found["not"] else "Exists", []))
        else:
            raise SelectorError(f"unable to parse requirement: found '{part.strip()}'")
    return lambda labels: all(matcher(labels) for matcher in matchers)


def from_object(selector: dict[str, Any] | None) -> Matcher:
    """A matcher for a `metav1.LabelSelector`. None matches nothing, {} everything (LabelSelectorAsSelector)."""
    if selector is None:
        return lambda labels: False
    matchers = [_requirement(key, "In", [value]) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        matchers.append(_requirement(expression["key"], expression["operator"], expression.get("values") or []))
    return lambda labels: all(matcher(labels) for matcher in matchers)


def from_map(selector: Labels | None) -> Matcher:
    """A matcher for a plain map such as `Service.spec.selector`; an empty or missing map matches nothing."""
    if not selector:
        return lambda labels: False
    wanted = dict(selector)
    return lambda labels: all(labels.get(key) == value for key, value in wanted.items())


def text_of(selector: dict[str, Any] | None) -> str:
    """The text form of a `metav1.LabelSelector`, as kubectl prints it."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for expression in (selector or {}).get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], ",".join(sorted(expression.get("values") or []))
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}.get(
                operator, f"{key} {operator} {values}"
            )
        )
    return ",".join(parts)
