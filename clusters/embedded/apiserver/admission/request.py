"""What admission is asked to judge, and what it may read to do so (k8s.io/apiserver/pkg/admission Attributes)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from clusters.embedded.errors import ApiError, forbidden
from clusters.embedded.resources import Resource
from kubeobjects import Object

# Characters that the server adds to `generateName`.
_GENERATED = 5


class Reader(Protocol):
    """The stored objects, answered from memory without awaiting. They are shared: never changed."""

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None. `resource` is a name as in `resources.py`: `pods`, `storageclasses.storage.k8s.io`."""
        ...

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """All objects of the resource, in one namespace or (None) in all."""
        ...


@dataclass
class AdmissionRequest:
    """One write on its way to the store.

    `operation` is CREATE, UPDATE or DELETE. `object` is None for DELETE and is changed in place by mutating plugins; `old` is what is
    stored (UPDATE, DELETE).
    `updates` is filled by admission: (resource name, object) pairs that the server stores together with a request that succeeds
    (a ResourceQuota with its new `status.used`). `mutating` is true while mutating plugins run.
    """

    operation: str
    resource: Resource
    reader: Reader
    subresource: str = ""
    namespace: str | None = None
    name: str = ""
    object: Object | None = None
    old: Object | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    dry_run: bool = False
    updates: list[tuple[str, Object]] = field(default_factory=list)
    mutating: bool = False

    @property
    def metadata(self) -> Object:
        return (self.object or self.old or {}).get("metadata") or {}

    @property
    def display_name(self) -> str:
        """The name that messages show: the object's own, or the prefix where it is not yet final.

        A real server generates names after mutating admission, so that its refusals show the prefix alone.
        """
        name, prefix = self.metadata.get("name") or "", self.metadata.get("generateName") or ""
        generated = prefix and name.startswith(prefix) and len(name) == len(prefix) + _GENERATED
        return prefix if self.mutating and generated else name or prefix or self.name

    def forbid(self, why: str) -> ApiError:
        """403 with `why` after `pods "x" is forbidden: `."""
        return forbidden(self.resource.plural, self.resource.group, self.display_name, why)
