"""Validation: an object (and what it replaces) flows in, what is wrong with it comes out, in the API server's words and order."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded import resources as served
from clusters.embedded.apiserver.validation import (
    access,
    batch,
    config,
    content,
    field,
    metadata,
    pod_update,
    pods,
    policy,
    services,
    storage,
    workloads,
)
from clusters.embedded.apiserver.validation.field import Errors
from clusters.embedded.errors import FieldError
from kubeobjects import Object

Identity = tuple[str, str]

_APPS, _RBAC, _NETWORKING = "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"

# The spec and the rest beside metadata, checked at every write of the object itself.
_KINDS: dict[Identity, Callable[[Object], Errors]] = {
    ("v1", "ConfigMap"): config.config_map,
    ("v1", "Secret"): config.secret,
    ("v1", "Namespace"): config.namespace,
    ("v1", "Node"): config.node,
    ("v1", "Endpoints"): config.endpoints,
    ("v1", "Event"): config.event,
    ("v1", "Service"): services.service,
    ("v1", "PersistentVolumeClaim"): storage.claim,
    ("v1", "PersistentVolume"): storage.volume,
    ("v1", "ResourceQuota"): policy.resource_quota,
    ("v1", "LimitRange"): policy.limit_range,
    ("v1", "ReplicationController"): workloads.replication_controller,
    (_APPS, "Deployment"): workloads.deployment,
    (_APPS, "ReplicaSet"): workloads.replica_set,
    (_APPS, "DaemonSet"): workloads.daemon_set,
    (_APPS, "StatefulSet"): workloads.stateful_set,
    ("batch/v1", "Job"): batch.job,
    ("batch/v1", "CronJob"): batch.cron_job,
    ("storage.k8s.io/v1", "StorageClass"): storage.storage_class,
    ("policy/v1", "PodDisruptionBudget"): policy.pod_disruption_budget,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): policy.horizontal_pod_autoscaler,
    ("scheduling.k8s.io/v1", "PriorityClass"): policy.priority_class,
    ("node.k8s.io/v1", "RuntimeClass"): policy.runtime_class,
    ("discovery.k8s.io/v1", "EndpointSlice"): config.endpoint_slice,
    ("coordination.k8s.io/v1", "Lease"): config.lease,
    (_RBAC, "Role"): access.role,
    (_RBAC, "ClusterRole"): access.cluster_role,
    (_RBAC, "RoleBinding"): access.role_binding,
    (_RBAC, "ClusterRoleBinding"): access.cluster_role_binding,
    (_NETWORKING, "Ingress"): access.ingress,
    (_NETWORKING, "NetworkPolicy"): access.network_policy,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): access.custom_resource_definition,
}
# What may not change, given (new, old).
_UPDATES: dict[Identity, Callable[[Object, Object], Errors]] = {
    ("v1", "ConfigMap"): config.config_map_update,
    ("v1", "Secret"): config.secret_update,
    ("v1", "Node"): config.node_update,
    ("v1", "Service"): services.service_update,
    ("v1", "PersistentVolumeClaim"): storage.claim_update,
    ("v1", "PersistentVolume"): storage.volume_update,
    ("v1", "ResourceQuota"): policy.resource_quota_update,
    (_APPS, "Deployment"): workloads.immutable_selector,
    (_APPS, "ReplicaSet"): workloads.immutable_selector,
    (_APPS, "DaemonSet"): workloads.immutable_selector,
    (_APPS, "StatefulSet"): workloads.stateful_set_update,
    ("batch/v1", "Job"): batch.job_update,
    ("storage.k8s.io/v1", "StorageClass"): storage.storage_class_update,
    ("scheduling.k8s.io/v1", "PriorityClass"): policy.priority_class_update,
    ("node.k8s.io/v1", "RuntimeClass"): policy.runtime_class_update,
    ("discovery.k8s.io/v1", "EndpointSlice"): config.endpoint_slice_update,
    (_RBAC, "RoleBinding"): access.binding_update,
    (_RBAC, "ClusterRoleBinding"): access.binding_update,
}
_POD_UPDATES: dict[str, Callable[[Object, Object], Errors]] = {
    "": pod_update.update,
    "status": pod_update.status_update,
    "ephemeralcontainers": pod_update.ephemeral_containers_update,
    "resize": pod_update.resize,
    "binding": pod_update.binding,
}
# Most names are DNS subdomains; these are not.
_NAMES: dict[Identity, metadata.NameRule] = {
    ("v1", "Namespace"): content.dns_label,
    ("v1", "Service"): content.dns_1035_label,
    (_RBAC, "Role"): content.path_segment,
    (_RBAC, "ClusterRole"): content.path_segment,
    (_RBAC, "RoleBinding"): content.path_segment,
    (_RBAC, "ClusterRoleBinding"): content.path_segment,
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): content.path_segment,
    ("v1", "Event"): lambda name: [],
}
# Reviews are answered and never stored: they need no name.
_UNNAMED = ("authentication.k8s.io/v1", "authorization.k8s.io/v1")


def validate(obj: Object, old: Object | None = None, subresource: str = "") -> list[FieldError]:
    """What is wrong with `obj` (defaulted, with name and namespace set); empty where nothing is.

    `old` is the stored object of an update. `subresource` is the one written (status, scale, ephemeralcontainers, …) or "".
    """
    identity = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if identity[0] in _UNNAMED:
        return []
    if identity == ("v1", "Pod"):
        if old is None:
            return field.unique(pods.create(obj))
        return field.unique(_POD_UPDATES.get(subresource, pod_update.update)(obj, old))
    if old is None:
        found = metadata.object_meta(obj["metadata"], _namespaced(identity), _NAMES.get(identity, content.dns_subdomain))
    else:
        found = metadata.object_meta_update(obj["metadata"], old["metadata"])
    if subresource in ("", "finalize"):
        if identity in _KINDS:
            found += _KINDS[identity](obj)
        if old is not None and identity in _UPDATES:
            found += _UPDATES[identity](obj, old)
    return field.unique(found)


def _namespaced(identity: Identity) -> bool:
    resource = served.by_kind().get(identity)
    return resource is not None and resource.namespaced
