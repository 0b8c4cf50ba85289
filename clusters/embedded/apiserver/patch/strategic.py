"""Strategic merge patch: maps merge by key, lists by the merge key that the schema gives them.

Rules: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ and
k8s.io/apimachinery/pkg/util/strategicpatch. Directives: `$patch: delete|replace`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`, `$retainKeys`.
"""

from __future__ import annotations

from typing import Any

from clusters.embedded import schema
from clusters.embedded.apiserver.patch.typed import go_value
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.schema import Type
from kubeobjects import Object, meta

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_GO_TYPES = {bool: "bool", str: "string", int: "int64", float: "float64", list: "[]interface {}", dict: "map[string]interface {}"}


def merge(original: Object, patch: Object, api_version: str, kind: str) -> Object:
    """A new object: `patch` merged over `original`. Raises ApiError 400 for a patch that is none, in the words of strategicpatch.

    Kinds without a schema (custom resources) have no strategic merge: 415, as on a real server.
    """
    found = schema.get().find(api_version, kind)
    if found is None:
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
            "application/merge-patch+json, application/apply-patch+yaml",
        )
    return _merge_map(meta.copy(original), meta.copy(patch), found)


def _refused(why: str) -> ApiError:
    # Without a reason, as upstream; with 400 where upstream has 500, since it is the client that is wrong.
    return ApiError(400, "", why)


def _wrong_type(expected: str, value: Any) -> ApiError:
    return _refused(f"expected a {expected}, but received a {_GO_TYPES.get(type(value), '%!s(<nil>)')}")


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type("[]interface {}", value)
    return value


def _key_of(item: Any, key: str) -> Any:
    """An item's merge key. Raises ApiError for one that has none."""
    if not isinstance(item, dict):
        raise _wrong_type("map[string]interface {}", item)
    if key not in item:
        raise _refused(f"map: {go_value(item)} does not contain declared merge key: {key}")
    return item[key]


def _field(wanted: Type | None, name: str) -> Type | None:
    return wanted.field(name) if wanted is not None else None


def _strategy(field: Type | None) -> str:
    """How a list or map changes besides retaining keys: merge, replace, or nothing said."""
    return next((each for each in field.patch_strategies if each != "retainKeys"), "") if field is not None else ""


def _merge_map(original: Object, patch: Object, wanted: Type | None) -> Object:
    """`patch` merged into `original`; both are used up."""
    if _PATCH in patch:
        directive = patch.pop(_PATCH)
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        raise _refused(f"unknown patch type: {directive} in map: {go_value({_PATCH: directive, **patch})}")
    if _RETAIN in patch:
        _retain(original, patch, patch.pop(_RETAIN))
    for directive in [name for name in patch if name.startswith(_ORDER)]:
        name = directive.removeprefix(_ORDER)
        _merge_in_order(original, patch, name, _as_list(patch.pop(directive)), _field(wanted, name))
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            _delete_primitives(original, name.removeprefix(_DELETE_FROM), value)
        elif value is None:
            original.pop(name, None)
        else:
            _merge_field(original, name, value, _field(wanted, name))
    return original


def _retain(original: Object, patch: Object, kept: Any) -> None:
    """Leaves in `original` only the keys that the patch says are to stay."""
    named = [name for name, value in patch.items() if value is not None and not name.startswith((_DELETE_FROM, _ORDER))]
    if not isinstance(kept, list) or any(name not in kept for name in named):
        raise bad_request("invalid patch format of retainKeys")
    for name in [name for name in original if name not in kept]:
        del original[name]


def _delete_primitives(original: Object, name: str, gone: Any) -> None:
    present = original.get(name)
    if isinstance(present, list) and isinstance(gone, list):
        original[name] = [each for each in present if each not in gone]


def _merge_field(original: Object, name: str, value: Any, field: Type | None) -> None:
    present = original.get(name)
    if isinstance(value, dict) and isinstance(present, dict):
        original[name] = value if _strategy(field) == "replace" else _merge_map(present, value, field)
    elif isinstance(value, list) and isinstance(present, list):
        original[name] = _merge_list(present, value, field) if field is not None and _strategy(field) == "merge" else value
    else:
        keep, cleaned = _without_directives(value if present is not None and type(present) is type(value) else _without_nulls(value))
        if keep:
            original[name] = cleaned
        else:
            original.pop(name, None)


def _without_nulls(value: Any) -> Any:
    """What is new has nothing to delete; nulls in lists stay."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _without_directives(value: Any) -> tuple[bool, Any]:
    """(whether it stays, the value without the maps in it that are directives)."""
    if isinstance(value, dict):
        if _PATCH in value:
            return False, None
        cleaned = {key: _without_directives(each) for key, each in value.items()}
        return True, {key: each for key, (keep, each) in cleaned.items() if keep}
    if isinstance(value, list):
        return True, [each for keep, each in map(_without_directives, value) if keep]
    return True, value


def _element_type(*lists: list[Any]) -> type:
    """The one type of all items. Raises ApiError where they differ, and for lists of lists."""
    types = [type(item) for each in lists for item in each]
    if not types:
        raise _refused("no elements in any of the given slices")
    if types[0] is list:
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request")
    if any(each is not types[0] for each in types):
        raise _refused(f"list element types are not identical: {go_value(list(lists))}")
    return types[0]


def _merge_list(original: list[Any], patch: list[Any], field: Type) -> list[Any]:
    """Both lists merged: by the field's merge key, or as sets where items are plain values. The patch's items come in its order."""
    if not original and not patch:
        return original
    key = field.patch_merge_key
    if _element_type(original, patch) is not dict:
        return _in_order(_deduplicated([*original, *patch]), patch, original, "")
    if not key:
        raise _refused("cannot merge lists without merge key for struct")
    plain = []
    replaced = False
    for item in patch:
        directive = item.get(_PATCH)
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            gone = _key_of(item, key)
            original = [each for each in original if each.get(key) != gone]
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise _refused("merging lists cannot yet be specified in the patch")
        else:
            raise _refused(f"unknown patch type: {directive} in map: {go_value(item)}")
    if replaced:
        original, plain = plain, []
    return _in_order(_merge_items(original, plain, key, field.items), plain, original, key)


def _merge_items(original: list[Any], patch: list[Any], key: str, wanted: Type | None) -> list[Any]:
    merged = list(original)
    for item in patch:
        value = _key_of(item, key)
        place = next((number for number, each in enumerate(merged) if isinstance(each, dict) and each.get(key) == value), None)
        if place is None:
            merged.append(item)
        else:
            merged[place] = _merge_map(merged[place], item, wanted)
    return merged


def _deduplicated(items: list[Any]) -> list[Any]:
    """Plain values without repetitions; the last value takes the place of one that repeats (deduplicateScalars)."""
    result = list(items)
    first = 0
    while first < len(result) - 1:
        second = first + 1
        while second < len(result):
            if result[first] == result[second]:
                last = result.pop()
                if second < len(result):
                    result[second] = last
            else:
                second += 1
        first += 1
    return result


def _merge_in_order(original: Object, patch: Object, name: str, order: list[Any], field: Type | None) -> None:
    """Merges a list for which the patch says in which order its items are to be; takes the list out of the patch."""
    given = _as_list(patch[name]) if name in patch else None
    present = _as_list(original[name]) if name in original else None
    key = field.patch_merge_key if field is not None else ""
    _check_order(given or [], order, key)
    if present is None and given is None:
        return
    if given is None:
        merged = present or []
    elif present is None:
        _, merged = _without_directives(given)
    else:
        merged = _merge_list(present, given, field) if field is not None and _strategy(field) == "merge" else given
    _element_type(present or [], given or [])
    patch.pop(name, None)
    original[name] = _in_order(merged, order, present or [], key)


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """Raises ApiError where the patch's items are not in the order that it asks for."""
    if not order or not patch:
        return
    items = [item for item in patch if not (key and isinstance(item, dict) and item.get(_PATCH) == "delete")]
    here = there = 0
    while here < len(items) and there < len(order):
        if isinstance(items[here], dict) and _PATCH in items[here]:
            here += 1
            continue
        same = _key_of(items[here], key) == _key_of(order[there], key) if key else items[here] == order[there]
        here, there = here + same, there + 1
    if here < len(items):
        raise _refused(f"The order in patch list:\n{go_value(patch)}\n doesn't match {_ORDER.rstrip('/')} list:\n{go_value(order)}\n")


def _in_order(merged: list[Any], order: list[Any], before: list[Any], key: str) -> list[Any]:
    """The merged list: the items of `order` in that order, the others in the order they had `before`.

    An item of the others goes before the next of `order` only where it stood before it already.
    """

    def identity(item: Any) -> Any:
        return _key_of(item, key) if key else item

    wanted, places = [identity(item) for item in order], [item.get(key) if key and isinstance(item, dict) else item for item in before]

    def place(item: Any) -> int:
        return places.index(identity(item)) if identity(item) in places else -1

    named = sorted((item for item in merged if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    others = sorted((item for item in merged if identity(item) not in wanted), key=place)
    result: list[Any] = []
    while named and others:
        stood_before = -1 < place(others[0]) < place(named[0])
        result.append((others if stood_before else named).pop(0))
    return result + others + named
