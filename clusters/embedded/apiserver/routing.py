"""Which verbs there are on which paths of a resource (k8s.io/apiserver/pkg/endpoints/installer.go)."""

from __future__ import annotations

from clusters.embedded.apiserver.request import RequestInfo
from clusters.embedded.apiserver.responses import page_not_found
from clusters.embedded.errors import method_not_allowed
from clusters.embedded.resources import Resource

# Subresources that are a stream of bytes and no object.
STREAMED = frozenset({"log", "exec", "attach", "portforward", "proxy"})
# Verbs on a named object; the others are on the collection.
_ON_ONE = ("get", "update", "patch", "delete")


def check(resource: Resource, info: RequestInfo) -> None:
    """Raises ApiError 404 for a path that names nothing of the resource, 405 for a verb that the resource does not have."""
    if resource.namespaced and info.namespace is None and (info.name_in_path or info.verb not in ("list", "watch")):
        raise method_not_allowed() if not info.name_in_path else page_not_found()
    if not resource.namespaced and info.namespace is not None and resource.name != "namespaces":
        raise page_not_found()
    if info.subresource:
        found = resource.subresource(info.subresource)
        if found is None:
            raise page_not_found()
        if info.verb not in found.verbs and info.subresource not in STREAMED:
            raise method_not_allowed()
    elif info.verb not in resource.verbs or (info.verb != "watch" and info.name_in_path is not (info.verb in _ON_ONE)):
        raise method_not_allowed()
