"""Admission webhooks: servers of other people that change or refuse what is about to be stored.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook. What does the work is loaded with the first configuration.
A new configuration holds from the next request on.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission.policies import matching
from clusters.embedded.apiserver.admission.reinvocation import Reinvocation
from clusters.embedded.apiserver.admission.request import AdmissionRequest

_MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"


async def mutate(request: AdmissionRequest, reinvocation: Reinvocation) -> None:
    """Replaces `request.object` by what the webhooks make of it, one after the other. Raises ApiError where one refuses or fails."""
    configurations = request.reader.list(_MUTATING)
    if configurations and not matching.is_exempt(request):
        from clusters.embedded.apiserver.admission.webhooks import mutating

        await mutating.admit(configurations, request, reinvocation)


async def validate(request: AdmissionRequest) -> None:
    """Asks all webhooks at once. Raises ApiError where one refuses or fails."""
    configurations = request.reader.list(_VALIDATING)
    if configurations and not matching.is_exempt(request):
        from clusters.embedded.apiserver.admission.webhooks import validating

        await validating.validate(configurations, request)
