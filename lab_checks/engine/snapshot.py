"""The whole cluster at one moment: every object of every kind, in every namespace and at cluster scope, as plain JSON.

What controllers make of other objects (ReplicaSets of a Deployment, the Pods of a ReplicaSet, EndpointSlices of a Service, events) is left out: it
follows from what people write. What is kept of an object is what people decide in it; Secrets are kept as digests of their values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine.api import Api

# resource -> "namespace/name" ("name" at cluster scope) -> object
Snapshot = dict[str, dict[str, Object]]

# Kinds in which nobody decides anything: reports, leases, and what controllers derive from other objects.
_DERIVED = frozenset(
    {
        "events", "leases", "componentstatuses", "controllerrevisions", "csinodes", "csistoragecapacities", "volumeattachments", "ipaddresses",
        "resourceslices", "certificatesigningrequests", "storageversions", "leasecandidates",
    }
)  # fmt: skip
_DERIVED_GROUPS = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"})
# ConfigMaps that the control plane writes and renews by itself.
_OWN_CONFIG = frozenset({"kube-root-ca.crt", "cluster-info", "extension-apiserver-authentication"})
# Annotations of a node with which faults of its devices are injected.
FAULTS = "gpu.ai-lab.dev/"
_BY_CONDITION = "node.kubernetes.io/"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AT_ONCE = 8


@dataclass(frozen=True)
class Resource:
    """One kind as it is served: `name` is its plural, with the group behind a dot where the group is not one of Kubernetes' own."""

    name: str
    path: str
    namespaced: bool


def resources(api: Api) -> list[Resource]:
    """Every kind that can be listed and in which people decide something, each in the version that its group prefers. Raises ApiUnreachable."""
    found = []
    for root in ("/api", "/apis"):
        for group in (api.raw(root, accept=_DISCOVERY) or {}).get("items") or []:
            name = group["metadata"].get("name", "")
            versions = group.get("versions") or []
            if name in _DERIVED_GROUPS or not versions:
                continue
            base = f"{root}/{name}/{versions[0]['version']}" if name else f"{root}/{versions[0]['version']}"
            for each in versions[0].get("resources") or []:
                if "list" in each.get("verbs", ()) and each["resource"] not in _DERIVED and name != "events.k8s.io":
                    plural = each["resource"] if _is_kubernetes(name) else f"{each['resource']}.{name}"
                    found.append(Resource(plural, f"{base}/{each['resource']}", each.get("scope") == "Namespaced"))
    return found


def _is_kubernetes(group: str) -> bool:
    return "." not in group or group.endswith(".k8s.io")


def take(api: Api) -> Snapshot:
    """One look at everything. Raises ApiUnreachable."""
    kinds = resources(api)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        listed = pool.map(lambda each: api.raw(each.path) or {}, kinds)
        return {kind.name: dict(_kept(kind, answer.get("items") or [])) for kind, answer in zip(kinds, listed, strict=True)}


def _kept(kind: Resource, items: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    for each in items:
        if _is_derived(kind.name, each):
            continue
        metadata = each["metadata"]
        yield (f"{metadata['namespace']}/{metadata['name']}" if kind.namespaced else metadata["name"]), essence(kind.name, each)


def _is_derived(kind: str, obj: Object) -> bool:
    """Whether a controller made the object, or renews it by itself, or it is on its way out.

    A finalizer keeps what was deleted for a while: a claim stays Terminating as long as a Pod uses it, and is lost with that Pod.
    """
    metadata = obj["metadata"]
    # A namespace that goes is still where what is in it has to be looked for.
    if "deletionTimestamp" in metadata and kind != "namespaces":
        return True
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or []):
        return True
    if kind == "endpointslices":
        return labels.get("endpointslice.kubernetes.io/managed-by", "").endswith(".k8s.io")
    if kind == "endpoints":
        return labels.get("endpoints.kubernetes.io/managed-by") == "endpoint-controller" or metadata["namespace"] == "default"
    if kind == "configmaps":
        return metadata["name"] in _OWN_CONFIG or "control-plane.alpha.kubernetes.io/leader" in annotations
    if kind == "secrets":
        return obj.get("type") in ("bootstrap.kubernetes.io/token", "kubernetes.io/service-account-token")
    return kind == "persistentvolumes" and "pv.kubernetes.io/provisioned-by" in annotations


def essence(kind: str, obj: Object) -> Object:
    """What people decide in an object: without status, bookkeeping and what a controller fills in later."""
    metadata = obj["metadata"]
    kept = {
        key: metadata[key]
        for key in ("name", "namespace", "uid", "labels", "annotations", "finalizers", "ownerReferences")
        if metadata.get(key)
    }
    if kind == "nodes":
        return {"metadata": {"name": metadata["name"], "uid": metadata["uid"]}, **node_rules(obj)}
    body = {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    if kind == "secrets":
        body["data"] = {key: hashlib.sha256(value.encode()).hexdigest()[:16] for key, value in (obj.get("data") or {}).items()}
    if kind == "clusterroles" and "aggregationRule" in body:
        body.pop("rules", None)
    if kind == "persistentvolumeclaims":
        body["spec"] = {key: value for key, value in body["spec"].items() if key != "volumeName"}
    if kind == "persistentvolumes":
        body["spec"] = {key: value for key, value in body["spec"].items() if key != "claimRef"}
    if kind == "pods":
        body["spec"] = {key: value for key, value in body["spec"].items() if key != "nodeName"}
    return {"metadata": kept, **body}


def node_rules(node: Object) -> Object:
    """What people set on a node: labels, taints, whether it is cordoned, and the faults injected by annotation."""
    metadata, spec = node["metadata"], node["spec"]
    return {
        "labels": dict(metadata.get("labels") or {}),
        "taints": [
            {key: taint[key] for key in ("key", "value", "effect") if key in taint}
            for taint in spec.get("taints") or []
            if not taint["key"].startswith(_BY_CONDITION)
        ],
        "unschedulable": bool(spec.get("unschedulable")),
        "faults": {key: value for key, value in (metadata.get("annotations") or {}).items() if key.startswith(FAULTS)},
    }
