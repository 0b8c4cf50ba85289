"""Server-side apply: an applied configuration merged into the live object by field ownership.

Rules: https://kubernetes.io/docs/reference/using-api/server-side-apply/, sigs.k8s.io/structured-merge-diff/merge and the managers
around it in k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson

from clusters.embedded import decoding, schema
from clusters.embedded.apiserver.patch import fieldset, managed_fields
from clusters.embedded.apiserver.patch.fieldset import ABSENT, Path
from clusters.embedded.apiserver.patch.managed_fields import Entry
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import by_kind
from clusters.embedded.schema import Type
from kubeobjects import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Who owns the fields of an object that was never tracked.
_BEFORE = "before-first-apply"


@dataclass(frozen=True)
class _Conflict:
    entry: Entry
    paths: frozenset[Path]


def apply(live: Object | None, applied: Object, manager: str, force: bool, subresource: str, time: str) -> Object:
    """The object after `manager` applied `applied`: `live` merged with it, without what it no longer names and nobody else owns.

    `applied` is as the client sent it, nulls and all. Raises ApiError 409 with one cause a field where another manager owns a field
    with another value and `force` is not set, 400 where `applied` carries managedFields or has a value of the wrong type.
    """
    if applied.get("metadata", {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    api_version, kind = applied["apiVersion"], applied["kind"]
    applied = _writable(applied, subresource)
    base = managed_fields.as_go(live, api_version, kind)
    entries = managed_fields.read(live["metadata"].get("managedFields")) if live is not None else []
    if live is not None and not entries:
        entries = managed_fields.after_update(None, live, [], _BEFORE, subresource, time)
    mine = Entry(manager, "Apply", api_version, subresource, time, frozenset())
    result, conflicts, kept = _applied(base, applied, entries, mine)
    if not force:
        _refuse(conflicts, _from_client_side(base, api_version, kind) if manager == "kubectl" else set())
    decoded, _ = decoding.decode(result, api_version, kind, strict=False)
    return managed_fields.write(_plain(decoded, live), kept)


def _writable(applied: Object, subresource: str) -> Object:
    """What this request may write: everything but the status, or nothing of the spec."""
    resource = by_kind().get((applied["apiVersion"], applied["kind"]))
    if subresource == "status":
        return {key: value for key, value in applied.items() if key != "spec"}
    if not subresource and resource is not None and resource.subresource("status") is not None:
        return {key: value for key, value in applied.items() if key != "status"}
    return applied


def _plain(decoded: Object, live: Object | None) -> Object:
    """The object without the empty parts that only the comparison needed."""
    known = live or {}
    return {key: value for key, value in decoded.items() if value not in ({}, None) or key in known or key == "metadata"}


def _applied(base: Object, applied: Object, entries: list[Entry], mine: Entry) -> tuple[Object, list[_Conflict], list[Entry]]:
    """(the new object, what it conflicts with, the entries after it was forced)."""
    wanted = schema.get().find(mine.api_version, applied["kind"])
    before = next((each for each in entries if each.identity == mine.identity), None)
    others = [each for each in entries if each is not before]
    claimed = fieldset.members(applied, wanted)
    result = merged(base, applied, wanted)
    if before is not None:
        owned = set(claimed).union(*(each.paths for each in others))
        result = _pruned(result, set(before.paths), owned, wanted)
    found = fieldset.compare(base, result, wanted)
    conflicts = [_Conflict(each, each.paths & found.changed) for each in others if each.paths & found.changed]
    lost = found.changed | found.removed
    kept = [replace(each, paths=each.paths - lost) if each.paths & lost else each for each in others]
    own = managed_fields.stripped(claimed)
    # A configuration that changes nothing does not touch the time of its entry.
    stamp = mine.time if result != base else before.time if before is not None else ""
    if own:
        kept.append(replace(mine, paths=own, time=stamp))
    return result, conflicts, [each for each in kept if each.paths]


def merged(live: Any, applied: Any, wanted: Type | None) -> Any:
    """`applied` laid over `live`, both of the type `wanted`: maps by key, associative lists by their keys, sets as unions.

    Everything else is replaced.
    """
    given = live if applied is ABSENT else applied
    form = fieldset.shape(given, wanted)
    if applied is ABSENT or live is ABSENT:
        return given
    if form == "leaf" or not (live or applied):
        return applied
    if form == "map":
        names = [*(live or {}), *(name for name in applied or {} if name not in (live or {}))]
        return {
            name: merged((live or {}).get(name, ABSENT), (applied or {}).get(name, ABSENT), fieldset.below(f"f:{name}", wanted))
            for name in names
        }
    assert wanted is not None
    return _merged_items(live or [], applied or [], wanted)


def _merged_items(live: list[Any], applied: list[Any], wanted: Type) -> list[Any]:
    """The items of both lists in an order that keeps each list's own: what only the live list has stays before what follows it there."""
    mine = {fieldset.element(item, wanted): item for item in applied}
    present: dict[str, Any] = {}
    elements = [fieldset.element(item, wanted) for item in live]
    for part, item in zip(elements, live, strict=True):
        # Items that repeat a key are not merged with the one that is applied.
        present[part] = ABSENT if part in present else item
    shared = [part for part in mine if part in present]
    coming = list(mine)
    result: list[Any] = []
    done: set[str] = set()
    here = 0

    def take() -> None:
        part = coming.pop(0)
        done.add(part)
        result.append(merged(present.get(part, ABSENT), mine[part], wanted.items))
        if shared and shared[0] == part:
            shared.pop(0)

    while here < len(elements) or coming:
        if here < len(elements) and coming:
            part = elements[here]
            if part == coming[0]:
                take()
                here += 1
                continue
            if part in mine and shared and shared[0] != part:
                here += 1
                continue
        if here < len(elements):
            part = elements[here]
            if part not in mine:
                result.append(live[here])
                here += 1
                continue
            if part in done:
                here += 1
        if coming:
            take()
    return result


def _pruned(merged: Object, before: set[Path], owned: set[Path], wanted: Type | None) -> Object:
    """`merged` without what its manager applied last time and now nobody owns."""
    last = fieldset.with_structs(before, wanted)
    everything = fieldset.with_structs(fieldset.members(merged, wanted), wanted)
    rest = fieldset.without(merged, fieldset.tree(last), wanted)
    left = fieldset.with_structs(fieldset.members(rest, wanted), wanted)
    # What others own comes back, and then what nobody owned: defaults, and fields from before there was a manager.
    rest = fieldset.without(merged, fieldset.tree(everything - (left | fieldset.with_structs(owned, wanted))), wanted)
    left = fieldset.with_structs(fieldset.members(rest, wanted), wanted)
    pruned: Object = fieldset.without(merged, fieldset.tree((everything - left) & last), wanted)
    return pruned


def _from_client_side(base: Object, api_version: str, kind: str) -> set[Path]:
    """The fields that client-side apply set and that are as it left them: kubectl may take them over without a conflict."""
    text = (base["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = orjson.loads(text or "")
    except ValueError:
        return set()
    if not isinstance(last, dict) or last.get("apiVersion") != api_version:
        return set()
    wanted = schema.get().find(api_version, kind)
    found = fieldset.compare(last, base, wanted)
    return fieldset.members(last, wanted) - found.changed - found.removed


def _refuse(conflicts: list[_Conflict], allowed: set[Path]) -> None:
    """Raises ApiError 409 with all conflicts outside `allowed`."""
    refused = [
        (_named(each.entry), fieldset.spoken(path))
        for each in sorted(conflicts, key=lambda each: each.entry.identity)
        for path in fieldset.in_order(each.paths - allowed)
    ]
    if not refused:
        return
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": path} for name, path in refused]
    if len(refused) == 1:
        name, path = refused[0]
        message = f"Apply failed with 1 conflict: conflict with {name}: {path}"
    else:
        by_manager: dict[str, list[str]] = {}
        for name, path in refused:
            by_manager.setdefault(name, []).append(f"- {path}")
        parts = ["\n".join([f"conflicts with {name}:", *paths]) for name, paths in by_manager.items()]
        message = f"Apply failed with {len(refused)} conflicts: " + "\n".join(parts)
    raise ApiError(409, "Conflict", message, {"causes": causes})


def _named(entry: Entry) -> str:
    text = f'"{entry.manager}"'
    if entry.subresource:
        text += f' with subresource "{entry.subresource}"'
    return f"{text} using {entry.api_version}" if entry.operation == "Update" else text
