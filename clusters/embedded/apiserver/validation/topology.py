"""The parameters of StorageClasses, and where their volumes may be (storage/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import field, metadata
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_MAX_PARAMETERS = 512
_MAX_PARAMETERS_SIZE = 256 * 1024


def parameters(given: dict[str, str], path: Path) -> Errors:
    if len(given) > _MAX_PARAMETERS:
        return [field.too_long(path, _MAX_PARAMETERS)]
    found = [field.invalid(path, key, "field can not be empty.") for key in given if not key]
    if sum(len(key.encode()) + len((value or "").encode()) for key, value in given.items()) > _MAX_PARAMETERS_SIZE:
        found.append(field.too_long(path, _MAX_PARAMETERS_SIZE))
    return found


def allowed(terms: list[Object], path: Path) -> Errors:
    """core/validation ValidateTopologySelectorTerm, and no term twice.

    As there, each term is also held against as many empty ones as there are terms, so that an empty one is a duplicate.
    """
    found: Errors = []
    earlier: list[dict[str, set[str]]] = [{} for _ in terms]
    for index, term in enumerate(terms):
        values: dict[str, set[str]] = {}
        where = path[index].child("matchLabelExpressions")
        for number, each in enumerate(term.get("matchLabelExpressions") or []):
            key, listed = each.get("key", ""), each.get("values") or []
            found += _topology_values(listed, where[number].child("values"))
            found += metadata.label_name(key, where[number].child("key"))
            if key in values:
                found.append(field.duplicate(where[number].child("key"), key))
            values[key] = set(listed)
        found += [field.duplicate(where, "") for other in earlier if other == values]
        earlier.append(values)
    return found


def _topology_values(listed: list[str], path: Path) -> Errors:
    if not listed:
        return [field.required(path)]
    return [field.duplicate(path[index], value) for index, value in enumerate(listed) if value in listed[:index]]
