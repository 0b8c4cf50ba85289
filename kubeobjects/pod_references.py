"""The objects that a Pod refers to: accounts, Secrets, ConfigMaps, claims (pkg/api/v1/pod VisitPodSecretNames, VisitPodConfigmapNames)."""

from __future__ import annotations

from collections.abc import Iterator

from kubeobjects import Object


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """(resource, name) of all that the Pod names in its namespace; the same may come twice."""
    spec = pod["spec"]
    yield "serviceaccounts", spec.get("serviceAccountName") or "default"
    for each in spec.get("imagePullSecrets") or []:
        yield "secrets", each.get("name", "")
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(field) or []:
            yield from _of_environment(container)
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
        if "ephemeral" in volume:
            yield "persistentvolumeclaims", f"{pod['metadata']['name']}-{volume['name']}"
    claims = {each["name"]: each.get("resourceClaimName") for each in (pod.get("status") or {}).get("resourceClaimStatuses") or []}
    for claim in spec.get("resourceClaims") or []:
        if name := claim.get("resourceClaimName") or claims.get(claim["name"]):
            yield "resourceclaims", name


def _of_environment(container: Object) -> Iterator[tuple[str, str]]:
    for each in container.get("envFrom") or []:
        for field, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if each.get(field):
                yield resource, each[field].get("name", "")
    for each in container.get("env") or []:
        for field, resource in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
            if found := (each.get("valueFrom") or {}).get(field):
                yield resource, found.get("name", "")


def _of_volume(volume: Object) -> Iterator[tuple[str, str]]:
    if volume.get("secret"):
        yield "secrets", volume["secret"].get("secretName", "")
    if volume.get("configMap"):
        yield "configmaps", volume["configMap"].get("name", "")
    if volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"].get("claimName", "")
    for source in (volume.get("projected") or {}).get("sources") or []:
        for field, resource in (("secret", "secrets"), ("configMap", "configmaps")):
            if source.get(field):
                yield resource, source[field].get("name", "")
