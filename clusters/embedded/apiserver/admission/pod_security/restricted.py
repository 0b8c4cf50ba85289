"""The checks that the restricted standard adds to the baseline (k8s.io/pod-security-admission/policy, check_*.go)."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.admission.pod_security.baseline import PROFILES, bad_types
from clusters.embedded.apiserver.admission.pod_security.finding import (
    Finding,
    containers,
    counted,
    in_user_namespace,
    named,
    quoted,
    security,
    setters,
    where,
)
from kubeobjects import Object

_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip
_RESTRICTED_VOLUMES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd", "flexVolume", "cinder", "cephfs",
    "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
)  # fmt: skip


def on_linux(rule: Callable[[Object, Object], Finding | None]) -> Callable[[Object, Object], Finding | None]:
    """The rule, of which Pods that say that they run on Windows are free."""
    return lambda metadata, spec: None if (spec.get("os") or {}).get("name") == "windows" else rule(metadata, spec)


def without_user_namespace(rule: Callable[[Object, Object], Finding | None]) -> Callable[[Object, Object], Finding | None]:
    """The rule, of which Pods in a user namespace are free: root inside is nobody outside."""
    return lambda metadata, spec: None if in_user_namespace(spec) else rule(metadata, spec)


def privilege_escalation(metadata: Object, spec: Object) -> Finding | None:
    bad = where(spec, lambda container: security(container).get("allowPrivilegeEscalation") is not False)
    return (
        Finding("allowPrivilegeEscalation != false", f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false")
        if bad
        else None
    )


def capabilities(metadata: Object, spec: Object) -> Finding | None:
    asked = {container["name"]: security(container).get("capabilities") or {} for container in containers(spec)}
    keeping = [name for name, each in asked.items() if "ALL" not in (each.get("drop") or [])]
    added = {name: {each for each in found.get("add") or [] if each != "NET_BIND_SERVICE"} for name, found in asked.items()}
    adding = [name for name, more in added.items() if more]
    told = [f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        which = sorted(set().union(*added.values()))
        told.append(f"{named(adding)} must not include {quoted(which)} in securityContext.capabilities.add")
    return Finding("unrestricted capabilities", "; ".join(told)) if told else None


def volumes(metadata: Object, spec: Object) -> Finding | None:
    bad = [volume for volume in spec.get("volumes") or [] if all(volume.get(kind) is None for kind in _VOLUMES)]
    if not bad:
        return None
    kinds = sorted({next((kind for kind in _RESTRICTED_VOLUMES if volume.get(kind) is not None), "unknown") for volume in bad})
    use = f"{counted('uses', 'use', bad)} {counted('restricted volume type', 'restricted volume types', kinds)}"
    return Finding("restricted volume types", f"{named([volume['name'] for volume in bad], 'volume')} {use} {quoted(kinds)}")


def run_as_non_root(metadata: Object, spec: Object) -> Finding | None:
    own = security(spec).get("runAsNonRoot")
    asking_for_root = where(spec, lambda container: security(container).get("runAsNonRoot") is False)
    if who := setters(spec, own is False, asking_for_root):
        return Finding("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = where(spec, lambda container: not own and security(container).get("runAsNonRoot") is None)
    return Finding("runAsNonRoot != true", f"pod or {named(silent)} must set securityContext.runAsNonRoot=true") if silent else None


def run_as_user(metadata: Object, spec: Object) -> Finding | None:
    root = where(spec, lambda container: security(container).get("runAsUser") == 0)
    who = setters(spec, security(spec).get("runAsUser") == 0, root)
    return Finding("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp_profile(metadata: Object, spec: Object) -> Finding | None:
    own, bad, values = bad_types(spec, "seccompProfile")
    if who := setters(spec, own, bad):
        return Finding("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(values)}")
    covered = (security(spec).get("seccompProfile") or {}).get("type") in PROFILES
    silent = where(spec, lambda container: not covered and security(container).get("seccompProfile") is None)
    if not silent:
        return None
    return Finding(
        "seccompProfile", f'pod or {named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    )
