"""The life of CustomResourceDefinitions: names accepted, served, and ended with all their objects (k8s.io/apiextensions-apiserver/pkg/controller).

The store's definitions flow in; their status, and what `resources.py` serves, come out. Nothing of it is loaded before there is one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from clusters.embedded.apiserver.deletion import DeleteOptions
from clusters.embedded.apiserver.registry import Caller, Registry
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource, by_name, custom, serve_custom
from clusters.embedded.store import Expired, Store
from kubeobjects import Object, meta

if TYPE_CHECKING:
    from clusters.embedded.apiserver.customresources.kind import Kind

log = logging.getLogger(__name__)

_RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"
_AGAIN_SECONDS = 1.0


def publish(store: Store) -> None:
    """Serves what the stored definitions define, and nothing else any more."""
    stored = store.list(_RESOURCE)
    if not stored:
        if custom():
            _serve([])
        return
    from clusters.embedded.apiserver.customresources import definitions

    kept: dict[str, list[Resource]] = {}
    for each in custom():
        kind: Kind = each.custom  # type: ignore[assignment]
        kept.setdefault(_identity(kind.definition), []).append(each)
    found: list[Resource] = []
    for definition in stored:
        before = kept.get(_identity(definition))
        found += before if before is not None else definitions.served(definition)
    _serve(sorted(found, key=lambda each: (each.group, definitions.preference(each.version), each.plural)))


def _serve(found: list[Resource]) -> None:
    """Serves these, and ends the watches of what is there no more or has changed; a new status alone is no such change."""
    before = {_shape(each): each.custom for each in custom() if each.custom is not None}
    for each in found:
        old = before.pop(_shape(each), None)
        if old is not None and each.custom is not None:
            each.custom.gone = old.gone
    for kind in before.values():
        kind.gone.set()
    serve_custom(found)


def _shape(resource: Resource) -> tuple[str, int, str]:
    assert resource.custom is not None
    metadata = resource.custom.definition["metadata"]
    return metadata["uid"], metadata.get("generation", 1), resource.version


def _identity(definition: Object) -> str:
    return f"{definition['metadata']['uid']}/{definition['metadata']['resourceVersion']}"


class DefinitionController:
    """`await run()` keeps the definitions of a store in order until it is cancelled."""

    def __init__(self, store: Store, registry: Registry):
        self._store = store
        self._registry = registry
        self._ending: dict[str, asyncio.Task[None]] = {}

    def _caller(self) -> Caller:
        return Caller(User("system:apiserver", ("system:masters", "system:authenticated")), "kube-apiserver")

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._follow()
                except Expired:
                    continue
                except ApiError as error:
                    # A full disk, for example: what is stored stays true, and is looked at again.
                    log.warning("custom resource definitions: %s", error.message)
                    await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for task in self._ending.values():
                task.cancel()

    async def _follow(self) -> None:
        watch = self._store.watch(_RESOURCE, self._store.revision)
        while True:
            await self._settle()
            publish(self._store)
            await watch.next()

    async def _settle(self) -> None:
        """Looks at all definitions: a name that one gives up is free for another of its group."""
        for name in [each["metadata"]["name"] for each in self._store.list(_RESOURCE)]:
            definition = self._store.get(_RESOURCE, name)
            if definition is None:
                continue
            from clusters.embedded.apiserver.customresources import definitions, names

            others = [each for each in self._store.list(_RESOURCE) if each["metadata"]["name"] != name]
            status = names.judged(definition, others)
            if status != definition["status"]:
                await self._write_status(name, status)
                # No request comes between the condition Established and the service that it promises.
                publish(self._store)
            if meta.is_deleting(definition) and definitions.FINALIZER in (definition["metadata"].get("finalizers") or []):
                self._end(definition)

    async def _write_status(self, name: str, status: Object) -> None:
        try:
            await self._registry.update(
                self._caller(), by_name()[_RESOURCE], None, name, lambda old: {**old, "status": status}, subresource="status", patched=True
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    # The end

    def _end(self, definition: Object) -> None:
        uid = definition["metadata"]["uid"]
        running = self._ending.get(uid)
        if running is None or running.done():
            self._ending[uid] = asyncio.create_task(self._finish(definition["metadata"]["name"]), name=f"end of {uid}")

    async def _finish(self, name: str) -> None:
        """Deletes all objects of a definition, waits until they are gone, and lets it go."""
        from clusters.embedded.apiserver.customresources import definitions, names

        while True:
            try:
                definition = self._store.get(_RESOURCE, name)
                if definition is None:
                    return
                going = names.terminating("InstanceDeletionInProgress", "CustomResource deletion is in progress")
                if names.with_condition(definition["status"], going) != definition["status"]:
                    await self._write_status(name, names.with_condition(definition["status"], going))
                    publish(self._store)
                if not definitions.is_true(definition, "Established"):
                    last = names.terminating("NeverEstablished", "resource was never established", is_true=False)
                else:
                    await self._delete_objects(name)
                    last = names.terminating("InstanceDeletionCompleted", "removed all instances", is_true=False)
                definition = self._store.get(_RESOURCE, name)
                if definition is not None:
                    await self._write_status(name, names.with_condition(definition["status"], last))
                    await self._registry.update(self._caller(), by_name()[_RESOURCE], None, name, _released, patched=True)
                return
            except Expired:
                continue
            except ApiError as error:
                if error.code == 404:
                    return
                log.warning("the end of %s: %s", name, error.message)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _delete_objects(self, name: str) -> None:
        watch = self._store.watch(name, self._store.revision)
        resource = by_name().get(name)
        if resource is None:
            return
        for each in self._store.list(name):
            metadata = each["metadata"]
            try:
                await self._registry.delete(self._caller(), resource, metadata.get("namespace"), metadata["name"], DeleteOptions())
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        while self._store.list(name):
            await watch.next()


def _released(definition: Object) -> Object:
    from clusters.embedded.apiserver.customresources import definitions

    metadata = definition["metadata"]
    left = [each for each in metadata.get("finalizers") or [] if each != definitions.FINALIZER]
    return {**definition, "metadata": {**metadata, "finalizers": left}}
