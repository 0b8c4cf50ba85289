"""Kinds that this cluster stores and nothing acts on: who creates one is told, so that nobody takes a guard for one that works.

What would fail silently where it matters (an admission webhook that is never called, a custom resource that is never served) is refused;
for the others the reply carries a warning, which kubectl prints.
"""

from __future__ import annotations

from clusters.embedded.errors import FieldError, invalid
from clusters.embedded.resources import Resource
from kubeobjects import Object

_WEBHOOKS = "the embedded cluster calls no admission webhooks; use a kind cluster for them (ai-lab up --cluster kind)"
# By resource: the field that cannot be served, and why.
_REFUSED = {
    "validatingwebhookconfigurations.admissionregistration.k8s.io": ("webhooks", _WEBHOOKS),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": ("webhooks", _WEBHOOKS),
    "customresourcedefinitions.apiextensions.k8s.io": (
        "spec",
        "the embedded cluster serves no custom resources; use a kind cluster for them (ai-lab up --cluster kind)",
    ),
}
_POLICIES = "the embedded cluster stores admission policies and does not evaluate them: no request is checked or changed"
_CLAIMS = "the embedded cluster stores the objects of dynamic resource allocation and allocates no devices for them"
_WARNED = {
    "networkpolicies.networking.k8s.io": "the embedded cluster stores network policies and does not enforce them: traffic is not filtered",
    "validatingadmissionpolicies.admissionregistration.k8s.io": _POLICIES,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _POLICIES,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": _POLICIES,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _POLICIES,
    "resourceclaims.resource.k8s.io": _CLAIMS,
    "resourceclaimtemplates.resource.k8s.io": _CLAIMS,
    "deviceclasses.resource.k8s.io": _CLAIMS,
    "resourceslices.resource.k8s.io": _CLAIMS,
    "apiservices.apiregistration.k8s.io": "the embedded cluster stores APIServices and forwards no requests to them",
    "certificatesigningrequests.certificates.k8s.io": "the embedded cluster has no signer: an approved request gets no certificate",
}


def tell(resource: Resource, obj: Object, dry_run: bool, warnings: list[str]) -> None:
    """`obj` is about to be created: raises ApiError 422, or adds to `warnings`. A dry run has no effect anyway, and passes."""
    if dry_run:
        return
    if refusal := _REFUSED.get(resource.name):
        field, why = refusal
        # A configuration without webhooks has nothing to be called.
        if obj.get(field):
            name = (obj.get("metadata") or {}).get("name", "")
            raise invalid(resource.kind, resource.group, name, [FieldError(field, "FieldValueForbidden", f"Forbidden: {why}")])
    elif warning := _WARNED.get(resource.name):
        warnings.append(warning)
