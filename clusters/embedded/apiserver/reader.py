"""What is stored, for those who decide about a write: admission and strategies."""

from __future__ import annotations

from typing import Protocol

from clusters.embedded.store import Store
from kubeobjects import Object


class Reader(Protocol):
    """The stored objects, answered from memory without awaiting. They are shared: never changed."""

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None. `resource` is a name as in `resources.py`: `pods`, `storageclasses.storage.k8s.io`."""
        ...

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """All objects of the resource, in one namespace or (None) in all."""
        ...


class StoredObjects:
    """Implements `Reader`."""

    def __init__(self, store: Store):
        self._store = store

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return self._store.get(resource, name, namespace)

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return self._store.list(resource, namespace)
