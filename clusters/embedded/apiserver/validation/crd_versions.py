"""What a version of a CustomResourceDefinition adds to its schema: subresources, printer columns, selectable fields, a deprecation.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.embedded.apiserver.validation import field
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_TYPES = ("boolean", "date", "integer", "number", "string")
_FORMATS = ("binary", "bool", "byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_MOST_SELECTABLE = 8
_LONGEST_WARNING = 256


def versions(spec: Object, path: Path) -> Errors:
    """The parts of each version; what is the same in all of them is named at the top of the spec, as the internal type has it."""
    given: list[Object] = spec.get("versions") or []
    found: Errors = []
    for index, version in enumerate(given):
        here = path.child("versions")[index]
        found += _deprecation(version, here.child("deprecationWarning"))
        for name, check in _PARTS.items():
            if version.get(name) and not _shared(given, name):
                found += check(version, here.child(name))
    for name, check in _PARTS.items():
        if given and given[0].get(name) and _shared(given, name):
            found += check(given[0], path.child(name))
    return found


def _shared(given: list[Object], name: str) -> bool:
    return all(each.get(name) == given[0].get(name) for each in given)


def _deprecation(version: Object, path: Path) -> Errors:
    warning = version.get("deprecationWarning")
    if warning is None:
        return []
    if not version.get("deprecated"):
        return [field.invalid(path, warning, "can only be set for deprecated versions")]
    found = []
    if len(warning.encode()) > _LONGEST_WARNING:
        found.append(field.invalid(path, warning, f"must be <= {_LONGEST_WARNING} characters long"))
    if not warning:
        found.append(field.invalid(path, warning, "must not be an empty string"))
    return found


def _subresources(version: Object, path: Path) -> Errors:
    scale = version["subresources"].get("scale")
    if scale is None:
        return []
    found: Errors = []
    for name, roots in (
        ("specReplicasPath", (".spec.",)),
        ("statusReplicasPath", (".status.",)),
        ("labelSelectorPath", (".spec.", ".status.")),
    ):
        value, where = scale.get(name) or "", path.child(f"scale.{name}")
        if not value:
            found += [field.required(where)] if name != "labelSelectorPath" else []
        elif not value.startswith("."):
            found.append(field.invalid(where, value, "must be a simple json path starting with ."))
        elif not value.startswith(roots):
            under = "either .spec or .status" if len(roots) > 1 else roots[0].rstrip(".")
            found.append(field.invalid(where, value, f"should be a json path under {under}"))
    return found


def _columns(version: Object, path: Path) -> Errors:
    found: Errors = []
    for index, column in enumerate(version["additionalPrinterColumns"]):
        here = path[index]
        kind, form, at = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
        if not column.get("name"):
            found.append(field.required(here.child("name")))
        if kind not in _TYPES:
            why = f"must be one of {','.join(_TYPES)}"
            found.append(field.invalid(here.child("type"), kind, why) if kind else field.required(here.child("type"), why))
        if form and form not in _FORMATS:
            found.append(field.invalid(here.child("format"), form, f"must be one of {','.join(_FORMATS)}"))
        if not at:
            found.append(field.required(here.child("JSONPath")))
        elif not at.startswith("."):
            found.append(field.invalid(here.child("JSONPath"), at, "must be a simple json path starting with ."))
    return found


def _selectable(version: Object, path: Path) -> Errors:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    found: Errors = []
    seen: set[str] = set()
    for index, each in enumerate(version["selectableFields"]):
        here, at = path[index].child("jsonPath"), each.get("jsonPath") or ""
        if not at:
            found.append(field.required(here))
            continue
        why, target = _follow(schema, at)
        if why:
            found.append(field.invalid(here, at, f"is an invalid path: {why}"))
            continue
        if at.split(".")[1] == "metadata":
            found.append(field.invalid(here, at, "must not point to fields in metadata"))
        if target.get("type") not in ("string", "boolean", "integer"):
            kinds = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            found.append(field.invalid(here, at, kinds))
        if at in seen:
            found.append(field.duplicate(here, at))
        seen.add(at)
    if len(seen) > _MOST_SELECTABLE:
        found.append(field.too_many(path, len(seen), _MOST_SELECTABLE))
    return found


def _follow(schema: Object, path: str) -> tuple[str, Object]:
    """(why there is no such field, the schema of the field)."""
    if not path.startswith("."):
        return f"expected [ or . but got: {path.partition('.')[0].partition('[')[0]}", {}
    if "[" in path:
        return "array notation is not allowed", {}
    for name in path[1:].split("."):
        properties: Any = schema.get("properties")
        if not properties or name not in properties:
            return "does not refer to a valid field", {}
        schema = properties[name]
    return "", schema


_PARTS: dict[str, Callable[[Object, Path], Errors]] = {
    "subresources": _subresources,
    "additionalPrinterColumns": _columns,
    "selectableFields": _selectable,
}
