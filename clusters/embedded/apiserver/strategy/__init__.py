"""What the API server does to an object between defaulting and validation, by kind (the registries' `strategy.go`).

An object with its name, uid and defaults flows in; what only the server may set (status, generation, addresses, selectors of Jobs)
is set or put back in place.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded import resources
from clusters.embedded.apiserver import defaulting
from clusters.embedded.apiserver.strategy import batch, claims, core, extension, generation, service
from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object

__all__ = ["Context", "is_overtaken", "prepare_for_create", "prepare_for_update"]


_CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {
    **core.CREATE,
    **batch.CREATE,
    **service.CREATE,
    **extension.CREATE,
    **claims.CREATE,
}
_UPDATE: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {
    **core.UPDATE,
    **service.UPDATE,
    **extension.UPDATE,
}
_STATUS: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {**claims.STATUS}
# Kinds whose status the client may give when it creates them: a kubelet registers its Node with one.
_STATUS_FROM_CLIENT = {("v1", "Node")}


def _identity(obj: Object) -> tuple[str, str]:
    return obj.get("apiVersion", ""), obj.get("kind", "")


def _has_status(identity: tuple[str, str]) -> bool:
    resource = resources.by_kind().get(identity)
    return resource is not None and resource.subresource("status") is not None


def prepare_for_create(obj: Object, context: Context) -> None:
    """Changes `obj` in place into what is validated and stored. Needs `metadata.name` ("" where there is none) and `metadata.uid` to be set.

    Raises ApiError 422 where an address or port that the client asks for cannot be had.
    """
    custom = resources.custom_kind(obj)
    if custom is not None:
        custom.prepare_for_create(obj)
        return
    identity = _identity(obj)
    if _has_status(identity) and identity not in _STATUS_FROM_CLIENT:
        blank: Object = {"apiVersion": identity[0], "kind": identity[1], "metadata": {}}
        defaulting.apply(blank)
        obj.pop("status", None)
        if "status" in blank:
            obj["status"] = blank["status"]
    generation.start(obj)
    prepare = _CREATE.get(identity)
    if prepare is not None:
        prepare(obj, context)


def prepare_for_update(new: Object, old: Object, subresource: str, context: Context) -> None:
    """Changes `new` in place: puts back what this request may not write, and counts `metadata.generation`.

    `subresource` is "" for the object itself; status, binding, ephemeralcontainers, resize, scale and finalize are known beside it. Raises
    ApiError 422 as `prepare_for_create` does.
    """
    custom = resources.custom_kind(new)
    if custom is not None:
        custom.prepare_for_update(new, old, subresource)
        return
    identity = _identity(new)
    if subresource == "binding":
        # The server itself wrote the node's name and the condition; neither is a change that counts.
        new["metadata"]["generation"] = old["metadata"].get("generation", 1)
        return
    if subresource == "status":
        core.keep_all_but_status(new, old)
        if identity in _STATUS:
            _STATUS[identity](new, old, context)
    elif subresource in core.PARTS_OF_POD:
        core.keep_all_but_part(new, old, subresource)
    else:
        if _has_status(identity):
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        prepare = _UPDATE.get(identity)
        if prepare is not None and subresource != "finalize":
            prepare(new, old, context)
    generation.advance(new, old, subresource=subresource)


def is_overtaken(obj: Object, context: Context) -> bool:
    """Whether what was allocated to a prepared object has gone to another since: it has to be prepared again."""
    return _identity(obj) == ("v1", "Service") and service.is_overtaken(obj, context)
