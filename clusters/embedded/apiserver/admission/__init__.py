"""Admission: a request on its way to the store flows in; plugins complete its object, then plugins refuse it.

The plugins and their order are those of a kube-apiserver with its defaults (pkg/kubeapiserver/options/plugins.go); NamespaceLifecycle comes
before all of them and lives beside the registry. `mutate` runs before an object is prepared and validated, `validate` after.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission import (
    ingress_class,
    limit_ranger,
    node_restriction,
    node_taint,
    pod_security,
    policies,
    priority,
    quota,
    runtime_class,
    service_account,
    storage,
    tolerations,
    webhooks,
)
from clusters.embedded.apiserver.admission.reinvocation import Reinvocation
from clusters.embedded.apiserver.admission.request import AdmissionRequest

__all__ = ["AdmissionRequest", "connect", "mutate", "validate"]


async def mutate(request: AdmissionRequest) -> None:
    """Changes `request.object`, or replaces it. Raises ApiError 403 (or 400, 404, 500) where the request cannot be completed.

    Where a policy or a webhook changed the object, all plugins see it once more.
    """
    request.mutating = True
    rules, hooks = Reinvocation(), Reinvocation()
    await _complete(request, rules, hooks)
    if rules.changed or hooks.changed:
        rules.round = hooks.round = 1
        await _complete(request, rules, hooks)
    request.mutating = False


async def _complete(request: AdmissionRequest, rules: Reinvocation, hooks: Reinvocation) -> None:
    limit_ranger.admit(request)
    await service_account.admit(request)
    node_restriction.admit(request)
    node_taint.admit(request)
    priority.admit(request)
    tolerations.admit(request)
    storage.admit(request)
    runtime_class.admit(request)
    ingress_class.admit(request)
    policies.mutating.admit(request, rules)
    await webhooks.mutate(request, hooks)


async def connect(request: AdmissionRequest) -> None:
    """Asks policies and validating webhooks about a stream that is about to begin. Raises ApiError where one refuses.

    Mutating ones are left out: what is changed in the options of a stream, no component reads.
    """
    policies.validating.validate(request)
    await webhooks.validate(request)


async def validate(request: AdmissionRequest) -> None:
    """Raises ApiError 403 where policy refuses the object; fills `request.updates` with what has to be stored together with it.

    Quota comes last and nothing is awaited after it, so that what it counted is still true when the caller writes at once.
    """
    limit_ranger.validate(request)
    service_account.validate(request)
    pod_security.validate(request)
    priority.validate(request)
    policies.validating.validate(request)
    await webhooks.validate(request)
    quota.validate(request)
