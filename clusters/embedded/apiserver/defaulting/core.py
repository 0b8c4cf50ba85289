"""Defaults of the core group's kinds."""

from __future__ import annotations

import base64
from collections.abc import Callable

from clusters.embedded.apiserver.defaulting import pod as pods
from clusters.embedded.apiserver.defaulting.common import (
    Object,
    default,
    default_empty,
    drop_empty,
    quantity_field,
    resource_list,
    struct,
)
from kubeobjects import qos

# v1.DefaultClientIPServiceAffinitySeconds
_AFFINITY_SECONDS = 10800
_OVERCOMMITTED = ("cpu", "memory")


def _pod_level_requests(spec: Object) -> None:
    """Requests of the Pod as a whole: what its containers ask for together, else its limits (KEP-2837)."""
    resources = spec.get("resources")
    if not resources or not resources.get("limits"):
        return
    requests = struct(resources, "requests")
    for name, amount in qos.requests_of_containers(spec).items():
        if name in _OVERCOMMITTED:
            requests.setdefault(name, amount)
    for name, amount in resources["limits"].items():
        requests.setdefault(name, amount)


def pod(obj: Object) -> None:
    struct(obj, "metadata")
    spec = struct(obj, "spec")
    pods.pod_spec(spec)
    # The conversion between the versions makes a second of what is below zero, in Pods only.
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    # Limits become requests in Pods only: a template keeps what its author wrote.
    for each in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        limits = each["resources"].get("limits")
        if limits:
            each["resources"]["requests"] = {**limits, **(each["resources"].get("requests") or {})}
    _pod_level_requests(spec)
    default(spec, "enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for each in pods.all_containers(spec):
            for port in each.get("ports") or []:
                default_empty(port, "hostPort", port.get("containerPort"))
    struct(obj, "status")


def service(obj: Object) -> None:
    spec = struct(obj, "spec")
    default_empty(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = struct(struct(spec, "sessionAffinityConfig"), "clientIP")
        default(client, "timeoutSeconds", _AFFINITY_SECONDS)
    default_empty(spec, "type", "ClusterIP")
    for port in spec.get("ports") or []:
        default_empty(port, "protocol", "TCP")
        default_empty(port, "targetPort", port.get("port"))
        drop_empty(port, "nodePort", "name")
    reachable = spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    if reachable:
        default_empty(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] != "ExternalName":
        default(spec, "internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        default(spec, "allocateLoadBalancerNodePorts", True)
    struct(struct(obj, "status"), "loadBalancer")


def namespace(obj: Object) -> None:
    metadata = struct(obj, "metadata")
    if metadata.get("name"):
        labels = struct(metadata, "labels")
        labels["kubernetes.io/metadata.name"] = metadata["name"]
    struct(obj, "spec")
    default_empty(struct(obj, "status"), "phase", "Active")


def _pod_ranges(spec: Object) -> None:
    """The old field of one range and the new one of several say the same (core/v1/conversion.go)."""
    one, several = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if one and (not several or several[0] != one):
        several = [one]
    if several:
        spec["podCIDR"], spec["podCIDRs"] = several[0], several


def node(obj: Object) -> None:
    _pod_ranges(struct(obj, "spec"))
    status = struct(obj, "status")
    resource_list(status, "capacity")
    resource_list(status, "allocatable")
    if status.get("capacity") is not None:
        default(status, "allocatable", dict(status["capacity"]))
    struct(struct(status, "daemonEndpoints"), "kubeletEndpoint").setdefault("Port", 0)
    info = struct(status, "nodeInfo")
    for name in (
        "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
        "kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture",
    ):  # fmt: skip
        default(info, name, "")


def secret(obj: Object) -> None:
    default_empty(obj, "type", "Opaque")
    # stringData is write-only: the conversion to the stored version encodes it into data.
    written = obj.pop("stringData", None)
    if written:
        data = struct(obj, "data")
        data.update({key: base64.b64encode(text.encode()).decode() for key, text in written.items()})
    drop_empty(obj, "data")


def config_map(obj: Object) -> None:
    drop_empty(obj, "data", "binaryData")


def persistent_volume(obj: Object) -> None:
    spec = struct(obj, "spec")
    default_empty(spec, "persistentVolumeReclaimPolicy", "Retain")
    default(spec, "volumeMode", "Filesystem")
    resource_list(spec, "capacity")
    if spec.get("hostPath") is not None:
        default(spec["hostPath"], "type", "")
    if spec.get("claimRef") is not None:
        default_empty(spec["claimRef"], "apiVersion", "v1")
        default_empty(spec["claimRef"], "kind", "PersistentVolumeClaim")
    default_empty(struct(obj, "status"), "phase", "Pending")


def persistent_volume_claim(obj: Object) -> None:
    pods.claim_spec(struct(obj, "spec"))
    status = struct(obj, "status")
    default_empty(status, "phase", "Pending")
    resource_list(status, "capacity")


def endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            default_empty(port, "protocol", "TCP")


def limit_range(obj: Object) -> None:
    spec = struct(obj, "spec")
    spec.setdefault("limits", None)
    for item in spec["limits"] or []:
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            resource_list(item, name)
        if item.get("type") != "Container":
            continue
        # A limit that is only bounded above defaults to the bound; a request defaults to the limit, else to the lower bound.
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


def resource_quota(obj: Object) -> None:
    resource_list(struct(obj, "spec"), "hard")
    status = struct(obj, "status")
    resource_list(status, "hard")
    resource_list(status, "used")


def replication_controller(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(spec, "replicas", 1)
    if spec.get("template") is not None:
        labels = (spec["template"].get("metadata") or {}).get("labels")
        if labels:
            default_empty(spec, "selector", dict(labels))
            default_empty(struct(obj, "metadata"), "labels", dict(labels))
        pods.template(spec)
    default(struct(obj, "status"), "replicas", 0)


def pod_template(obj: Object) -> None:
    pods.template(obj)


def event(obj: Object) -> None:
    struct(obj, "involvedObject")
    struct(obj, "source")
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(name, None)
    default(obj, "reportingComponent", "")
    default(obj, "reportingInstance", "")


def event_v1(obj: Object) -> None:
    struct(obj, "regarding")
    struct(obj, "deprecatedSource")
    for name in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"):
        obj.setdefault(name, None)


def scale(obj: Object) -> None:
    struct(obj, "spec")
    struct(obj, "status").setdefault("replicas", 0)


def _quantities_only(obj: Object) -> None:
    quantity_field(obj, "capacity")
    quantity_field(obj, "maximumVolumeSize")


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("v1", "Pod"): pod,
    ("v1", "PodTemplate"): pod_template,
    ("v1", "Service"): service,
    ("v1", "Namespace"): namespace,
    ("v1", "Node"): node,
    ("v1", "Secret"): secret,
    ("v1", "ConfigMap"): config_map,
    ("v1", "PersistentVolume"): persistent_volume,
    ("v1", "PersistentVolumeClaim"): persistent_volume_claim,
    ("v1", "Endpoints"): endpoints,
    ("v1", "LimitRange"): limit_range,
    ("v1", "ResourceQuota"): resource_quota,
    ("v1", "ReplicationController"): replication_controller,
    ("v1", "Event"): event,
    ("events.k8s.io/v1", "Event"): event_v1,
    ("autoscaling/v1", "Scale"): scale,
    ("storage.k8s.io/v1", "CSIStorageCapacity"): _quantities_only,
}
