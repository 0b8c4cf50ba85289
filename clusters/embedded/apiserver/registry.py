"""The generic registry: create, read, update and delete for every resource (k8s.io/apiserver/pkg/registry/generic/registry).

Decoded objects flow in, with the caller who sent them; each passes defaulting, admission, strategy, validation and managed fields,
and is in the store when the call returns. Objects that come out are the stored ones: they must not be changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from clusters.embedded.apiserver import admission as plugins
from clusters.embedded.apiserver import conversion, defaulting, deletion, lifecycle, object_warnings, strategy, validation
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.authorization import Authorizer
from clusters.embedded.apiserver.object_metadata import check_metadata, check_preconditions, keep_system_fields, own_fields, unchanged
from clusters.embedded.apiserver.reader import StoredObjects
from clusters.embedded.apiserver.request import User
from clusters.embedded.apiserver.strategy.context import Context
from clusters.embedded.errors import (
    ApiError,
    FieldError,
    already_exists,
    bad_request,
    internal,
    invalid,
    modified,
    not_found,
)
from clusters.embedded.network import Network
from clusters.embedded.resources import Resource, by_name
from clusters.embedded.store import Conflict, Delete, Put, Store, StoreError
from kubeobjects import Object, meta

# From the object as it is stored (in the caller's version; a copy) to the object as it should be.
Transform = Callable[[Object], Object]

# names.SimpleNameGenerator: 63 characters with the five random ones.
_GENERATED_PREFIX = 58
_ATTEMPTS = 8
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


@dataclass
class Caller:
    """Who writes and how: options of the query that all verbs share. `warnings` is filled for the reply's Warning headers,
    `annotations` for the audit log; `options` are what the request itself says (metav1.CreateOptions and its like), for webhooks.
    """

    user: User
    manager: str = "unknown"
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    options: Object = field(default_factory=dict)


class Registry:
    """All methods raise ApiError with the Status that the client is to see."""

    def __init__(self, store: Store, authorizer: Authorizer, network: Network | None = None):
        self.store = store
        self._network = network
        self.reader = StoredObjects(store)
        self._authorizer = authorizer

    # Reads

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return conversion.to_served(resource, self.stored(resource, name, namespace))

    def stored(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        obj = self.store.get(conversion.stored_as(resource), name, namespace)
        if obj is None:
            raise not_found(resource.plural, resource.group, name)
        return obj

    # Create

    async def create(self, caller: Caller, resource: Resource, namespace: str | None, obj: Object, *, applied: bool = False) -> Object:
        """Stores `obj`, which becomes the registry's own. `applied` says that it carries its managedFields already."""
        if resource.namespaced and not namespace:
            raise bad_request("an empty namespace may not be set during creation")
        metadata = check_metadata(obj, resource, namespace)
        if metadata.get("resourceVersion") not in (None, "", "0"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        for attempt in range(_ATTEMPTS):
            if generated:
                metadata["name"] = metadata["generateName"][:_GENERATED_PREFIX] + meta.suffix()
            if not generated:
                return await self._create(caller, resource, namespace, obj, applied)
            try:
                return await self._create(caller, resource, namespace, meta.copy(obj), applied)
            except ApiError as error:
                if error.reason != "AlreadyExists" or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _create(self, caller: Caller, resource: Resource, namespace: str | None, obj: Object, applied: bool) -> Object:
        metadata = obj["metadata"]
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
            metadata.pop(name, None)
        defaulting.apply(obj)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = meta.now()
        if not applied:
            metadata.pop("managedFields", None)
            own_fields(resource, None, obj, caller.manager, "", metadata["creationTimestamp"])
        admission = self._admission("CREATE", caller, resource, namespace, obj)
        await lifecycle.admit(admission)
        await plugins.mutate(admission)
        obj = conversion.to_stored(resource, _object_of(admission))
        # An object without a name is prepared as one called "", and refused with what else is wrong with it.
        obj["metadata"].setdefault("name", "")
        context, revision = Context(self.reader, caller.dry_run), self.store.revision
        # Others write while a webhook is asked, and may be given the address that was meant for this one.
        asked = meta.copy(obj) if resource.name == "services" else obj
        strategy.prepare_for_create(obj, context)
        _refuse_invalid(resource, obj, None, "")
        caller.warnings.extend(object_warnings.of(obj))
        admission.object = obj
        await plugins.validate(admission)
        if self.store.revision != revision and strategy.is_overtaken(obj, context):
            return await self._create(caller, resource, namespace, asked, applied=True)
        name = obj["metadata"]["name"]
        stored_as = conversion.stored_as(resource)
        if self.store.get(stored_as, name, namespace) is not None:
            raise already_exists(resource.plural, resource.group, name)
        if caller.dry_run:
            return conversion.to_served(resource, obj)
        try:
            self._write([Put(stored_as, obj, None)], admission)
        except Conflict:
            # Nothing was awaited since the check: what changed is something that admission read, such as a quota.
            return await self._create(caller, resource, namespace, obj, applied=True)
        return conversion.to_served(resource, obj)

    # Update

    async def update(
        self,
        caller: Caller,
        resource: Resource,
        namespace: str | None,
        name: str,
        transform: Transform,
        *,
        subresource: str = "",
        patched: bool = False,
        applied: bool = False,
    ) -> Object:
        """Replaces the object by what `transform` makes of it, again where somebody else wrote in between.

        Where the result names a resourceVersion, that must be the stored one (409). `applied` says that `transform` sets managedFields.
        """
        conditional = False
        for _ in range(_ATTEMPTS):
            old = self.stored(resource, name, namespace)
            served = conversion.to_served(resource, old)
            new = transform(meta.copy(served))
            metadata = check_metadata(new, resource, namespace)
            if metadata.setdefault("name", name) != name:
                why = f'Invalid value: "{metadata["name"]}": field is immutable'
                raise invalid(resource.kind, resource.group, name, [FieldError("metadata.name", "FieldValueInvalid", why)])
            conditional = check_preconditions(resource, new, old, patched)
            defaulting.apply(new)
            keep_system_fields(new, old)
            # Bindings are the API server's own doing and are tracked for nobody.
            if not applied and subresource != "binding":
                new["metadata"].setdefault("managedFields", served["metadata"].get("managedFields") or [])
                own_fields(resource, served, new, caller.manager, subresource, meta.now())
            admission = self._admission("UPDATE", caller, resource, namespace, new, old, subresource)
            admission.name = name
            await lifecycle.admit(admission)
            await plugins.mutate(admission)
            new = conversion.to_stored(resource, _object_of(admission))
            context, revision = Context(self.reader, caller.dry_run), self.store.revision
            strategy.prepare_for_update(new, old, subresource, context)
            _refuse_invalid(resource, new, old, subresource)
            if not subresource:
                caller.warnings.extend(object_warnings.of_update(new, old))
            admission.object = new
            await plugins.validate(admission)
            if self.store.revision != revision and strategy.is_overtaken(new, context):
                continue
            keep_system_fields(new, old)
            if unchanged(new, old):
                return served
            if caller.dry_run:
                new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
                return conversion.to_served(resource, new)
            version = old["metadata"]["resourceVersion"]
            stored_as = conversion.stored_as(resource)
            # The last finalizer's removal is what a deletion waits for.
            finished = deletion.is_finished(resource, new, old)
            operation = Delete(stored_as, new, version) if finished else Put(stored_as, new, version)
            try:
                self._write([operation], admission)
            except Conflict:
                if conditional and not patched:
                    break
                continue
            return conversion.to_served(resource, new)
        raise modified(resource.plural, resource.group, name)

    # Delete

    async def delete(
        self, caller: Caller, resource: Resource, namespace: str | None, name: str, options: deletion.DeleteOptions
    ) -> deletion.Outcome:
        """Deletes at once, or marks the object so that its kubelet, its finalizers or the garbage collector end it."""
        for _ in range(_ATTEMPTS):
            old = self.stored(resource, name, namespace)
            admission = self._admission("DELETE", caller, resource, namespace, None, old)
            admission.name = name
            admission.options = {**options.shown(), **({"dryRun": ["All"]} if caller.dry_run else {})}
            await lifecycle.admit(admission)
            await plugins.mutate(admission)
            await plugins.validate(admission)
            new = deletion.begin(resource, old, options, caller.warnings)
            if new is old:
                return deletion.Outcome(conversion.to_served(resource, old), removed=False)
            gone = new is None
            last = new if new is not None else {**old, "metadata": dict(old["metadata"])}
            if caller.dry_run:
                return deletion.Outcome(conversion.to_served(resource, last), removed=gone)
            version, stored_as = old["metadata"]["resourceVersion"], conversion.stored_as(resource)
            try:
                self._write([Delete(stored_as, last, version) if gone else Put(stored_as, last, version)], admission)
            except Conflict:
                continue
            return deletion.Outcome(conversion.to_served(resource, last), removed=gone)
        raise modified(resource.plural, resource.group, name)

    # Shared

    async def admit(self, caller: Caller, resource: Resource, namespace: str | None, name: str, subresource: str, body: Object) -> None:
        """Admission of what is created at a subresource and stored nowhere, such as an eviction; `body` may be changed."""
        admission = self._admission("CREATE", caller, resource, namespace, body, subresource=subresource)
        admission.name = name
        await lifecycle.admit(admission)
        await plugins.mutate(admission)
        await plugins.validate(admission)

    def _admission(
        self,
        operation: str,
        caller: Caller,
        resource: Resource,
        namespace: str | None,
        obj: Object | None,
        old: Object | None = None,
        subresource: str = "",
    ) -> AdmissionRequest:
        return AdmissionRequest(
            operation=operation,
            resource=resource,
            reader=self.reader,
            subresource=subresource,
            namespace=namespace,
            name=(obj or old or {}).get("metadata", {}).get("name") or "",
            object=obj,
            old=old,
            user=caller.user.name,
            groups=caller.user.groups,
            uid=caller.user.uid,
            extra=caller.user.extra,
            options=caller.options,
            network=self._network,
            dry_run=caller.dry_run,
            warnings=caller.warnings,
            annotations=caller.annotations,
            authorize=partial(self._authorizer.answer, caller.user),
        )

    def _write(self, operations: Sequence[Put | Delete], admission: AdmissionRequest) -> None:
        together: list[Put | Delete] = list(operations)
        for name, obj in admission.updates:
            together.append(Put(conversion.stored_as(by_name()[name]), obj, obj["metadata"]["resourceVersion"]))
        try:
            self.store.write(together)
        except StoreError as error:
            raise internal(str(error)) from None


def _object_of(admission: AdmissionRequest) -> Object:
    assert admission.object is not None
    return admission.object


def _refuse_invalid(resource: Resource, obj: Object, old: Object | None, subresource: str) -> None:
    causes = validation.validate(obj, old, subresource)
    if not causes and not subresource and resource.name == _DEFINITIONS:
        # Loaded with the first definition.
        from clusters.embedded.apiserver.customresources import definition_rules

        causes = definition_rules.check(obj, old)
    if causes:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name") or "", causes)
