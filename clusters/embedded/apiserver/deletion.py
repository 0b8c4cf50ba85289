"""How an object ends: grace periods, finalizers and propagation policies (registry/rest/delete.go, registry/generic/registry/store.go).

An object and the options of a DELETE flow in; out comes the object that is to be stored (marked for deletion), or None where
it goes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clusters.embedded.errors import FieldError, bad_request, conflict, invalid
from clusters.embedded.resources import Resource
from kubeobjects import Object, meta

_ORPHAN = "orphan"
_FOREGROUND = "foregroundDeletion"
_POLICIES = ("Orphan", "Background", "Foreground")
# Registries with ReturnDeletedObject: the reply to a DELETE is the object that went, not a Status.
_RETURNED = frozenset(
    {"pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates", "resourcequotas"}
)
# Kinds whose children stay by default, as they did in their first API version.
_ORPHANED_BY_DEFAULT = frozenset({"jobs.batch", "replicationcontrollers"})
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)


@dataclass(frozen=True)
class DeleteOptions:
    """metav1.DeleteOptions, from the body and the query of a DELETE."""

    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None

    @classmethod
    def read(cls, body: Object) -> DeleteOptions:
        """From a DeleteOptions object. Raises ApiError 400 or 422 for values that it cannot have."""
        grace, policy, orphan = body.get("gracePeriodSeconds"), body.get("propagationPolicy"), body.get("orphanDependents")
        if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
            raise bad_request("gracePeriodSeconds must be a whole number of seconds")
        if policy is not None and orphan is not None:
            why = "Invalid value: true: orphanDependents and deletionPropagation cannot be both set"
            raise invalid("DeleteOptions", "meta.k8s.io", "", [FieldError("propagationPolicy", "FieldValueInvalid", why)])
        if policy is not None and policy not in _POLICIES:
            listed = ", ".join(f'"{each}"' for each in sorted(_POLICIES))
            why = f'Unsupported value: "{policy}": supported values: {listed}, "nil"'
            raise invalid("DeleteOptions", "meta.k8s.io", "", [FieldError("propagationPolicy", "FieldValueNotSupported", why)])
        if orphan is not None:
            policy = "Orphan" if orphan else "Background"
        preconditions = body.get("preconditions") or {}
        if not isinstance(preconditions, dict):
            raise bad_request("preconditions must be an object")
        return cls(grace, policy, preconditions.get("uid"), preconditions.get("resourceVersion"))

    def shown(self) -> Object:
        """As an object, without its kind."""
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        fields: Object = {"gracePeriodSeconds": self.grace_period_seconds, "propagationPolicy": self.propagation_policy}
        fields["preconditions"] = {key: value for key, value in preconditions.items() if value is not None} or None
        return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Outcome:
    """`object` is the last state, or the state in which the object waits for its end; `removed` says which."""

    object: Object
    removed: bool

    def reply(self, resource: Resource) -> Object:
        """What a client is shown: the object, or a Status for kinds that answer with one."""
        if not self.removed or resource.name in _RETURNED:
            return self.object
        metadata = self.object["metadata"]
        details = {"name": metadata["name"]} | ({"group": resource.group} if resource.group else {})
        details |= {"kind": resource.plural, "uid": metadata["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def begin(resource: Resource, old: Object, options: DeleteOptions, warnings: list[str]) -> Object | None:
    """The object to store instead of `old`: `old` itself where nothing changes, None where it goes.

    Raises ApiError 409 where a precondition does not hold.
    """
    _check(old, options)
    grace = _grace_period(resource, old, options)
    finalizers = _finalizers(resource, old, options, warnings)
    metadata = dict(old["metadata"])
    if meta.is_deleting(old):
        return _again(resource, old, metadata, grace, finalizers, options)
    if resource.name == "namespaces":
        if not (finalizers or (old.get("spec") or {}).get("finalizers")):
            return None
        new = {**old, "metadata": metadata, "status": {**(old.get("status") or {}), "phase": "Terminating"}}
        _mark(metadata, 0, finalizers)
        metadata.pop("deletionGracePeriodSeconds")
        return new
    if not finalizers and grace == 0:
        return None
    _mark(metadata, grace, finalizers)
    return {**old, "metadata": metadata}


def _again(resource: Resource, old: Object, metadata: Object, grace: int, finalizers: list[str], options: DeleteOptions) -> Object | None:
    """A DELETE of what is being deleted already: it may shorten the grace period and say more about dependents."""
    current = metadata.get("deletionGracePeriodSeconds") or 0
    asked = options.grace_period_seconds is not None or resource.name != "pods"
    if not finalizers and (current == 0 or (asked and grace == 0)):
        return None if resource.name != "namespaces" or not (old.get("spec") or {}).get("finalizers") else old
    shortened = asked and grace < current
    if not shortened and finalizers == (metadata.get("finalizers") or []):
        return old
    if shortened:
        since = meta.parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=current)
        metadata["deletionTimestamp"] = meta.format_time(max(since + timedelta(seconds=grace), datetime.now(UTC)))
        metadata["deletionGracePeriodSeconds"] = grace
    _set_finalizers(metadata, finalizers)
    return {**old, "metadata": metadata}


def is_finished(resource: Resource, new: Object, old: Object) -> bool:
    """Whether an update removes the last thing that a deletion waited for."""
    if not meta.is_deleting(old) or new["metadata"].get("finalizers"):
        return False
    if resource.name == "namespaces":
        return not (new.get("spec") or {}).get("finalizers")
    # A Pod in its grace period stays until its kubelet says that it is done.
    return not old["metadata"].get("deletionGracePeriodSeconds")


def _check(old: Object, options: DeleteOptions) -> None:
    metadata = old["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict("", "", metadata["name"], why)
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise conflict("", "", metadata["name"], why)


def _grace_period(resource: Resource, old: Object, options: DeleteOptions) -> int:
    """Seconds; only Pods are deleted gracefully (podStrategy.CheckGracefulDelete)."""
    if resource.name != "pods":
        return 0
    spec = old.get("spec") or {}
    asked = options.grace_period_seconds
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    if not spec.get("nodeName") or (old.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if period < 0 else period


def _finalizers(resource: Resource, old: Object, options: DeleteOptions, warnings: list[str]) -> list[str]:
    present = list(old["metadata"].get("finalizers") or [])
    if resource.name == _DEFINITIONS and not meta.is_deleting(old) and _CLEANUP not in present:
        # A definition waits for the end of its objects (registry/customresourcedefinition/etcd.go).
        present.append(_CLEANUP)
    policy = options.propagation_policy
    if policy is None:
        if _ORPHAN in present or _FOREGROUND in present or resource.name not in _ORPHANED_BY_DEFAULT:
            return present
        if resource.name == "jobs.batch":
            warnings.append(_JOB_WARNING)
        policy = "Orphan"
    kept = [each for each in present if each not in (_ORPHAN, _FOREGROUND)]
    added = {"Orphan": [_ORPHAN], "Foreground": [_FOREGROUND], "Background": []}[policy]
    return [*kept, *added]


def _set_finalizers(metadata: Object, finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _mark(metadata: Object, grace: int, finalizers: list[str]) -> None:
    metadata["deletionTimestamp"] = meta.format_time(datetime.now(UTC) + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation"):
        metadata["generation"] += 1
    _set_finalizers(metadata, finalizers)
