"""What a kubelet may do over the API: what belongs to its node, and no more (plugin/pkg/auth/authorizer/node).

The kubelets of this cluster are parts of its own process and are not asked; this is for whoever acts as `system:node:<name>`. That a node
changes itself and its own Pods only is left to admission (`admission/node_restriction.py`), as in the real cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.store import Store
from kubeobjects import Object
from kubeobjects.pod_references import references

_LEASES = "kube-node-lease"
_READ = ("get", "list", "watch")
_OWN_VERBS = ("get", "create", "update", "patch", "delete")
# bootstrappolicy.NodeRules, of what is not looked at one by one below.
RULES: list[Object] = [
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"]},
    {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews", "localsubjectaccessreviews"]},
    {"verbs": list(_READ), "apiGroups": [""], "resources": ["services"]},
    {"verbs": ["create", "update", "patch"], "apiGroups": ["", "events.k8s.io"], "resources": ["events"]},
    {"verbs": ["get"], "apiGroups": [""], "resources": ["endpoints"]},
    {
        "verbs": ["create", "get", "list", "watch"],
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["certificatesigningrequests"],
    },
    {"verbs": list(_READ), "apiGroups": ["storage.k8s.io"], "resources": ["csidrivers"]},
    {"verbs": list(_READ), "apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"]},
]


class NodeAuthorizer:
    def __init__(self, store: Store):
        self._store = store

    def decide(self, node: str, attributes: Attributes) -> tuple[bool | None, str]:
        """(allowed, why not); None where it is a matter of `RULES`."""
        match f"{attributes.resource}.{attributes.group}":
            case "secrets." | "configmaps.":
                return self._reading(node, attributes)
            case "serviceaccounts.":
                return self._account(node, attributes)
            case "persistentvolumeclaims." if attributes.subresource == "status":
                if attributes.verb not in ("update", "patch"):
                    return False, "can only get/update/patch this type"
                return self._related(node, attributes)
            case "persistentvolumeclaims." | "persistentvolumes." | "resourceclaims.resource.k8s.io" | "volumeattachments.storage.k8s.io":
                if attributes.verb != "get":
                    return False, "can only get individual resources of this type"
                return (False, "cannot get subresource") if attributes.subresource else self._related(node, attributes)
            case "leases.coordination.k8s.io":
                return _lease(node, attributes)
            case "csinodes.storage.k8s.io":
                return _csi_node(node, attributes)
            case "resourceslices.resource.k8s.io":
                return self._slice(node, attributes)
            case "nodes.":
                return _node(node, attributes)
            case "pods.":
                return self._pod(node, attributes)
        return None, ""

    def _related(self, node: str, attributes: Attributes) -> tuple[bool, str]:
        if not attributes.name:
            return False, "No Object name found"
        if (attributes.resource, attributes.namespace or "", attributes.name) in set(self._relations(node)):
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    def _relations(self, node: str) -> Iterator[tuple[str, str, str]]:
        """(resource, namespace, name) of all that the node's Pods refer to."""
        for pod in self._store.list("pods"):
            if pod["spec"].get("nodeName") != node:
                continue
            namespace = pod["metadata"]["namespace"]
            yield "pods", namespace, pod["metadata"]["name"]
            for resource, name in references(pod):
                yield resource, namespace, name
                if resource == "persistentvolumeclaims":
                    claim = self._store.get(resource, name, namespace)
                    if claim is not None and claim["spec"].get("volumeName"):
                        yield "persistentvolumes", "", claim["spec"]["volumeName"]
        for attachment in self._store.list("volumeattachments.storage.k8s.io"):
            if attachment["spec"].get("nodeName") == node:
                yield "volumeattachments", "", attachment["metadata"]["name"]

    def _reading(self, node: str, attributes: Attributes) -> tuple[bool, str]:
        if attributes.verb not in _READ:
            return False, "can only read resources of this type"
        if attributes.subresource:
            return False, "cannot read subresource"
        if not attributes.namespace:
            return False, "can only read namespaced object of this type"
        return self._related(node, attributes)

    def _account(self, node: str, attributes: Attributes) -> tuple[bool, str]:
        if attributes.verb == "get" and not attributes.subresource:
            return self._reading(node, attributes)
        if attributes.verb != "create" or not attributes.name:
            return False, "can only create tokens for individual service accounts"
        if attributes.subresource != "token":
            return False, "can only create token subresource of serviceaccount"
        return self._related(node, attributes)

    def _slice(self, node: str, attributes: Attributes) -> tuple[bool, str]:
        if attributes.subresource:
            return False, "cannot authorize ResourceSlice subresources"
        if attributes.verb in ("list", "watch", "deletecollection"):
            if attributes.selects("spec.nodeName", node):
                return True, ""
            return False, "can only list/watch/deletecollection resourceslices with nodeName field selector"
        if attributes.verb == "create":
            return True, ""
        found = self._store.get("resourceslices.resource.k8s.io", attributes.name)
        if found is not None and found["spec"].get("nodeName") == node:
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    def _pod(self, node: str, attributes: Attributes) -> tuple[bool, str]:
        subresource, verb = attributes.subresource, attributes.verb
        if not subresource and verb in ("list", "watch"):
            if attributes.selects("spec.nodeName", node):
                return True, ""
            if not attributes.name:
                return False, "can only list/watch pods with spec.nodeName field selector"
            return self._related(node, attributes)
        if not subresource and verb == "get":
            return self._related(node, attributes)
        allowed = {"": ("create", "delete"), "status": ("update", "patch"), "eviction": ("create",)}
        return verb in allowed.get(subresource, ()), ""


def _lease(node: str, attributes: Attributes) -> tuple[bool, str]:
    if attributes.verb not in _OWN_VERBS:
        return False, "can only get, create, update, patch, or delete a node lease"
    if attributes.namespace != _LEASES:
        return False, f'can only access leases in the "{_LEASES}" system namespace'
    return _of_own_name(node, attributes, "can only access node lease with the same name as the requesting node")


def _csi_node(node: str, attributes: Attributes) -> tuple[bool, str]:
    if attributes.verb not in _OWN_VERBS:
        return False, "can only get, create, update, patch, or delete a CSINode"
    if attributes.subresource:
        return False, "cannot authorize CSINode subresources"
    return _of_own_name(node, attributes, "can only access CSINode with the same name as the requesting node")


def _of_own_name(node: str, attributes: Attributes, why: str) -> tuple[bool, str]:
    return (True, "") if attributes.verb == "create" or attributes.name == node else (False, why)


def _node(node: str, attributes: Attributes) -> tuple[bool, str]:
    verb, subresource, name = attributes.verb, attributes.subresource, attributes.name
    if verb in _READ and not subresource:
        if name == node:
            return True, ""
        whom = f"'{name}'" if name else "all nodes"
        return False, f"node '{node}' cannot read {whom}, only its own Node object"
    allowed = {"": ("create", "update", "patch"), "status": ("update", "patch")}
    return verb in allowed.get(subresource, ()), ""
