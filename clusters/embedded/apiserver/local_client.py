"""The API for components of the same process: the server's pipeline without HTTP, TLS and JSON.

Implements `client.Client`. What comes out of reads and watches are the stored objects themselves, shared and not to be changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from clusters.embedded.apiserver import aggregated, conversion, discovery, patching, selection, subresources
from clusters.embedded.apiserver.audit import LocalRequest
from clusters.embedded.apiserver.deletion import DeleteOptions
from clusters.embedded.apiserver.registry import Caller
from clusters.embedded.apiserver.request import User
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.watch import EventStream
from clusters.embedded.client import ObjectList, WatchEvent
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import Resource, by_name
from kubeobjects import Object, meta

METRICS_GROUP = ".metrics.k8s.io"

_PATCH_TYPES = {
    "merge": patching.MERGE,
    "strategic": patching.STRATEGIC,
    "json": patching.JSON,
}


def _resource(name: str) -> Resource:
    try:
        return by_name()[name]
    except KeyError:
        raise ApiError(404, "NotFound", f"the server could not find the requested resource ({name})") from None


class LocalClient:
    """A component's client: `user` is its identity (`system:kube-scheduler`), `manager` its name in managedFields.

    Components are the control plane itself: they are not asked for permission, but what they write passes admission, validation,
    managed fields and the audit log as any other write does.
    """

    def __init__(self, services: Services, user: str, groups: Sequence[str] = (), *, manager: str | None = None):
        self._services = services
        self._registry = services.registry
        self._audit = services.audit
        self._handlers = services.subresources
        self._user = User(user, (*groups, "system:authenticated"))
        self._manager = manager or _manager_of(user)

    def _caller(self) -> Caller:
        return Caller(self._user, self._manager)

    def _record(self, verb: str, resource: Resource, namespace: str | None, name: str, subresource: str = "") -> LocalRequest:
        return self._audit.local(self._user, self._manager, verb, resource, namespace, name, subresource)

    # Reads: from memory, never waiting.

    async def get(self, resource: str, name: str, namespace: str | None = None) -> Object:
        return self._registry.get(_resource(resource), name, namespace)

    async def list(self, resource: str, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "") -> ObjectList:
        if resource.endswith(METRICS_GROUP):
            # Measured at each question, not stored; loaded at the first, as over HTTP.
            from clusters.embedded.apiserver import metrics

            return ObjectList(metrics.listed(self._services, resource.removesuffix(METRICS_GROUP), namespace, label_selector), "")
        which = _resource(resource)
        chosen = selection.parse(which, label_selector, field_selector)
        found = self._registry.store.list(conversion.stored_as(which), namespace)
        served = [conversion.to_served(which, each) for each in found]
        items = served if chosen.everything else [each for each in served if chosen.matches(each)]
        return ObjectList(items, str(self._registry.store.revision))

    async def get_raw(self, path: str, query: Mapping[str, str] | None = None, *, account: str = "") -> Object:
        found = aggregated.find(path)
        if found is not None:
            namespace, _, name = account.partition("/")
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = User(f"system:serviceaccount:{namespace}:{name}", groups) if account else self._user
            return await self._services.aggregator.get(found, path, query or {}, user)
        group = discovery.group(path.removeprefix("/apis/"))
        if group is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return group

    async def watch(self, resource: str, namespace: str | None = None, *, resource_version: str) -> AsyncIterator[WatchEvent]:
        which = _resource(resource)
        after = int(resource_version or 0)
        stream = EventStream(self._registry.store, which, namespace, selection.parse(which), after, initial=after == 0)
        async for type_, obj in stream.forever():
            yield WatchEvent(type_, obj)

    # Writes: each lets the loop turn once afterwards, so that a component that writes in a row does not keep the others waiting.

    async def create(self, resource: str, body: Object, namespace: str | None = None, *, subresource: str = "", name: str = "") -> Object:
        which = _resource(resource)
        space = namespace or (body.get("metadata") or {}).get("namespace")
        shown = name or (body.get("metadata") or {}).get("name") or ""
        with self._record("create", which, space, shown, subresource):
            copied = meta.copy(body)
            if subresource:
                created = await self._handlers.create(self._caller(), which, space, name, subresource, copied)
            else:
                copied.setdefault("apiVersion", which.api_version)
                copied.setdefault("kind", which.kind)
                created = await self._registry.create(self._caller(), which, space, copied)
        await asyncio.sleep(0)
        return created

    async def update(self, resource: str, body: Object, *, subresource: str = "") -> Object:
        which, metadata = _resource(resource), body["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        with self._record("update", which, namespace, name, subresource):
            copied = meta.copy(body)
            updated = await self._update(which, namespace, name, subresource, lambda old: meta.copy(copied))
        await asyncio.sleep(0)
        return updated

    async def patch(
        self, resource: str, name: str, body: Any, namespace: str | None = None, *, subresource: str = "", type: str = "merge"
    ) -> Object:
        which = _resource(resource)
        with self._record("patch", which, namespace, name, subresource):
            transform = patching.transform(_PATCH_TYPES[type], meta.copy(body), which, subresource)
            patched = await self._update(which, namespace, name, subresource, transform, patched=True)
        await asyncio.sleep(0)
        return patched

    async def _update(
        self,
        which: Resource,
        namespace: str | None,
        name: str,
        subresource: str,
        transform: subresources.Transform,
        *,
        patched: bool = False,
    ) -> Object:
        if subresource in subresources.OWN_UPDATE:
            return await self._handlers.update(self._caller(), which, namespace, name, subresource, transform, patched=patched)
        return await self._registry.update(self._caller(), which, namespace, name, transform, subresource=subresource, patched=patched)

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
    ) -> Object:
        which = _resource(resource)
        options = DeleteOptions(grace_period_seconds, propagation_policy, uid)
        with self._record("delete", which, namespace, name):
            outcome = await self._registry.delete(self._caller(), which, namespace, name, options)
        await asyncio.sleep(0)
        return outcome.object


def _manager_of(user: str) -> str:
    """`kube-scheduler` for `system:kube-scheduler`, `kubelet` for `system:node:…`."""
    if user.startswith("system:node:"):
        return "kubelet"
    return user.rpartition(":")[2]
