"""Which ResourceClaims a Pod uses, and for whom a claim is reserved (k8s.io/dynamic-resource-allocation/resourceclaim)."""

from __future__ import annotations

from collections.abc import Iterator

from kubeobjects import Object, meta

# A claim that has devices is not gone before they have been given back.
FINALIZER = "resource.kubernetes.io/delete-protection"
# On a claim that was made from a template: the name under which its Pod knows it.
POD_CLAIM_ANNOTATION = "resource.kubernetes.io/pod-claim-name"

NOT_CREATED = 'pod "{pod}": ResourceClaim not created yet'
NONE_NAMED = 'pod "{pod}", spec.resourceClaim "{name}": none of the supported fields are set'
NOT_OWNED = "ResourceClaim {claim} was not created for Pod {pod} (Pod is not owner)"


class NotCreatedError(LookupError):
    """There is no claim yet: it is to be made from a template, or the Pod names none. The message is Kubernetes' own."""


def claim_name(pod: Object, entry: Object) -> str | None:
    """The claim behind one entry of `spec.resourceClaims`; None where it was decided that none is needed.

    Raises NotCreatedError while a claim from a template is missing.
    """
    if entry.get("resourceClaimName") is not None:
        name: str = entry["resourceClaimName"]
        return name
    if entry.get("resourceClaimTemplateName") is None:
        raise NotCreatedError(NONE_NAMED.format(pod=meta.key(pod), name=entry["name"]))
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or []:
        if status["name"] == entry["name"]:
            return status.get("resourceClaimName")
    raise NotCreatedError(NOT_CREATED.format(pod=meta.key(pod)))


def names(pod: Object) -> Iterator[str]:
    """The names of the claims of the Pod that are known by now."""
    for entry in pod["spec"].get("resourceClaims") or []:
        try:
            name = claim_name(pod, entry)
        except NotCreatedError:
            continue
        if name:
            yield name


def is_from_template(entry: Object) -> bool:
    """Whether the claim is made for this one Pod, and nobody else may use it."""
    return entry.get("resourceClaimName") is None


def is_for_pod(pod: Object, claim: Object) -> bool:
    owner = meta.controller_of(claim)
    return owner is not None and owner.get("uid") == pod["metadata"]["uid"]


def allocation(claim: Object) -> Object | None:
    """`status.allocation`, or None for a claim without devices."""
    found: Object | None = (claim.get("status") or {}).get("allocation")
    return found


def devices(claim: Object) -> list[Object]:
    """The allocated devices, `status.allocation.devices.results`; none where nothing is allocated."""
    return ((allocation(claim) or {}).get("devices") or {}).get("results") or []


def reserved_for(claim: Object) -> list[Object]:
    return (claim.get("status") or {}).get("reservedFor") or []


def is_reserved_for(pod: Object, claim: Object) -> bool:
    return any(each.get("uid") == pod["metadata"]["uid"] for each in reserved_for(claim))


def consumer(pod: Object) -> Object:
    """The entry of `status.reservedFor` for a Pod."""
    return {"resource": "pods", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
