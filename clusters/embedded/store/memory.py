"""The objects of the cluster in memory, written through to the database.

Everything happens on the event loop's thread and without awaiting, so that a batch is seen whole or not at all.
Objects that come out are shared by all readers and must not be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from clusters.embedded.store.checkpoints import LIMIT
from clusters.embedded.store.database import Database, Row
from clusters.embedded.store.errors import Conflict
from clusters.embedded.store.history import Change, History, Watch
from kubeobjects import Object

_Objects = list[Object]
_Changes = list[Change]
_Rows = list[Row]

# A deletion shares nearly all of its object with the change before it.
_DELETE_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Put:
    """Stores `object` and sets its `metadata.resourceVersion`; the store owns it from then on.

    `expected` is the stored resourceVersion that it replaces, or None where nothing may be stored yet.
    """

    resource: str
    object: Object
    expected: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes what is stored at resourceVersion `expected`. `object` is its last state, which watchers are shown."""

    resource: str
    object: Object
    expected: str


def _place(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _share(new: Object, old: Object) -> None:
    """Makes `new` hold the parts of `old` that did not change: versions in the history then cost only what differs."""
    for key, value in new.items():
        before = old.get(key)
        if before is None or before is value:
            continue
        if before == value:
            new[key] = before
        elif key == "metadata":
            for inner, part in value.items():
                if part == before.get(inner):
                    value[inner] = before[inner]


class Store:
    """The objects that are stored in `folder`; one that has none begins empty.

    Raises StoreError where another process holds the folder, where what is in it is damaged (unless `recover` asks to go on with what is
    whole, which `recovered` then tells in words), or where the disk refuses. `log_limit` is in bytes; the log may grow to twice as much.
    """

    def __init__(self, folder: Path, *, recover: bool = False, log_limit: int = LIMIT):
        self._objects: dict[str, dict[str, dict[str, Object]]] = {}
        self._histories: dict[str, History] = {}
        self._database = Database(folder, recover=recover, log_limit=log_limit)
        self.recovered = self._database.recovered
        self.revision = self._database.revision
        # What happened before this start is not remembered: a watch from there must list again.
        self._floor = self.revision
        for (resource, namespace, name), obj in self._database.take().items():
            self._objects.setdefault(resource, {}).setdefault(namespace, {})[name] = obj

    # Reads

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return self._objects.get(resource, {}).get(namespace or "", {}).get(name)

    def list(self, resource: str, namespace: str | None = None) -> _Objects:
        """In the order of etcd's keys (namespace/name); of one namespace, or of all where it is None."""
        return list(self._ordered(resource, namespace))

    def _ordered(self, resource: str, namespace: str | None) -> Iterator[Object]:
        spaces = self._objects.get(resource, {})
        chosen: Iterable[str] = sorted(spaces, key="{}/".format) if namespace is None else [namespace]
        for space in chosen:
            objects = spaces.get(space, {})
            for name in sorted(objects):
                yield objects[name]

    def watch(self, resource: str, after: int) -> Watch:
        """Raises Expired where `after` is older than what is remembered."""
        return Watch(self._history(resource), after)

    def _history(self, resource: str) -> History:
        if resource not in self._histories:
            self._histories[resource] = History(self._floor)
        return self._histories[resource]

    # Writes

    def write(self, operations: Sequence[Put | Delete]) -> None:
        """Makes all changes, or none. Raises Conflict where a precondition does not hold, StoreError where the disk refuses."""
        stored = [self._check(operation) for operation in operations]
        revision = self.revision
        changes: _Changes = []
        rows: _Rows = []
        for operation, old in zip(operations, stored, strict=True):
            revision += 1
            obj = operation.object
            obj["metadata"]["resourceVersion"] = str(revision)
            where = (operation.resource, *_place(obj))
            if isinstance(operation, Delete):
                rows.append(Row(where, None))
                changes.append(Change("DELETED", revision, obj, old, _DELETE_BYTES))
                continue
            value = orjson.dumps(obj)
            rows.append(Row(where, value))
            if old is not None:
                _share(obj, old)
            changes.append(Change("ADDED" if old is None else "MODIFIED", revision, obj, old, len(value)))
        self._database.commit(rows, revision)
        self.revision = revision
        for operation, change in zip(operations, changes, strict=True):
            self._remember(operation, change)

    def _check(self, operation: Put | Delete) -> Object | None:
        namespace, name = _place(operation.object)
        old = self.get(operation.resource, name, namespace)
        if (old["metadata"]["resourceVersion"] if old is not None else None) != operation.expected:
            raise Conflict(old)
        return old

    def _remember(self, operation: Put | Delete, change: Change) -> None:
        namespace, name = _place(change.object)
        objects = self._objects.setdefault(operation.resource, {}).setdefault(namespace, {})
        if change.type == "DELETED":
            del objects[name]
            if not objects:
                del self._objects[operation.resource][namespace]
        else:
            objects[name] = change.object
        self._history(operation.resource).append(change)

    def close(self) -> None:
        self._database.close()
