"""Admission plugin NamespaceLifecycle: nothing is made in a namespace that is missing or going, and some namespaces never go."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.errors import ApiError, forbidden, not_found

_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
# Reviews store nothing; authorization asks for them in any namespace.
_UNSTORED = frozenset({"localsubjectaccessreviews.authorization.k8s.io"})


async def admit(request: AdmissionRequest) -> None:
    """Raises ApiError 403 or 404."""
    if request.resource.name == "namespaces":
        if request.operation == "DELETE" and request.name in _IMMORTAL:
            raise forbidden("namespaces", "", request.name, "this namespace may not be deleted")
        return
    custom = request.resource.custom
    if request.operation == "CREATE" and custom is not None and custom.terminating:
        raise request.forbid("create not allowed while custom resource definition is terminating")
    if request.operation != "CREATE" or not request.namespace or request.resource.name in _UNSTORED:
        return
    namespace = request.reader.get("namespaces", request.namespace)
    if namespace is None:
        raise not_found("namespaces", "", request.namespace)
    if (namespace.get("status") or {}).get("phase") == "Terminating" or "deletionTimestamp" in namespace["metadata"]:
        raise _terminating(request, request.namespace)


def _terminating(request: AdmissionRequest, namespace: str) -> ApiError:
    error = request.forbid(f"unable to create new content in namespace {namespace} because it is being terminated")
    error.details["causes"] = [
        {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated", "field": "metadata.namespace"}
    ]
    return error
