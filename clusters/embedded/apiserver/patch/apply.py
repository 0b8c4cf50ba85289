"""Server-side apply: an applied configuration merged into the live object by field ownership.

Rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/ (sigs.k8s.io/structured-merge-diff/merge).
"""

from __future__ import annotations

from typing import Any

from clusters.embedded import meta, schema
from clusters.embedded.apiserver.patch import fieldset, managed_fields
from clusters.embedded.apiserver.patch.fieldset import INSIDE, Path
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.schema import Type

Object = dict[str, Any]


def apply(live: Object | None, applied: Object, manager: str, force: bool, subresource: str, time: str) -> Object:
    """The object after `manager` applied `applied`: `live` merged with it, what it no longer names removed where nobody else owns it.

    Raises ApiError 409 with one cause a field where another manager owns a field with another value and `force` is not set,
    400 where `applied` carries managedFields.
    """
    if applied.get("metadata", {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    wanted = schema.get().find(applied["apiVersion"], applied["kind"])
    claimed = fieldset.applied_paths(managed_fields.ownable(applied), wanted)
    if live is None:
        created = meta.copy(applied)
        created.setdefault("metadata", {})["managedFields"] = [
            managed_fields.entry(manager, "Apply", applied["apiVersion"], subresource, set(claimed), time)
        ]
        return created
    entries = live["metadata"].get("managedFields") or []
    current = fieldset.paths(managed_fields.ownable(live), wanted)
    own_before: set[Path] = set()
    others: list[tuple[Object, set[Path]]] = []
    own_entry: Object | None = None
    for each in entries:
        members = fieldset.from_json(each.get("fieldsV1") or {})
        if (each.get("manager"), each.get("operation"), each.get("subresource", "")) == (manager, "Apply", subresource):
            own_before, own_entry = members, each
        else:
            others.append((each, members))
    merged = _merge(meta.copy(live), applied, wanted)
    after = fieldset.paths(managed_fields.ownable(merged), wanted)
    changed = {path for path, value in after.items() if value is not INSIDE and (path not in current or current[path] != value)}
    if not force:
        _refuse_conflicts([(each, sorted(members & changed)) for each, members in others])
    owned_elsewhere = {path for _, members in others for path in members}
    for path in sorted(own_before - set(claimed), key=len, reverse=True):
        if path not in owned_elsewhere and not any(other[: len(path)] == path for other in set(claimed) | owned_elsewhere):
            merged = _without(merged, path, wanted)
    result_entries = []
    for each, members in others:
        left = members - changed if force else members
        if left == members:
            result_entries.append(each)
        elif left:
            result_entries.append({**each, "fieldsV1": fieldset.to_json(left)})
    unchanged = own_entry is not None and own_before == set(claimed) and _same(merged, live)
    stamp = own_entry["time"] if own_entry is not None and unchanged else time
    if claimed:
        result_entries.append(managed_fields.entry(manager, "Apply", applied["apiVersion"], subresource, set(claimed), stamp))
    merged["metadata"]["managedFields"] = sorted(result_entries, key=managed_fields.order)
    return merged


def _same(one: Object, other: Object) -> bool:
    return managed_fields.ownable(one) == managed_fields.ownable(other)


def _merge(live: Any, applied: Any, wanted: Type | None) -> Any:
    """`applied` laid over `live`: maps by key, associative lists by their keys, sets as unions, everything else replaced."""
    if fieldset.is_leaf(applied, wanted) or type(live) is not type(applied):
        if isinstance(applied, dict) and not applied and isinstance(live, dict):
            return live
        return meta.copy({"value": applied})["value"]
    if isinstance(applied, dict):
        result = dict(live)
        for name, value in applied.items():
            if value is None:
                continue
            field = wanted.field(name) if wanted is not None else None
            result[name] = _merge(live[name], value, field) if name in live else meta.copy({"value": value})["value"]
        return result
    assert wanted is not None
    present = {fieldset.element(item, wanted): item for item in live}
    merged_items = []
    for item in applied:
        key = fieldset.element(item, wanted)
        merged_items.append((key, _merge(present[key], item, wanted.items) if key in present else item))
    named = dict(merged_items)
    # The live order holds for what was there; what is new comes after it.
    ordered = [named.pop(key) if key in named else item for key, item in present.items()]
    return ordered + [item for key, item in merged_items if key in named]


def _without(value: Any, path: Path, wanted: Type | None) -> Any:
    """`value` without what `path` names; a list or map that becomes empty on the way goes too."""
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        name = first.removeprefix("f:")
        if name not in value:
            return value
        if not rest:
            return {key: each for key, each in value.items() if key != name}
        below = _without(value[name], rest, wanted.field(name) if wanted is not None else None)
        if below in ({}, []) and value[name] not in ({}, []) and name not in ("metadata", "spec", "status"):
            return {key: each for key, each in value.items() if key != name}
        return {**value, name: below}
    if isinstance(value, list) and wanted is not None:
        kept = []
        for item in value:
            if fieldset.element(item, wanted) != first:
                kept.append(item)
            elif rest:
                kept.append(_without(item, rest, wanted.items))
        return kept
    return value


def _refuse_conflicts(found: list[tuple[Object, list[Path]]]) -> None:
    conflicts = [(_named(each), path) for each, contested in found for path in contested]
    if not conflicts:
        return
    by_manager: dict[str, list[Path]] = {}
    for name, path in conflicts:
        by_manager.setdefault(name, []).append(path)
    count = len(conflicts)
    if count == 1:
        name, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {name}: {fieldset.spoken(path)}"
    else:
        parts = [
            f"conflicts with {name}:\n" + "\n".join(f"- {fieldset.spoken(path)}" for path in contested)
            for name, contested in sorted(by_manager.items())
        ]
        message = f"Apply failed with {count} conflicts: " + "\n".join(parts)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": fieldset.spoken(path)} for name, path in conflicts
    ]
    raise ApiError(409, "Conflict", message, {"causes": causes})


def _named(each: Object) -> str:
    text = f'"{each.get("manager", "")}"'
    if each.get("subresource"):
        text += f' with subresource "{each["subresource"]}"'
    return f"{text} using {each.get('apiVersion')}" if each.get("operation") == "Update" else text
