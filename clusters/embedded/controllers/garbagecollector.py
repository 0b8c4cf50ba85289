"""Garbage collection: what belongs to owners that are gone goes too (pkg/controller/garbagecollector).

In: every object with or without owner references. Out: dependents deleted (background and foreground) or set free (orphan),
and the finalizers that hold an owner until that is done.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import all_resources, by_name
from kubeobjects import meta

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
# Events are many, own nothing and are owned by nobody.
_IGNORED = frozenset({"events", "events.events.k8s.io"})


@dataclass(frozen=True)
class Node:
    """An object in the graph of owners. `blocks` are the uids of owners that wait for it in a foreground deletion."""

    resource: str
    key: str
    owners: frozenset[str]
    blocks: frozenset[str]


def collected() -> list[str]:
    verbs = {"list", "watch", "delete"}
    return [name for name, resource in by_name().items() if verbs <= set(resource.verbs) and name not in _IGNORED]


def owned_by_kind() -> dict[tuple[str, str], str]:
    """(API group, kind) of an owner reference to the resource it lives under."""
    return {(resource.group, resource.kind): resource.name for resource in all_resources() if "get" in resource.verbs}


class GarbageCollector(Controller):
    name = "garbage-collector-controller"
    workers = 4

    def __init__(self, context: Context):
        super().__init__(context)
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._collected: set[str] = set()
        self._kinds = owned_by_kind()

    async def run(self) -> None:
        """The caches of all resources are only started here: nothing else waits for them."""
        informers = [self.informers(resource) for resource in collected()]
        await asyncio.gather(*(informer.synced.wait() for informer in informers))
        self._collect()
        # What a definition adds is collected as well.
        self.informers(_DEFINITIONS).on_change(lambda old, new: self._collect())
        await super().run()

    def _collect(self) -> None:
        """Follows the objects of every resource that is served now."""
        self._kinds = owned_by_kind()
        for resource in collected():
            if resource not in self._collected:
                self._collected.add(resource)
                self.informers(resource).on_change(lambda old, new, resource=resource: self._changed(resource, old, new))  # type: ignore[misc]

    def _changed(self, resource: str, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        metadata = obj["metadata"]
        uid = metadata["uid"]
        known = self._nodes.get(uid)
        references = (metadata.get("ownerReferences") or []) if new is not None else []
        owners = frozenset(each["uid"] for each in references)
        blocks = frozenset(each["uid"] for each in references if each.get("blockOwnerDeletion"))
        for owner in (known.owners if known else frozenset()) - owners:
            self._dependents[owner].discard(uid)
            self._look_at(owner)
        for owner in owners:
            self._dependents[owner].add(uid)
        if new is None:
            self._nodes.pop(uid, None)
            for dependent in self._dependents.pop(uid, set()):
                self._look_at(dependent)
            return
        self._nodes[uid] = Node(resource, meta.key(new), owners, blocks)
        released = known is not None and known.blocks - blocks
        if released:
            for owner in known.blocks - blocks if known else ():
                self._look_at(owner)
        if any(owner not in self._nodes for owner in owners) or self._finalizers(new) & {FOREGROUND, ORPHAN}:
            self._look_at(uid)

    def _look_at(self, uid: str) -> None:
        if uid in self._nodes:
            self.queue.add(uid)

    @staticmethod
    def _finalizers(obj: Object) -> set[str]:
        return set(obj["metadata"].get("finalizers") or []) if meta.is_deleting(obj) else set()

    async def reconcile(self, key: str) -> None:
        """`key` is a uid."""
        node = self._nodes.get(key)
        if node is None:
            return
        namespace, name = meta.split_key(node.key)
        try:
            obj = await self.client.get(node.resource, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return
            raise
        if obj["metadata"]["uid"] != key:
            return
        waiting = self._finalizers(obj)
        if ORPHAN in waiting:
            await self._set_free(key)
            await self._drop_finalizer(node, obj, ORPHAN)
        elif FOREGROUND in waiting:
            await self._end_dependents(key, node, obj)
        elif not meta.is_deleting(obj) and obj["metadata"].get("ownerReferences"):
            await self._judge(key, node, obj)

    async def _set_free(self, uid: str) -> None:
        for dependent in list(self._dependents.get(uid, ())):
            node = self._nodes.get(dependent)
            if node is not None:
                namespace, name = meta.split_key(node.key)
                await self._without_owners(node.resource, name, namespace, {uid})

    async def _end_dependents(self, uid: str, node: Node, obj: Object) -> None:
        """A foreground deletion: the owner goes when no dependent that blocks it is left."""
        blocking = [each for each in self._dependents.get(uid, ()) if each in self._nodes and uid in self._nodes[each].blocks]
        if not blocking:
            await self._drop_finalizer(node, obj, FOREGROUND)
            return
        for dependent in self._dependents[uid]:
            self._look_at(dependent)

    async def _judge(self, uid: str, node: Node, obj: Object) -> None:
        """An object with owners: it stays while one of them is there for good."""
        solid, dangling, waiting = [], set(), set()
        for reference in obj["metadata"]["ownerReferences"]:
            owner = await self._owner(reference, obj["metadata"].get("namespace"))
            if owner is None:
                dangling.add(reference["uid"])
            elif meta.is_deleting(owner) and FOREGROUND in (owner["metadata"].get("finalizers") or []):
                waiting.add(reference["uid"])
            else:
                solid.append(reference["uid"])
        namespace, name = meta.split_key(node.key)
        if solid:
            if dangling | waiting:
                await self._without_owners(node.resource, name, namespace, dangling | waiting)
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers or (
            waiting and any(uid in self._nodes[each].blocks for each in self._dependents.get(uid, ()) if each in self._nodes)
        ):
            policy = "Foreground"
        else:
            policy = "Background"
        try:
            await self.client.delete(node.resource, name, namespace, propagation_policy=policy, uid=uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _owner(self, reference: Object, namespace: str | None) -> Object | None:
        """The owner itself, or None where it is gone or another object has its name."""
        group = reference["apiVersion"].rpartition("/")[0]
        resource = self._kinds.get((group, reference["kind"]))
        if resource is None:
            # A kind that is not served here cannot be known to be gone.
            return {"metadata": {}}
        namespaced = by_name()[resource].namespaced
        try:
            owner = await self.client.get(resource, reference["name"], namespace if namespaced else None)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return owner if owner["metadata"]["uid"] == reference["uid"] else None

    async def _without_owners(self, resource: str, name: str, namespace: str | None, gone: set[str]) -> None:
        try:
            obj = await self.client.get(resource, name, namespace)
            metadata = obj["metadata"]
            left = [each for each in metadata.get("ownerReferences") or [] if each["uid"] not in gone]
            body = {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "ownerReferences": left or None}}
            await self.client.patch(resource, name, body, namespace)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _drop_finalizer(self, node: Node, obj: Object, finalizer: str) -> None:
        metadata = obj["metadata"]
        left = [each for each in metadata.get("finalizers") or [] if each != finalizer]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": left or None}}
        namespace, name = meta.split_key(node.key)
        try:
            await self.client.patch(node.resource, name, body, namespace)
        except ApiError as error:
            if error.code != 404:
                raise
