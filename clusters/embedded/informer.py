"""Local caches of API objects, kept true by list and watch (client-go's shared informers).

An `InformerFactory` belongs to one component: it starts one `Informer` a resource, tells handlers what changed,
and knows when every cache has been filled once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from kubeobjects import meta, selectors

log = logging.getLogger(__name__)

# (old, new): old is None for an object that was added, new is None for one that was deleted.
Handler = Callable[[Object | None, Object | None], None]


class Informer:
    """The cache of one resource. Objects in it are shared: copy before changing."""

    def __init__(self, client: Client, resource: str):
        self._client = client
        self.resource = resource
        self._objects: dict[str, Object] = {}
        self._by_namespace: dict[str, dict[str, Object]] = defaultdict(dict)
        self._handlers: list[Handler] = []
        self.synced = asyncio.Event()

    def on_change(self, handler: Handler) -> None:
        """Calls `handler(old, new)` at every change, and at once for what the cache already holds."""
        self._handlers.append(handler)
        for each in list(self._objects.values()):
            handler(None, each)

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        return self._objects.get(f"{namespace}/{name}" if namespace else name)

    def by_key(self, key: str) -> Object | None:
        return self._objects.get(key)

    def list(self, namespace: str | None = None, matching: selectors.Matcher | None = None) -> list[Object]:
        found = self._objects.values() if namespace is None else self._by_namespace.get(namespace, {}).values()
        if matching is None:
            return list(found)
        return [each for each in found if matching(each["metadata"].get("labels") or {})]

    def _store(self, obj: Object | None, key: str, namespace: str | None) -> None:
        old = self._objects.get(key)
        if obj is None:
            if old is None:
                return
            del self._objects[key]
            self._by_namespace[namespace or ""].pop(key, None)
        else:
            if old is not None and old["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
                return
            self._objects[key] = obj
            self._by_namespace[namespace or ""][key] = obj
        for handler in self._handlers:
            try:
                handler(old, obj)
            except Exception:
                log.exception("handler of %s failed on %s", self.resource, key)

    async def run(self) -> None:
        """Lists, then watches, for ever; lists again when the watch is too old or breaks."""
        while True:
            try:
                listed = await self._client.list(self.resource)
                fresh = {meta.key(each): each for each in listed.items}
                for key in [key for key in self._objects if key not in fresh]:
                    self._store(None, key, self._objects[key]["metadata"].get("namespace"))
                for key, each in fresh.items():
                    self._store(each, key, each["metadata"].get("namespace"))
                self.synced.set()
                async for event in self._client.watch(self.resource, resource_version=listed.resource_version):
                    if event.type == "BOOKMARK":
                        continue
                    gone = event.type == "DELETED"
                    self._store(None if gone else event.object, meta.key(event.object), event.object["metadata"].get("namespace"))
            except ApiError as error:
                if error.code != 410:
                    log.warning("watch of %s: %s", self.resource, error.message)
                    await asyncio.sleep(0.5)
            except Exception:
                # A cache that nobody fills any more would stop its whole component.
                log.exception("watch of %s", self.resource)
                await asyncio.sleep(0.5)


class InformerFactory:
    """The informers of one component; `start` inside a TaskGroup, then await `wait_for_sync`."""

    def __init__(self, client: Client):
        self.client = client
        self._informers: dict[str, Informer] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def __call__(self, resource: str) -> Informer:
        """The informer of `resource`, made (and started, where the factory runs) at first use."""
        if resource not in self._informers:
            self._informers[resource] = Informer(self.client, resource)
            if self._tasks is not None:
                self._tasks.create_task(self._informers[resource].run(), name=f"informer {resource}")
        return self._informers[resource]

    def start(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        for informer in self._informers.values():
            tasks.create_task(informer.run(), name=f"informer {informer.resource}")

    async def wait_for_sync(self) -> None:
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))
