"""NodeRestriction: a kubelet changes its own Node and the Pods that run there, and no more (plugin/pkg/admission/noderestriction).

The node authorizer has let the request through by what it names; here is looked at what it would write.
"""

from __future__ import annotations

from clusters.embedded.apiserver.admission import node_tokens
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.node_identity import node_of
from clusters.embedded.errors import not_found
from kubeobjects import Object
from kubeobjects.equality import same
from kubeobjects.pod_references import references

_LEASES = "kube-node-lease"
_MIRROR = "kubernetes.io/config.mirror"
_RESTRICTED = "node-restriction.kubernetes.io"
# What a kubelet may say of its own node under kubernetes.io and k8s.io (k8s.io/kubelet/pkg/apis/well_known_labels.go).
_KUBELET_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
})  # fmt: skip
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
# What of a claim's status a kubelet reports when it has made the volume larger.
_RESIZED = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
# A volume of a mirror Pod must not need the API.
_VOLUMES = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_PROJECTED = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def admit(request: AdmissionRequest) -> None:
    """Raises ApiError 403, or 404 where what the request refers to is not there."""
    node = node_of(request.user, request.groups)
    if node is None:
        return
    if not node:
        raise request.forbid(f'could not determine node from user "{request.user}"')
    match request.resource.name, request.subresource:
        case "pods", "":
            _pod(request, node)
        case "pods", "status":
            _pod_status(request, node)
        case "pods", "eviction":
            if request.stored_pod(request.name)["spec"].get("nodeName") != node:
                raise request.forbid(f"node {node} can only evict pods with spec.nodeName set to itself")
        case "pods", other:
            raise request.forbid(f"unexpected pod subresource \"{other}\", only 'status' and 'eviction' are allowed")
        case "nodes", _:
            _node(request, node)
        case "persistentvolumeclaims", "status":
            _claim_status(request, node)
        case "persistentvolumeclaims", _:
            raise request.forbid("may only update PVC status")
        case "serviceaccounts", "token":
            node_tokens.check(request, node)
        case "leases.coordination.k8s.io", _:
            if request.namespace != _LEASES:
                raise request.forbid(f'can only access leases in the "{_LEASES}" system namespace')
            if request.name != node:
                raise request.forbid("can only access node lease with the same name as the requesting node")
        case "csinodes.storage.k8s.io", _:
            if request.name != node:
                raise request.forbid("can only access CSINode with the same name as the requesting node")
        case "resourceslices.resource.k8s.io", _:
            _resource_slice(request, node)
        case "certificatesigningrequests.certificates.k8s.io", _:
            _signing_request(request, node)


# Pods


def _pod(request: AdmissionRequest, node: str) -> None:
    if request.operation == "DELETE":
        if (request.old or {})["spec"].get("nodeName") != node:
            raise request.forbid(f'node "{node}" can only delete pods with spec.nodeName set to itself')
    elif request.operation == "CREATE":
        _mirror_pod(request, node, request.object or {})
    else:
        raise request.forbid(f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods')


def _mirror_pod(request: AdmissionRequest, node: str, pod: Object) -> None:
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    if _MIRROR not in (metadata.get("annotations") or {}):
        raise request.forbid(f'pod does not have "{_MIRROR}" annotation, node "{node}" can only create mirror pods')
    only = f'node "{node}" can only create pods with'
    if spec.get("nodeName") != node:
        raise request.forbid(f"{only} spec.nodeName set to itself")
    owners = metadata.get("ownerReferences") or []
    if len(owners) > 1:
        raise request.forbid(f"{only} a single owner reference set to itself")
    if not owners or (owners[0].get("apiVersion"), owners[0].get("kind"), owners[0].get("name")) != ("v1", "Node", node):
        raise request.forbid(f"{only} an owner reference set to itself")
    owner = owners[0]
    if not owner.get("controller"):
        raise request.forbid(f"{only} a controller owner reference set to itself")
    if owner.get("blockOwnerDeletion"):
        raise request.forbid(f'node "{node}" must not set blockOwnerDeletion on an owner reference')
    stored = request.reader.get("nodes", node)
    if stored is None:
        raise not_found("nodes", "", node)
    if owner.get("uid") != stored["metadata"]["uid"]:
        raise request.forbid(f"node {node} UID mismatch: expected {owner.get('uid') or ''} got {stored['metadata']['uid']}")
    if what := _api_reference(pod):
        raise request.forbid(f'node "{node}" can not create pods that reference {what}')


def _api_reference(pod: Object) -> str:
    """What of the API a Pod cannot do without, in the words of podutil.HasAPIObjectReference; empty where there is nothing."""
    spec = pod.get("spec") or {}
    named = {resource for resource, _ in references(pod)}
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    for resource in ("secrets", "configmaps"):
        if resource in named:
            return resource
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for volume in spec.get("volumes") or []:
        for kind, what in _VOLUMES.items():
            if kind in volume:
                return what
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind, what in _PROJECTED.items():
                if kind in source:
                    return what
    return ""


def _pod_status(request: AdmissionRequest, node: str) -> None:
    if request.operation != "UPDATE":
        raise request.forbid(f'unexpected operation "{request.operation}"')
    new, old = request.object or {}, request.old or {}
    if old["spec"].get("nodeName") != node:
        raise request.forbid(f'node "{node}" can only update pod status for pods with spec.nodeName set to itself')
    if not same(new["metadata"].get("labels"), old["metadata"].get("labels")):
        raise request.forbid(f'node "{node}" cannot update labels through pod status')
    now, before = new.get("status") or {}, old.get("status") or {}
    if not same(now.get("resourceClaimStatuses"), before.get("resourceClaimStatuses")):
        raise request.forbid(f'node "{node}" cannot update resource claim statues')
    if not same(now.get("extendedResourceClaimStatus"), before.get("extendedResourceClaimStatus")):
        raise request.forbid(f'node "{node}" cannot update extended resource claim status')


# The node


def _node(request: AdmissionRequest, node: str) -> None:
    if request.name != node:
        raise request.forbid(f'node "{node}" is not allowed to modify node "{request.name}"')
    new, old = request.object or {}, request.old or {}
    source = (new.get("spec") or {}).get("configSource")
    if request.operation == "CREATE":
        if source is not None:
            raise request.forbid(f'node "{node}" is not allowed to create pods with a non-nil configSource')
        if kept := _forbidden_labels(new, {}):
            raise request.forbid(f'node "{node}" is not allowed to set the following labels: {", ".join(kept)}')
    elif request.operation == "UPDATE":
        before = old.get("spec") or {}
        if source is not None and not same(source, before.get("configSource")):
            raise request.forbid(f'node "{node}" is not allowed to update configSource to a new non-nil configSource')
        if not same((new.get("spec") or {}).get("taints"), before.get("taints")):
            raise request.forbid(f'node "{node}" is not allowed to modify taints')
        if not same(new["metadata"].get("ownerReferences"), old["metadata"].get("ownerReferences")):
            raise request.forbid(f'node "{node}" is not allowed to modify ownerReferences')
        if kept := _forbidden_labels(new, old):
            raise request.forbid(f"is not allowed to modify labels: {', '.join(kept)}")


def _forbidden_labels(new: Object, old: Object) -> list[str]:
    """The labels that differ and by which a node could draw Pods to itself that are not meant for it."""
    now, before = ((each.get("metadata") or {}).get("labels") or {} for each in (new, old))
    changed = [name for name in now.keys() | before.keys() if now.get(name) != before.get(name)]
    return sorted(name for name in changed if _is_kept_from_nodes(name))


def _is_kept_from_nodes(label: str) -> bool:
    domain = label.partition("/")[0] if "/" in label else ""
    if _is_below(domain, _RESTRICTED):
        return True
    of_kubernetes = _is_below(domain, "kubernetes.io") or _is_below(domain, "k8s.io")
    return of_kubernetes and label not in _KUBELET_LABELS and not any(_is_below(domain, each) for each in _KUBELET_DOMAINS)


def _is_below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


# What belongs to its Pods


def _claim_status(request: AdmissionRequest, node: str) -> None:
    if request.operation != "UPDATE":
        raise request.forbid(f'unexpected operation "{request.operation}"')
    if not same(_without_resize(request.object or {}), _without_resize(request.old or {})):
        raise request.forbid(f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions')


def _without_resize(claim: Object) -> Object:
    metadata = {name: value for name, value in claim["metadata"].items() if name not in ("resourceVersion", "managedFields")}
    status = {name: value for name, value in (claim.get("status") or {}).items() if name not in _RESIZED}
    return {**claim, "metadata": metadata, "status": status}


def _resource_slice(request: AdmissionRequest, node: str) -> None:
    looked_at = {"CREATE": request.object, "DELETE": request.old}.get(request.operation)
    if looked_at is not None and (looked_at.get("spec") or {}).get("nodeName") != node:
        verb = request.operation.lower()
        raise request.forbid(f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


def _signing_request(request: AdmissionRequest, node: str) -> None:
    """A certificate that a kubelet asks for itself names its own node."""
    spec = (request.object or {}).get("spec") or {}
    if request.operation != "CREATE" or spec.get("signerName") not in _KUBELET_SIGNERS:
        return
    # Loaded when a kubelet asks for a certificate, which those of this cluster never do.
    from clusters.embedded import certificates

    try:
        name = certificates.common_name(spec.get("request") or "")
    except ValueError as error:
        raise request.forbid(f"unable to parse csr: {error}") from None
    if name != f"system:node:{node}":
        raise request.forbid(f"can only create a node CSR with CN=system:node:{node}")
