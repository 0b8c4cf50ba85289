"""What an applied configuration must be before it can be merged: every field declared, every value of its type, every list key once.

The words are those of sigs.k8s.io/structured-merge-diff/typed, with places as FieldsV1 paths: `.spec.containers[name="main"].env`.
"""

from __future__ import annotations

import json
from typing import Any

from clusters.embedded import scalars
from clusters.embedded.apiserver.patch import fieldset
from clusters.embedded.schema import Type
from kubeobjects import Object

_TYPES = {bool: "bool", str: "string", int: "int64", float: "float64", list: "[]interface {}", dict: "map[string]interface {}"}


def problems(applied: Object, wanted: Type) -> list[str]:
    """One line for each problem, empty where the configuration is right. Nulls are right everywhere."""
    found: list[str] = []
    _check(applied, wanted, "", found)
    return found


def _check(value: Any, wanted: Type | None, at: str, found: list[str]) -> None:
    kind = wanted.kind if wanted is not None else "any"
    if wanted is None or value is None or kind == "any":
        return
    if wanted.is_struct or kind == "object":
        if not isinstance(value, dict):
            found.append(f"{at}: expected map, got &{{{go_value(value)}}}")
            return
        # The configuration went through YAML: Go walks its maps in the order of their keys, as a rule.
        for name, each in sorted(value.items()):
            field = wanted.field(name)
            if wanted.is_struct and name not in wanted.fields and not wanted.is_open:
                found.append(f"{at}.{name}: field not declared in schema")
                return
            _check(each, field, f"{at}.{name}", found)
    elif kind == "array":
        if not isinstance(value, list):
            found.append(f"{at}: expected list, got &{{{go_value(value)}}}")
            return
        _check_items(value, wanted, at, found)
    elif problem := _scalar(value, kind):
        found.append(f"{at}: {problem}")


def _check_items(items: list[Any], wanted: Type, at: str, found: list[str]) -> None:
    keyed = wanted.list_type in ("map", "set")
    seen: set[str] = set()
    for position, item in enumerate(items):
        place = f"[{position}]"
        if keyed:
            why = _no_element(item, wanted)
            if why:
                found.append(f"{at}: element {position}: {why}")
                return
            part = fieldset.element(item, wanted)
            place = fieldset.spoken((part,))
            if part in seen:
                found.append(f"{at}: duplicate entries for key {place}")
            seen.add(part)
        _check(item, wanted.items, f"{at}{place}", found)


def _no_element(item: Any, wanted: Type) -> str:
    """Why an item cannot be told from the others of its list; empty where it can."""
    if wanted.list_type == "map":
        if item is None:
            return "associative list with keys may not have a null element"
        return "" if isinstance(item, dict) else "associative list with keys may not have non-map elements"
    if isinstance(item, dict):
        return "associative list without keys has an element that's a map type"
    if isinstance(item, list):
        return "not supported: associative list with lists as elements"
    return "associative list without keys has an element that's an explicit null" if item is None else ""


def _scalar(value: Any, kind: str) -> str:
    if kind in ("quantity", "int-or-string"):
        return f"expected any scalar, got &{{{go_value(value)}}}" if isinstance(value, list | dict) else ""
    if kind in ("integer", "number"):
        right = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if right else f"expected numeric (int or float), got {_TYPES[type(value)]}"
    if kind == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_value(value)}}}"
    return "" if isinstance(value, str) else f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"


def go_value(value: Any) -> str:
    """A JSON value as Go's fmt prints it with %v: maps by sorted keys, null as <nil>."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_value(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_value(each) for each in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        return scalars.go_float(float(value))
    return str(value)


def _go_syntax(value: Any) -> str:
    """A JSON value as Go's fmt prints it with %#v."""
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f"{json.dumps(key)}:{_go_syntax(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(_go_syntax(each) for each in value) + "}"
    return (
        "interface {}(nil)" if value is None else go_value(value) if not isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
