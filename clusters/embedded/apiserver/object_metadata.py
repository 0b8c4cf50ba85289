"""Metadata that is the API server's own, at every write (k8s.io/apiserver/pkg/registry/rest, .../handlers/fieldmanager)."""

from __future__ import annotations

from clusters.embedded.apiserver.patch import managed_fields
from clusters.embedded.errors import FieldError, bad_request, conflict, invalid, modified
from clusters.embedded.resources import Resource
from kubeobjects import Object

# Strategies whose AllowUnconditionalUpdate is false: an update has to say which version it replaces.
_CONDITIONAL = frozenset({"leases.coordination.k8s.io", "poddisruptionbudgets.policy"})
_KEPT_METADATA = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def check_metadata(obj: Object, resource: Resource, namespace: str | None) -> Object:
    """The object's metadata, with the namespace of the request in it. Raises ApiError 400 where the two differ."""
    metadata = obj.setdefault("metadata", {})
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return metadata
    if metadata.get("namespace") and metadata["namespace"] != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = namespace
    return metadata


def check_preconditions(resource: Resource, new: Object, old: Object, patched: bool) -> bool:
    """Whether the update names the version that it replaces. Raises ApiError 409 where that or the uid is not the stored one, 422 where it must be named."""
    metadata, name = new["metadata"], old["metadata"]["name"]
    version = metadata.get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise modified(resource.plural, resource.group, name)
    if not version and not patched and resource.name in _CONDITIONAL:
        cause = FieldError("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")
        raise invalid(resource.kind, resource.group, name, [cause])
    uid = metadata.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(resource.plural, resource.group, name, why)
    return bool(version)


def own_fields(resource: Resource, old: Object | None, new: Object, manager: str, subresource: str, time: str) -> None:
    """Writes into `new` who owns which field. What this request may not write (status, or all but status) changes no owner."""
    writable = new
    if subresource == "status":
        writable = {**(old or {}), "metadata": new["metadata"], "status": new.get("status", {})}
    elif resource.subresource("status") is not None:
        writable = {key: value for key, value in new.items() if key != "status"}
        if old is not None and "status" in old:
            writable["status"] = old["status"]
    owned = managed_fields.update(old, writable, manager, subresource, time)["metadata"].get("managedFields")
    if owned:
        new["metadata"]["managedFields"] = owned
    else:
        new["metadata"].pop("managedFields", None)


def keep_system_fields(new: Object, old: Object) -> None:
    for name in _KEPT_METADATA:
        if name in old["metadata"]:
            new["metadata"][name] = old["metadata"][name]
        else:
            new["metadata"].pop(name, None)


def unchanged(new: Object, old: Object) -> bool:
    """Equal but for what every write sets: a write that changes nothing is not stored and raises no resourceVersion."""
    return _comparable(new) == _comparable(old)


def _comparable(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    if metadata.get("managedFields"):
        metadata["managedFields"] = [{key: value for key, value in entry.items() if key != "time"} for entry in metadata["managedFields"]]
    return {**obj, "metadata": metadata}
