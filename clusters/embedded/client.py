"""How components reach the API: the verbs of client-go's dynamic client, awaited.

A component is handed a `Client` that carries its identity, and does nothing to the cluster except through it.
Objects that come out (from reads, watches and informers) are shared and must not be changed: take `meta.copy(object)` first.
`resource` is a resource's name as `resources.py` has it: `pods`, `deployments.apps`, `endpointslices.discovery.k8s.io`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubeobjects import Object


@dataclass(frozen=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


@dataclass(frozen=True)
class ObjectList:
    items: list[Object]
    resource_version: str


class Client(Protocol):
    """All methods raise `errors.ApiError` with the Status that kubectl would have seen."""

    async def get(self, resource: str, name: str, namespace: str | None = None) -> Object: ...

    async def list(
        self, resource: str, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList: ...

    async def get_raw(self, path: str, query: Mapping[str, str] | None = None, *, account: str = "") -> Object:
        """What an aggregated API answers at `path` (`/apis/custom.metrics.k8s.io/v1beta2/…`), or its APIGroup (`/apis/custom.metrics.k8s.io`).

        `account` (`kube-system/horizontal-pod-autoscaler`) asks as that ServiceAccount.
        """
        ...

    def watch(self, resource: str, namespace: str | None = None, *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Events after `resource_version`, without end. Raises ApiError 410 (Expired) when that is too old: list again."""
        ...

    async def create(self, resource: str, body: Object, namespace: str | None = None, *, subresource: str = "", name: str = "") -> Object:
        """`name` is needed with a subresource only (`binding`, `eviction`, `token`)."""
        ...

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        """Replaces the object named in `body.metadata`; 409 Conflict where body's resourceVersion is not the stored one."""
        ...

    async def patch(
        self, resource: str, name: str, body: Any, namespace: str | None = None, *, subresource: str = "", type: str = "merge"
    ) -> Object:
        """`type` is merge, strategic or json."""
        ...

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
    ) -> Object: ...
