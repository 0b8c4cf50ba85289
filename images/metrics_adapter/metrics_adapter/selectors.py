"""Label selectors as text, such as `app=api,model in (v1, v2),!canary` (k8s.io/apimachinery/pkg/labels)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Matcher = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(r"^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$")
_EXISTS = re.compile(r"^(!?)\s*([^=!\s()]+)$")


class BadSelector(Exception):
    """Text that is no selector."""


def parse(text: str) -> Matcher:
    """Whether labels match; everything does where the text is empty. Raises BadSelector."""
    tests = [_requirement(part.strip()) for part in _split(text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _split(text: str) -> list[str]:
    """At commas that are not inside brackets."""
    return re.split(r",(?![^()]*\))", text)


def _requirement(text: str) -> Matcher:
    if found := _SET.match(text):
        key, inside = found[1], found[2] == "in"
        values = {each.strip() for each in found[3].split(",")}
        return lambda labels: (key in labels and labels[key] in values) if inside else labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, same, value = found[1], found[2] != "!=", found[3]
        return lambda labels: (labels.get(key) == value) is same
    if found := _EXISTS.match(text):
        key, there = found[2], not found[1]
        return lambda labels: (key in labels) is there
    raise BadSelector(f"unable to parse requirement: {text!r}")


def of(selector: Mapping[str, object] | None) -> Matcher:
    """A selector of a Deployment (matchLabels and matchExpressions). Raises BadSelector."""
    found: Mapping[str, object] = selector or {}
    parts = [f"{key}={value}" for key, value in (found.get("matchLabels") or {}).items()]  # type: ignore[attr-defined]
    for each in found.get("matchExpressions") or []:  # type: ignore[attr-defined]
        key, operator, values = each["key"], each["operator"], ", ".join(each.get("values") or [])
        parts.append({"Exists": key, "DoesNotExist": f"!{key}"}.get(operator) or f"{key} {operator.lower()} ({values})")
    return parse(",".join(parts))
