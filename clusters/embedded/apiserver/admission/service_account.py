"""ServiceAccount: every Pod runs as an account that exists, with a token for it mounted."""

from __future__ import annotations

import asyncio

from clusters.embedded.apiserver.admission.request import AdmissionRequest, Object
from kubeobjects import meta

_DEFAULT = "default"
_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# An hour, and seven seconds by which kubelets know a token that was injected here from one that was asked for.
_TOKEN_SECONDS = 3607
_MIRROR = "kubernetes.io/config.mirror"
# A new namespace gets its account from a controller a moment later: the admission plugin looks again this often before it gives up.
_ATTEMPTS = 10
_PAUSE = 0.05


async def admit(request: AdmissionRequest) -> None:
    pod = request.object
    if request.resource.name != "pods" or request.subresource or request.operation != "CREATE" or pod is None:
        return
    spec = pod.setdefault("spec", {})
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        return
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = _DEFAULT
    # The deprecated alias says the same, as the conversion between the versions does.
    spec["serviceAccount"] = spec["serviceAccountName"]
    account = await _account(request, spec["serviceAccountName"])
    if account is None:
        raise request.forbid(_missing(request, spec["serviceAccountName"]))
    if _wants_token(spec, account):
        _mount_token(spec)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [{"name": each.get("name", "")} for each in account["imagePullSecrets"]]


def _missing(request: AdmissionRequest, name: str) -> str:
    return f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'


async def _account(request: AdmissionRequest, name: str) -> Object | None:
    attempts = _ATTEMPTS if name == _DEFAULT else 1
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(_PAUSE)
        found = request.reader.get("serviceaccounts", name, request.namespace)
        if found is not None:
            return found
    return None


def _wants_token(spec: Object, account: Object) -> bool:
    for owner in (spec, account):
        if owner.get("automountServiceAccountToken") is not None:
            return bool(owner["automountServiceAccountToken"])
    return True


def _mount_token(spec: Object) -> None:
    volumes = spec.get("volumes") or []
    taken = {volume.get("name") for volume in volumes}
    name = next((each for each in taken if each and each.startswith("kube-api-access-")), None)
    made = name is None
    if name is None:
        name = f"kube-api-access-{meta.suffix()}"
    mounted = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or []:
            mounts = container.get("volumeMounts") or []
            if any(mount.get("mountPath") == _MOUNT_PATH for mount in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": _MOUNT_PATH}]
            mounted = True
    if mounted and made:
        spec["volumes"] = [*volumes, {"name": name, "projected": _token_volume()}]


def _token_volume() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }


def validate(request: AdmissionRequest) -> None:
    """Another plugin may have changed the account after `admit`: it still has to exist."""
    pod = request.object
    if request.resource.name != "pods" or request.subresource or request.operation != "CREATE" or pod is None:
        return
    name = (pod.get("spec") or {}).get("serviceAccountName")
    if name and request.reader.get("serviceaccounts", name, request.namespace) is None:
        raise request.forbid(_missing(request, name))
