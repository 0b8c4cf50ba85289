"""Kinds that this cluster stores and nothing acts on: who creates one is told by a warning, so that nobody takes a guard for one that works."""

from __future__ import annotations

from clusters.embedded.resources import Resource
from kubeobjects import Object

_WARNED = {
    "certificatesigningrequests.certificates.k8s.io": "the embedded cluster has no signer: an approved request gets no certificate",
}
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_CONVERSION = "the embedded cluster calls no conversion webhooks: every version shows an object's fields as they were written"


def tell(resource: Resource, obj: Object, dry_run: bool, warnings: list[str]) -> None:
    """Adds to `warnings` for an object that is about to be created. A dry run has no effect anyway."""
    if dry_run:
        return
    if resource.name == _DEFINITIONS and ((obj.get("spec") or {}).get("conversion") or {}).get("strategy") == "Webhook":
        warnings.append(_CONVERSION)
    elif warning := _WARNED.get(resource.name):
        warnings.append(warning)
