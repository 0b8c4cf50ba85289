"""CEL selectors over devices: `device.driver`, `device.attributes[domain].name`, `device.capacity[domain].name`.

Source: k8s.io/dynamic-resource-allocation/cel. The engine is loaded with the first selector.
"""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded import cel
from clusters.embedded.client import Object

_VARIABLES = (("device", "dyn"),)
_NO_KEY = re.compile(r"no such key: (.*)")


class SelectorError(ValueError):
    """A selector that gives no answer for a device; the words are the scheduler's."""


def matches(expression: str, driver: str, device: Object) -> bool:
    """Raises SelectorError."""
    try:
        compiled = cel.compiled(expression, _VARIABLES)
    except cel.CompileError as error:
        raise SelectorError(f"CEL compile error: compilation failed: {error}") from None
    found = _evaluate(compiled, _variable(driver, device))
    if not isinstance(found, bool):
        raise SelectorError(f"CEL runtime error: CEL result of type {type(found).__name__} could not be converted to bool")
    return found


def _evaluate(compiled: cel.Expression, variable: dict[str, Any]) -> Any:
    """An unknown domain has no attributes and is no error: it is there, empty, once the expression has looked into it."""
    while True:
        try:
            return compiled.evaluate({"device": variable})
        except cel.EvaluationError as error:
            missing = _NO_KEY.fullmatch(str(error))
            domain = missing[1] if missing else ""
            if domain in variable["attributes"] or f'"{domain}"' not in compiled.text.replace("'", '"'):
                raise SelectorError(f"CEL runtime error: {error}") from None
            for kind in ("attributes", "capacity"):
                variable[kind].setdefault(domain, {})


def _variable(driver: str, device: Object) -> dict[str, Any]:
    attributes: dict[str, dict[str, Any]] = {}
    for name, attribute in (device.get("attributes") or {}).items():
        domain, own = _qualified(name, driver)
        attributes.setdefault(domain, {})[own] = _value(name, attribute)
    capacity: dict[str, dict[str, Any]] = {}
    if device.get("capacity"):
        from clusters.embedded.cel.types import value

        for name, amount in device["capacity"].items():
            domain, own = _qualified(name, driver)
            capacity.setdefault(domain, {})[own] = value("Quantity", str(amount["value"]))
    return {
        "driver": driver,
        "allowMultipleAllocations": bool(device.get("allowMultipleAllocations")),
        "attributes": attributes,
        "capacity": capacity,
    }


def _qualified(name: str, driver: str) -> tuple[str, str]:
    domain, slash, own = name.partition("/")
    return (domain, own) if slash else (driver, name)


def _value(name: str, attribute: Object) -> Any:
    for kind in ("int", "bool", "string"):
        if attribute.get(kind) is not None:
            return attribute[kind]
    if attribute.get("version") is not None:
        from clusters.embedded.cel.types import value

        return value("Semver", attribute["version"])
    raise SelectorError(f"CEL runtime error: attribute {name}: unsupported attribute value")
