"""Validation: an object (and what it replaces) flows in, what is wrong with it comes out, in the API server's words and order."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded import resources as served
from clusters.embedded.apiserver.validation import (
    access,
    admission_policies,
    autoscaling,
    batch,
    claim_status,
    config,
    content,
    crds,
    cron_jobs,
    dra,
    endpoints,
    events,
    metadata,
    network,
    nodes,
    pod_update,
    pods,
    policy,
    quota,
    resource_slices,
    services,
    stateful_sets,
    storage,
    webhook_configurations,
    workloads,
)
from clusters.embedded.apiserver.validation.field import Errors
from clusters.embedded.errors import FieldError
from kubeobjects import Object

Identity = tuple[str, str]

_ADMISSION = "admissionregistration.k8s.io/v1"
_DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_APPS, _RBAC, _NETWORKING, _RESOURCE = "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1", "resource.k8s.io/v1"

# The spec and the rest beside metadata, checked at every write of the object itself.
_KINDS: dict[Identity, Callable[[Object], Errors]] = {
    ("v1", "ConfigMap"): config.config_map,
    ("v1", "Secret"): config.secret,
    ("v1", "Namespace"): nodes.namespace,
    ("v1", "Node"): nodes.node,
    ("v1", "Endpoints"): endpoints.endpoints,
    ("v1", "Event"): events.event,
    ("v1", "Service"): services.service,
    ("v1", "PersistentVolumeClaim"): storage.claim,
    ("v1", "PersistentVolume"): storage.volume,
    ("v1", "ResourceQuota"): quota.resource_quota,
    ("v1", "LimitRange"): quota.limit_range,
    ("v1", "ReplicationController"): workloads.replication_controller,
    (_APPS, "Deployment"): workloads.deployment,
    (_APPS, "ReplicaSet"): workloads.replica_set,
    (_APPS, "DaemonSet"): workloads.daemon_set,
    (_APPS, "StatefulSet"): stateful_sets.stateful_set,
    ("batch/v1", "Job"): batch.job,
    ("batch/v1", "CronJob"): cron_jobs.cron_job,
    ("storage.k8s.io/v1", "StorageClass"): storage.storage_class,
    ("policy/v1", "PodDisruptionBudget"): policy.pod_disruption_budget,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.horizontal_pod_autoscaler,
    ("scheduling.k8s.io/v1", "PriorityClass"): policy.priority_class,
    ("node.k8s.io/v1", "RuntimeClass"): policy.runtime_class,
    ("discovery.k8s.io/v1", "EndpointSlice"): endpoints.endpoint_slice,
    ("coordination.k8s.io/v1", "Lease"): config.lease,
    (_RBAC, "Role"): access.role,
    (_RBAC, "ClusterRole"): access.cluster_role,
    (_RBAC, "RoleBinding"): access.role_binding,
    (_RBAC, "ClusterRoleBinding"): access.cluster_role_binding,
    (_NETWORKING, "Ingress"): network.ingress,
    (_NETWORKING, "NetworkPolicy"): network.network_policy,
    (_ADMISSION, "ValidatingAdmissionPolicy"): admission_policies.validating_admission_policy,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): admission_policies.validating_admission_policy_binding,
    (_ADMISSION, "MutatingAdmissionPolicy"): admission_policies.mutating_admission_policy,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): admission_policies.mutating_admission_policy_binding,
    (_ADMISSION, "ValidatingWebhookConfiguration"): webhook_configurations.validating_webhook_configuration,
    (_ADMISSION, "MutatingWebhookConfiguration"): webhook_configurations.mutating_webhook_configuration,
    (_RESOURCE, "ResourceClaim"): dra.resource_claim,
    (_RESOURCE, "ResourceClaimTemplate"): dra.resource_claim_template,
    (_RESOURCE, "DeviceClass"): dra.device_class,
    (_RESOURCE, "ResourceSlice"): resource_slices.resource_slice,
    _DEFINITION: crds.custom_resource_definition,
}
# What may not change, given (new, old).
_UPDATES: dict[Identity, Callable[[Object, Object], Errors]] = {
    ("v1", "ConfigMap"): config.config_map_update,
    ("v1", "Secret"): config.secret_update,
    ("v1", "Node"): nodes.node_update,
    ("v1", "Service"): services.service_update,
    ("v1", "PersistentVolumeClaim"): storage.claim_update,
    ("v1", "PersistentVolume"): storage.volume_update,
    ("v1", "ResourceQuota"): quota.resource_quota_update,
    (_APPS, "Deployment"): workloads.immutable_selector,
    (_APPS, "ReplicaSet"): workloads.immutable_selector,
    (_APPS, "DaemonSet"): workloads.immutable_selector,
    (_APPS, "StatefulSet"): stateful_sets.stateful_set_update,
    ("batch/v1", "Job"): batch.job_update,
    ("storage.k8s.io/v1", "StorageClass"): storage.storage_class_update,
    ("scheduling.k8s.io/v1", "PriorityClass"): policy.priority_class_update,
    ("node.k8s.io/v1", "RuntimeClass"): policy.runtime_class_update,
    ("discovery.k8s.io/v1", "EndpointSlice"): endpoints.endpoint_slice_update,
    (_RESOURCE, "ResourceClaim"): dra.spec_update,
    (_RESOURCE, "ResourceClaimTemplate"): dra.template_update,
    (_RESOURCE, "ResourceSlice"): resource_slices.resource_slice_update,
    (_RBAC, "RoleBinding"): access.binding_update,
    (_RBAC, "ClusterRoleBinding"): access.binding_update,
    _DEFINITION: crds.custom_resource_definition_update,
}
_POD_UPDATES: dict[str, Callable[[Object, Object], Errors]] = {
    "": pod_update.update,
    "status": pod_update.status_update,
    "ephemeralcontainers": pod_update.ephemeral_containers_update,
    "resize": pod_update.resize,
    "binding": pod_update.binding,
}
_STATUS_UPDATES: dict[Identity, Callable[[Object, Object], Errors]] = {(_RESOURCE, "ResourceClaim"): claim_status.update}
# Kinds whose spec never changes: an update is asked for nothing else.
_FIXED: frozenset[Identity] = frozenset({(_RESOURCE, "ResourceClaim"), (_RESOURCE, "ResourceClaimTemplate")})
# Most names are DNS subdomains; these are not.
_NAMES: dict[Identity, metadata.NameRule] = {
    ("v1", "Namespace"): content.dns_label,
    ("v1", "Service"): content.dns_label,
    (_RBAC, "Role"): content.path_segment,
    (_RBAC, "ClusterRole"): content.path_segment,
    (_RBAC, "RoleBinding"): content.path_segment,
    (_RBAC, "ClusterRoleBinding"): content.path_segment,
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): content.path_segment,
}
# Kinds that look at nothing but their own fields: metadata gets the common look of every write where these are right.
_OWN_FIELDS_ONLY: frozenset[Identity] = frozenset({("v1", "Event"), ("policy/v1", "PodDisruptionBudget")})
# Kinds whose metadata is looked at as that of any object, of the API server's own kinds or not.
_PLAIN_METADATA = frozenset({_DEFINITION, *(each for each in _KINDS if each[0] == _ADMISSION), *_OWN_FIELDS_ONLY})
# Reviews are answered and never stored: they need no name.
_UNNAMED = ("authentication.k8s.io/v1", "authorization.k8s.io/v1")


def validate(obj: Object, old: Object | None = None, subresource: str = "") -> list[FieldError]:
    """What is wrong with `obj` (defaulted, with name and namespace set); empty where nothing is.

    `old` is the stored object of an update. `subresource` is the one written (status, scale, ephemeralcontainers, …) or "".
    """
    custom = served.custom_kind(obj)
    if custom is not None:
        return custom.validate(obj, old, subresource)
    identity = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if identity[0] in _UNNAMED:
        return []
    if identity == ("v1", "Pod"):
        if old is None:
            return pods.create(obj)
        return _POD_UPDATES.get(subresource, pod_update.update)(obj, old)
    if old is None and identity in _OWN_FIELDS_ONLY:
        return _KINDS[identity](obj) or metadata.object_meta(obj["metadata"], _namespaced(identity), content.path_segment)
    if old is None:
        found = metadata.object_meta(obj["metadata"], _namespaced(identity), _name_rule(identity, obj))
    else:
        found = metadata.object_meta_update(obj["metadata"], old["metadata"])
    if identity in _KINDS and identity not in _PLAIN_METADATA:
        found += metadata.standard_finalizers(obj["metadata"])
    if subresource in ("", "finalize"):
        if identity in _KINDS and (old is None or identity not in _FIXED):
            found += _KINDS[identity](obj)
        if old is not None and identity in _UPDATES:
            found += _UPDATES[identity](obj, old)
    if subresource == "status" and old is not None and identity in _STATUS_UPDATES:
        found += _STATUS_UPDATES[identity](obj, old)
    return found


def _name_rule(identity: Identity, obj: Object) -> metadata.NameRule:
    return crds.name(obj) if identity == _DEFINITION else _NAMES.get(identity, content.dns_subdomain)


def _namespaced(identity: Identity) -> bool:
    resource = served.by_kind().get(identity)
    return resource is not None and resource.namespaced
