"""Admission: a request on its way to the store flows in; plugins complete its object, then plugins refuse it.

The plugins and their order are those of a kube-apiserver with its defaults (pkg/kubeapiserver/options/plugins.go); NamespaceLifecycle comes
before all of them and lives beside the registry. `mutate` runs before an object is prepared and validated, `validate` after.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission import (
    ingress_class,
    limit_ranger,
    priority,
    quota,
    runtime_class,
    service_account,
    storage,
    tolerations,
)
from clusters.embedded.apiserver.admission.request import AdmissionRequest

__all__ = ["AdmissionRequest", "mutate", "validate"]


async def mutate(request: AdmissionRequest) -> None:
    """Changes `request.object` in place. Raises ApiError 403 (or 400, 404) where the request cannot be completed."""
    request.mutating = True
    limit_ranger.admit(request)
    await service_account.admit(request)
    priority.admit(request)
    tolerations.admit(request)
    storage.admit(request)
    runtime_class.admit(request)
    ingress_class.admit(request)
    request.mutating = False


async def validate(request: AdmissionRequest) -> None:
    """Raises ApiError 403 where policy refuses the object; fills `request.updates` with what has to be stored together with it.

    Quota comes last and nothing is awaited after it, so that what it counted is still true when the caller writes at once.
    """
    limit_ranger.validate(request)
    service_account.validate(request)
    priority.validate(request)
    quota.validate(request)
