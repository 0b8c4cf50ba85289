"""The tokens that a kubelet may ask for: bound to a Pod of its node, for an audience that the Pod's volumes name.

Of upstream's checks (plugin/pkg/admission/noderestriction) one is left out: another audience cannot be granted by a role with the verb
`request-serviceaccounts-token-audience`.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects import Object


def check(request: AdmissionRequest, node: str) -> None:
    """Raises ApiError 403 for a token that no Pod of `node` needs, 404 where the Pod is not there."""
    spec = (request.object or {}).get("spec") or {}
    bound = spec.get("boundObjectRef") or {}
    if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
        raise request.forbid("node requested token not bound to a pod")
    if not bound.get("uid"):
        raise request.forbid("node requested token with a pod binding without a uid")
    pod = request.stored_pod(bound["name"])
    if bound["uid"] != pod["metadata"]["uid"]:
        why = f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record."
        raise request.forbid(f"{why} The object might have been deleted and then recreated")
    if pod["spec"].get("nodeName") != node:
        raise request.forbid("node requested token bound to a pod scheduled on a different node")
    audiences = spec.get("audiences") or []
    if len(audiences) > 1:
        raise request.forbid("node may only request 0 or 1 audiences")
    audience = audiences[0] if audiences else ""
    if audience not in _audiences(request, pod):
        why = f'audience "{audience}" not found in pod spec volume'
        raise request.forbid(f"{why}, {request.user} is not authorized to request tokens for this audience")


def _audiences(request: AdmissionRequest, pod: Object) -> set[str]:
    """Whom the Pod's volumes want tokens for: projected ones, and the CSI drivers behind the others."""
    found: set[str] = set()
    for volume in pod["spec"].get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            if "serviceAccountToken" in source:
                found.add(source["serviceAccountToken"].get("audience") or "")
        driver = request.reader.get("csidrivers.storage.k8s.io", _driver(request, pod, volume))
        found |= {each.get("audience") or "" for each in ((driver or {}).get("spec") or {}).get("tokenRequests") or []}
    return found


def _driver(request: AdmissionRequest, pod: Object, volume: Object) -> str:
    """The CSI driver of a volume, directly or by its claim; empty where it has none."""
    if "csi" in volume:
        return str(volume["csi"].get("driver") or "")
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""
    if "ephemeral" in volume:
        claim = f"{pod['metadata']['name']}-{volume['name']}"
    stored = request.reader.get("persistentvolumeclaims", claim, request.namespace) if claim else None
    bound = ((stored or {}).get("spec") or {}).get("volumeName")
    made = request.reader.get("persistentvolumes", bound) if bound else None
    return str((((made or {}).get("spec") or {}).get("csi") or {}).get("driver") or "")
