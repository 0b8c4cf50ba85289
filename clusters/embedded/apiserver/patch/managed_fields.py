"""Who owns which field: `metadata.managedFields` after a create, update or patch (k8s.io/apimachinery/pkg/util/managedfields)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as File

import orjson

from clusters.embedded import schema
from clusters.embedded.apiserver.patch import fieldset
from clusters.embedded.apiserver.patch.fieldset import Path
from kubeobjects import Object

# Nobody owns an object's identity, nor what the server itself writes down about it (stripMetaManager).
_STRIPPED = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
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
    }
)
# More managers than this that update are too many: the oldest become one (capManagersManager).
_MOST_UPDATERS = 10
_OLDEST = "ancient-changes"


@dataclass(frozen=True)
class Entry:
    """One entry of managedFields. `time` is empty where none was written."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    paths: frozenset[Path]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells managers apart. One that applies is the same in every version."""
        version = "" if self.operation == "Apply" else self.api_version
        return self.manager, self.operation, version, self.subresource

    @classmethod
    def read(cls, raw: Object) -> Entry | None:
        """None for an entry that is none: what clients wrote into managedFields themselves."""
        if raw.get("operation") not in ("Apply", "Update") or not raw.get("apiVersion") or raw.get("fieldsType") != "FieldsV1":
            return None
        paths = frozenset(fieldset.from_json(raw.get("fieldsV1") or {}))
        return cls(raw.get("manager", ""), raw["operation"], raw["apiVersion"], raw.get("subresource", ""), raw.get("time", ""), paths)

    def written(self) -> Object:
        found: Object = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            found["time"] = self.time
        found |= {"fieldsType": "FieldsV1", "fieldsV1": fieldset.to_json(self.paths)}
        if self.subresource:
            found["subresource"] = self.subresource
        return found


def read(entries: list[Object] | None) -> list[Entry]:
    """The entries of an object; none where one of them makes no sense."""
    found = [Entry.read(each) for each in entries or []]
    return [each for each in found if each is not None] if None not in found else []


def write(obj: Object, entries: list[Entry]) -> Object:
    """`obj` with these entries, in the order in which the API server lists them (sortEncodedManagedFields)."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if entries:
        ordered = sorted(entries, key=lambda each: (each.operation, each.time, each.manager, each.api_version, each.subresource))
        metadata["managedFields"] = [each.written() for each in ordered]
    return {**obj, "metadata": metadata}


def stripped(paths: set[Path]) -> frozenset[Path]:
    """The paths that can have an owner."""
    return frozenset(paths - _STRIPPED)


@cache
def _zeros() -> dict[str, Object]:
    loaded: dict[str, Object] = orjson.loads(File(__file__).with_name("zero_objects.json").read_bytes())
    return loaded


def as_go(obj: Object | None, api_version: str, kind: str) -> Object:
    """An object (None: one of which nothing is set yet) with what Go never leaves out, so that setting it adds no field."""
    zero = _zeros().get(f"{api_version}/{kind}", {"spec": {}, "status": {}})
    whole: Object = _filled(obj or {}, zero)
    whole["metadata"] = {key: value for key, value in (whole.get("metadata") or {}).items() if key != "managedFields"}
    return whole


def _filled(value: Object, zero: Object) -> Object:
    result = dict(value)
    for name, each in zero.items():
        present = value.get(name)
        if name not in value:
            result[name] = each
        elif isinstance(each, dict) and isinstance(present, dict):
            result[name] = _filled(present, each)
    return result


def update(old: Object | None, new: Object, manager: str, subresource: str, time: str) -> Object:
    """`new` with managedFields in which `manager` owns what differs from `old`; others lose what it changed.

    `time` is RFC 3339. An update that changes nothing leaves the entries as they were, and an object without entries is not
    tracked. A client may edit the entries themselves (kubectl does so when an object moves from client-side to server-side apply):
    one that sends an empty list resets them, one that sends none keeps the stored ones.
    """
    entries = _present(old, new, subresource)
    if old is not None and not entries:
        return write(new, [])
    return write(new, _capped(after_update(old, new, entries, manager, subresource, time)))


def _present(old: Object | None, new: Object, subresource: str) -> list[Entry]:
    sent = new["metadata"].get("managedFields")
    stored = read(old["metadata"].get("managedFields")) if old is not None else []
    if subresource or sent is None:
        return stored
    if sent in ([], [{}]):
        return []
    return read(sent) or stored


def after_update(old: Object | None, new: Object, entries: list[Entry], manager: str, subresource: str, time: str) -> list[Entry]:
    """The entries after `manager` made `new` of `old`."""
    api_version, kind = new["apiVersion"], new["kind"]
    wanted = schema.get().find(api_version, kind)
    found = fieldset.compare(as_go(old, api_version, kind), as_go(new, api_version, kind), wanted)
    lost = found.changed | found.removed
    kept = [replace(each, paths=each.paths - lost) if lost & each.paths else each for each in entries]
    taken = stripped(found.changed)
    if taken:
        mine = Entry(manager, "Update", api_version, subresource, time, taken)
        before = next((each for each in kept if each.identity == mine.identity), None)
        if before is not None:
            kept.remove(before)
            mine = replace(mine, paths=taken | before.paths)
        kept.append(mine)
    return [each for each in kept if each.paths]


def _capped(entries: list[Entry]) -> list[Entry]:
    updaters = sorted((each for each in entries if each.operation == "Update"), key=lambda each: (each.time, each.identity))
    kept = list(entries)
    surplus = len(updaters) - _MOST_UPDATERS
    merged: dict[str, Entry] = {}
    for each in updaters:
        if surplus <= 0:
            break
        first = merged.get(each.api_version)
        if first is not None:
            kept.remove(first)
            kept.remove(each)
            each = Entry(_OLDEST, "Update", each.api_version, "", each.time, first.paths | each.paths)
            kept.append(each)
            surplus -= 1
        merged[each.api_version] = each
    return kept
