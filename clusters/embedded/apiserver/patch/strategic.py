"""Strategic merge patch: maps merge by key, lists by the merge key that the schema gives them.

Rules: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ and
k8s.io/apimachinery/pkg/util/strategicpatch. Directives: `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`, `$retainKeys`.
"""

from __future__ import annotations

from typing import Any

from clusters.embedded import meta, schema
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.schema import Type

Object = dict[str, Any]

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def merge(original: Object, patch: Object, api_version: str, kind: str) -> Object:
    """A new object: `patch` merged over `original`. Raises ApiError 400 for a directive that is none, 422/415 where it cannot apply.

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


def _merge_map(original: Object, patch: Object, wanted: Type | None) -> Object:
    directive = patch.pop(_PATCH, None)
    if directive == "replace":
        return _without_directives(patch)
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type: {directive}")
    retained = patch.pop(_RETAIN, None)
    orders = {key.removeprefix(_ORDER): patch.pop(key) for key in [key for key in patch if key.startswith(_ORDER)]}
    removals = {key.removeprefix(_DELETE_FROM): patch.pop(key) for key in [key for key in patch if key.startswith(_DELETE_FROM)]}
    result = dict(original)
    for name, values in removals.items():
        if isinstance(result.get(name), list):
            result[name] = [each for each in result[name] if each not in values]
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for name, value in patch.items():
        field = wanted.field(name) if wanted is not None else None
        if value is None:
            result.pop(name, None)
            continue
        present = result.get(name)
        if isinstance(value, dict):
            if isinstance(present, dict) and "replace" not in (field.patch_strategies if field else []):
                result[name] = _merge_map(present, value, field)
            elif value.get(_PATCH) == "delete":
                result.pop(name, None)
            else:
                result[name] = _merge_map({}, value, field)
        elif isinstance(value, list) and field is not None and "merge" in field.patch_strategies:
            result[name] = _merge_list(present if isinstance(present, list) else [], value, field, orders.pop(name, None))
        else:
            result[name] = _without_directives(value)
    for name, order in orders.items():
        # The patch changes nothing in this list but the order of its items.
        field = wanted.field(name) if wanted is not None else None
        if field is not None and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], [], order, field.patch_merge_key)
    return result


def _without_directives(value: Any) -> Any:
    """A value that goes in whole: what is new has nothing to delete from."""
    if isinstance(value, dict):
        return {
            key: _without_directives(each)
            for key, each in value.items()
            if each is not None and key != _RETAIN and not key.startswith((_PATCH, _ORDER, _DELETE_FROM))
        }
    if isinstance(value, list):
        return [_without_directives(each) for each in value if not (isinstance(each, dict) and each.get(_PATCH) == "delete")]
    return value


def _merge_list(original: list[Any], patch: list[Any], field: Type, order: list[Any] | None) -> list[Any]:
    key = field.patch_merge_key
    if not key:
        merged = list(original)
        for each in patch:
            if each not in merged:
                merged.append(each)
        return _ordered(merged, [each for each in patch if each not in original], patch if order is None else order, "")
    if any(isinstance(each, dict) and each.get(_PATCH) == "replace" for each in patch):
        return [_without_directives(each) for each in patch if each.get(_PATCH) != "replace" or len(each) > 1]
    merged = list(original)
    added = []
    for each in patch:
        if not isinstance(each, dict):
            raise bad_request("invalid patch format of a list of maps")
        if each.get(_PATCH) == "delete":
            if key not in each:
                raise bad_request(f"delete patch type with no merge key defined: {key}")
            merged = [item for item in merged if not (isinstance(item, dict) and item.get(key) == each[key])]
            continue
        if key not in each:
            raise bad_request(f"map: {_go_map(each)} does not contain declared merge key: {key}")
        place = next((number for number, item in enumerate(merged) if isinstance(item, dict) and item.get(key) == each[key]), None)
        if place is None:
            new = _merge_map({}, each, field.items)
            added.append(new)
            merged.append(new)
        else:
            merged[place] = _merge_map(merged[place], each, field.items)
    if order is None:
        order = [each for each in patch if each.get(_PATCH) != "delete"]
    return _ordered(merged, added, order, key)


def _ordered(merged: list[Any], added: list[Any], order: list[Any], key: str) -> list[Any]:
    """The merged list in the order that the patch asks for.

    The items that the patch names (by `$setElementOrder`, or by being in it) come in its order; the server's own keep their place
    among them.
    """

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    named = sorted((item for item in merged if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    others = [(number, item) for number, item in enumerate(merged) if identity(item) not in wanted]
    place = {id(item): number for number, item in enumerate(merged)}
    result: list[Any] = []
    while named or others:
        if not others or (named and place[id(named[0])] < others[0][0]) or (named and any(named[0] is new for new in added)):
            result.append(named.pop(0))
        else:
            result.append(others.pop(0)[1])
    return result


def _go_map(value: Object) -> str:
    return "map[" + " ".join(f"{key}:{value[key]}" for key in sorted(value)) + "]"
