"""Which ResourceClaims a Pod and its containers use, and whether the Pod may (dynamic-resource-allocation/resourceclaim)."""

from __future__ import annotations

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError
from clusters.embedded.kubelet import dra_state
from clusters.embedded.kubelet.dra_state import DraError
from kubeobjects import Object, meta, resourceclaims


async def of_pod(client: Client, pod: Object) -> list[Object]:
    """The Pod's ResourceClaims as the API has them. Raises DraError where one is missing or is not for this Pod."""
    metadata = pod["metadata"]
    found: list[Object] = []
    for own in dra_state.pod_claims(pod):
        try:
            name = resourceclaims.claim_name(pod, own)
        except resourceclaims.NotCreatedError as error:
            raise DraError(str(error)) from None
        if name is None:
            continue
        try:
            claim = await client.get("resourceclaims.resource.k8s.io", name, metadata["namespace"])
        except ApiError as error:
            raise DraError(f"fetch ResourceClaim {name}: {error.message}") from None
        if resourceclaims.is_from_template(own) and not resourceclaims.is_for_pod(pod, claim):
            raise DraError(resourceclaims.NOT_OWNED.format(claim=meta.key(claim), pod=meta.key(pod)))
        if not resourceclaims.is_reserved_for(pod, claim):
            whom, which = f"{metadata['name']} ({metadata['uid']})", f"{name} ({claim['metadata']['uid']})"
            raise DraError(f"pod {whom} is not allowed to use ResourceClaim {which}")
        found.append(claim)
    return found


def of_container(pod: Object, container: Object) -> list[tuple[str, str, str]]:
    """(the Pod's name of the claim, the claim's own name, request) of each that the container names; request is empty for all of them.

    What the container has as an extended resource comes last, without a name of the Pod's.
    """
    resources = container.get("resources") or {}
    known = {each["name"]: each for each in pod["spec"].get("resourceClaims") or []}
    found: list[tuple[str, str, str]] = []
    for named in resources.get("claims") or []:
        own = known.get(named["name"])
        try:
            name = resourceclaims.claim_name(pod, own) if own else None
        except resourceclaims.NotCreatedError:
            name = None
        if name is not None:
            found.append((named["name"], name, named.get("request") or ""))
    if made := dra_state.extended(pod):
        for each in made.get("requestMappings") or []:
            if each["containerName"] == container["name"] and each["resourceName"] in (resources.get("requests") or {}):
                found.append(("", made["resourceClaimName"], each["requestName"]))
    return found
