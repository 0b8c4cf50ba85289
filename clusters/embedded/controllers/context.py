"""What every controller is given, and the shape that every controller has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from clusters.embedded.client import Client, Object
from clusters.embedded.events import EventRecorder
from clusters.embedded.informer import Informer, InformerFactory
from clusters.embedded.workqueue import WorkQueue
from kubeobjects import meta


@dataclass(frozen=True)
class Context:
    """`informers` are shared by all controllers of the manager. `root_ca` is the cluster's CA certificate in PEM.

    `token` makes the token of a ServiceAccount that a Secret is to hold.
    """

    client: Client
    informers: InformerFactory
    root_ca: str
    token: Callable[[Object, Object], str]


class Controller:
    """Watches objects, keeps a queue of their keys, and brings the world closer to each of them in `reconcile`.

    A controller's `__init__` registers its handlers; its queue is worked on once all caches have been filled.
    """

    # The component that its events come from.
    name: ClassVar[str]
    workers: ClassVar[int] = 1

    def __init__(self, context: Context):
        self.client = context.client
        self.informers = context.informers
        self.events = EventRecorder(context.client, self.name)
        self.queue = WorkQueue(self.name, self.reconcile, self.workers)

    async def reconcile(self, key: str) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        await self.queue.run()

    def enqueue(self, obj: Object) -> None:
        self.queue.add(meta.key(obj))

    def watch(self, resource: str) -> Informer:
        """The informer of the controller's own resource, with every change in the queue."""
        informer = self.informers(resource)
        informer.on_change(lambda old, new: self.enqueue(new or old or {}))
        return informer

    def watch_owned(self, resource: str, kind: str) -> Informer:
        """The informer of a resource whose objects are controlled by `kind`: a change puts the owner in the queue."""
        informer = self.informers(resource)

        def handler(old: Object | None, new: Object | None) -> None:
            for key in owners(kind, old, new):
                self.queue.add(key)

        informer.on_change(handler)
        return informer

    async def update_status(self, resource: str, obj: Object, status: Object) -> Object:
        """Writes `status` where it differs from the stored one; zero counts in it are left out as Kubernetes does."""
        if (obj.get("status") or {}) == status:
            return obj
        return await self.client.update(resource, {**obj, "status": status}, subresource="status")


def owners(kind: str, *objects: Object | None) -> Iterable[str]:
    """Keys of the controllers of that kind that own any of the objects."""
    found: dict[str, None] = {}
    for obj in objects:
        owner = meta.controller_of(obj) if obj else None
        if obj and owner and owner["kind"] == kind:
            namespace = obj["metadata"].get("namespace")
            found[f"{namespace}/{owner['name']}" if namespace else owner["name"]] = None
    return found


def without_zeros(status: Object, *keep: str) -> Object:
    """The status as Go's `omitempty` writes it: no zero counts, no empty lists, except those named."""
    return {name: value for name, value in status.items() if value not in (0, None, [], {}, "") or name in keep}


def set_condition(conditions: list[Object], new: Object, *, update_time: bool = False) -> list[Object]:
    """`conditions` with `new` in it; its transition time is kept where the status stays the same.

    With `update_time`, conditions also carry lastUpdateTime, and one that says the same as before is left untouched.
    """
    now = meta.now()
    old = next((each for each in conditions if each["type"] == new["type"]), None)
    same = old is not None and old.get("status") == new["status"] and old.get("reason") == new.get("reason")
    if same and old is not None and (old.get("message") == new.get("message") or update_time):
        return conditions
    kept = old["lastTransitionTime"] if old is not None and old.get("status") == new["status"] else now
    written = {**new, "lastTransitionTime": kept} | ({"lastUpdateTime": now} if update_time else {})
    return [*(each for each in conditions if each["type"] != new["type"]), written]


def without_condition(conditions: list[Object], kind: str) -> list[Object]:
    return [each for each in conditions if each["type"] != kind]
