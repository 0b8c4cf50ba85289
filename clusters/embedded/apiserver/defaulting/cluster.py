"""Defaults of cluster-wide kinds: storage, scheduling, coordination, dynamic resources."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting.common import Object, default, default_empty, struct
from kubeobjects import meta


def storage_class(obj: Object) -> None:
    default(obj, "reclaimPolicy", "Delete")
    default(obj, "volumeBindingMode", "Immediate")


def csi_driver(obj: Object) -> None:
    spec = struct(obj, "spec")
    for name, value in (
        ("attachRequired", True),
        ("podInfoOnMount", False),
        ("storageCapacity", False),
        ("requiresRepublish", False),
        ("seLinuxMount", False),
    ):
        default(spec, name, value)
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType")
    default_empty(spec, "volumeLifecycleModes", ["Persistent"])


def csi_node(obj: Object) -> None:
    struct(obj, "spec").setdefault("drivers", None)


def priority_class(obj: Object) -> None:
    default(obj, "preemptionPolicy", "PreemptLowerPriority")
    default(obj, "value", 0)


def lease(obj: Object) -> None:
    struct(obj, "spec")


def _device_requests(spec: Object) -> None:
    devices = struct(spec, "devices")
    devices.setdefault("requests", None)
    for request in devices["requests"] or []:
        wanted = [request["exactly"]] if request.get("exactly") is not None else request.get("firstAvailable") or []
        for each in wanted:
            default_empty(each, "allocationMode", "ExactCount")
            if each["allocationMode"] == "ExactCount":
                default_empty(each, "count", 1)
            for toleration in each.get("tolerations") or []:
                default_empty(toleration, "operator", "Equal")


def resource_claim(obj: Object) -> None:
    _device_requests(struct(obj, "spec"))
    struct(obj, "status")


def resource_claim_template(obj: Object) -> None:
    template = struct(obj, "spec")
    struct(template, "metadata")
    _device_requests(struct(template, "spec"))


def device_class(obj: Object) -> None:
    struct(obj, "spec")


def resource_slice(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(struct(spec, "pool"), "generation", 0)
    for device in spec.get("devices") or []:
        for amount in (device.get("capacity") or {}).values():
            default(amount, "value", "0")
        for taint in device.get("taints") or []:
            default(taint, "timeAdded", meta.now())


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("storage.k8s.io/v1", "StorageClass"): storage_class,
    ("storage.k8s.io/v1", "CSIDriver"): csi_driver,
    ("storage.k8s.io/v1", "CSINode"): csi_node,
    ("scheduling.k8s.io/v1", "PriorityClass"): priority_class,
    ("coordination.k8s.io/v1", "Lease"): lease,
    ("resource.k8s.io/v1", "ResourceClaim"): resource_claim,
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): resource_claim_template,
    ("resource.k8s.io/v1", "DeviceClass"): device_class,
    ("resource.k8s.io/v1", "ResourceSlice"): resource_slice,
}
