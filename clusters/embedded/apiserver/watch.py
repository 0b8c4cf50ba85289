"""Watches: the store's changes of one resource, seen through a namespace and selectors.

A resourceVersion flows in; events come out as the client is to see them: an object that a change brings into the selection is ADDED,
one that it takes out of it is DELETED (k8s.io/apiserver/pkg/storage/cacher).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from clusters.embedded.apiserver import conversion
from clusters.embedded.apiserver.selection import Selection
from clusters.embedded.errors import ApiError, FieldError, expired, invalid
from clusters.embedded.resources import Resource
from clusters.embedded.store import Change, Expired, Store, Watch
from kubeobjects import Object

Event = tuple[str, Object]


def parse_version(text: str) -> int:
    """A resourceVersion of a query; 0 for an empty one. Raises ApiError 422 for what is none."""
    if not text:
        return 0
    if not text.isdecimal():
        why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise invalid("", "", "", [FieldError("resourceVersion", "FieldValueInvalid", why)])
    return int(text) if len(text) <= 20 else 2**64


def check_reachable(store: Store, asked: int) -> None:
    """Raises ApiError 504 for a resourceVersion that has not been yet: a client that kept it from another cluster must start over."""
    if asked <= store.revision:
        return
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}
    raise ApiError(504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {store.revision}", details)


class EventStream:
    """The events of one watch. Opening it fixes where it starts; nothing is missed between that and the first read.

    `after` 0 starts with everything that is stored (`initial`), as does no resourceVersion at all.
    """

    def __init__(self, store: Store, resource: Resource, namespace: str | None, selection: Selection, after: int, *, initial: bool):
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._selection = selection
        stored_as = conversion.stored_as(resource)
        self.initial: list[Event] = []
        if initial:
            after = store.revision
            for obj in store.list(stored_as, namespace):
                served = conversion.to_served(resource, obj)
                if selection.matches(served):
                    self.initial.append(("ADDED", served))
        check_reachable(store, after)
        try:
            self._watch: Watch = store.watch(stored_as, after)
        except Expired as error:
            raise expired(error.asked, error.oldest) from None

    @property
    def revision(self) -> int:
        """Up to where everything has been read, once `ready` has been drained."""
        return self._store.revision

    def ready(self) -> list[Event]:
        """What has happened since the last call, without waiting."""
        return self._seen(self._changes())

    def _changes(self) -> list[Change]:
        try:
            return self._watch.ready()
        except Expired as error:
            raise expired(error.asked, error.oldest) from None

    async def next(self) -> list[Event]:
        """The next events; the list is empty where what happened is outside the selection."""
        try:
            return self._seen(await self._watch.next())
        except Expired as error:
            raise expired(error.asked, error.oldest) from None

    async def forever(self) -> AsyncIterator[Event]:
        for event in self.initial:
            yield event
        while True:
            for event in await self.next():
                yield event

    def _seen(self, changes: list[Change]) -> list[Event]:
        events = (self._event(change) for change in changes)
        return [event for event in events if event is not None]

    def _event(self, change: Change) -> Event | None:
        if self._namespace is not None and change.object["metadata"].get("namespace") != self._namespace:
            return None
        obj = conversion.to_served(self._resource, change.object)
        if self._selection.everything:
            return change.type, obj
        before = change.previous is not None and self._selection.matches(conversion.to_served(self._resource, change.previous))
        if change.type == "DELETED":
            return ("DELETED", obj) if before else None
        now = self._selection.matches(obj)
        if now:
            return ("MODIFIED" if before else "ADDED"), obj
        if not before or change.previous is None:
            return None
        # The client knows the object as it was; it is told of its end at the version that took it out of the selection.
        last = conversion.to_served(self._resource, change.previous)
        return "DELETED", {**last, "metadata": {**last["metadata"], "resourceVersion": str(change.revision)}}


def bookmark(resource: Resource, revision: int, *, initial_events_end: bool = False) -> Event:
    """An event that carries only a resourceVersion; with `initial_events_end`, the mark that ends a watch-list's initial events."""
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return "BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
