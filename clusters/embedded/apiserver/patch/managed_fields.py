"""Who owns which field: `metadata.managedFields` after a create, update or patch (k8s.io/apimachinery/pkg/util/managedfields)."""

from __future__ import annotations

from typing import Any

from clusters.embedded import schema
from clusters.embedded.apiserver.patch import fieldset
from clusters.embedded.apiserver.patch.fieldset import INSIDE, Path

Object = dict[str, Any]

# Nobody owns an object's identity, nor what the server itself writes down about it (stripMeta).
_UNOWNED_ROOT = ("apiVersion", "kind")
_UNOWNED_META = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)


def ownable(obj: Object) -> Object:
    """The part of an object whose fields have owners."""
    result = {key: value for key, value in obj.items() if key not in _UNOWNED_ROOT}
    if "metadata" in result:
        result["metadata"] = {key: value for key, value in result["metadata"].items() if key not in _UNOWNED_META}
        if not result["metadata"]:
            del result["metadata"]
    return result


def order(entry: Object) -> tuple[bool, str, str]:
    """Apply before Update, then by time, then by name (sortEncodedManagedFields)."""
    return entry["operation"] != "Apply", entry.get("time", ""), entry.get("manager", "")


def entry(manager: str, operation: str, api_version: str, subresource: str, members: set[Path], time: str) -> Object:
    found: Object = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldset.to_json(members),
    }
    if subresource:
        found["subresource"] = subresource
    return found


def _identity(each: Object) -> tuple[str, str, str, str]:
    return each.get("manager", ""), each.get("operation", ""), each.get("apiVersion", ""), each.get("subresource", "")


def update(old: Object | None, new: Object, manager: str, subresource: str, time: str) -> Object:
    """`new` with managedFields in which `manager` owns what differs from `old`; others lose what it changed.

    `time` is RFC 3339. An update that changes nothing leaves them as they were. A client may edit the entries themselves (kubectl does
    so when an object moves from client-side to server-side apply); one that sends an empty list resets them, one that sends none keeps
    the stored ones.
    """
    wanted = schema.get().find(new["apiVersion"], new["kind"])
    before = fieldset.paths(ownable(old), wanted) if old is not None else {}
    after = fieldset.paths(ownable(new), wanted)
    sent = new["metadata"].get("managedFields")
    present = sent if sent is not None else (old or new)["metadata"].get("managedFields") or []
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    removed = {path for path in before if path not in after}
    if old is not None and not changed and not removed:
        return _with(new, sorted(present, key=order))
    mine = (manager, "Update", new["apiVersion"], subresource)
    contested = {path for path in changed if after[path] is not INSIDE} | removed
    kept: list[Object] = []
    own = set(changed)
    stamp = time
    for each in present:
        members = fieldset.from_json(each.get("fieldsV1") or {})
        if _identity(each) == mine:
            own = (members | changed) - removed
            if own == members:
                stamp = each.get("time", time)
            continue
        left = members - contested
        # What lies below something that was taken away or replaced is gone with it.
        left = {path for path in left if not any(path[: len(gone)] == gone for gone in removed)}
        if left == members:
            kept.append(each)
        elif left:
            kept.append({**each, "fieldsV1": fieldset.to_json(left)})
    if own:
        kept.append(entry(manager, "Update", new["apiVersion"], subresource, own, stamp))
    return _with(new, sorted(kept, key=order))


def _with(obj: Object, entries: list[Object]) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}
