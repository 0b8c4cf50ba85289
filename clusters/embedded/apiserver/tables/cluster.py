"""Rows of Nodes, Namespaces, Events, configuration, storage, scheduling and dynamic resources."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.embedded.apiserver.tables import durations
from clusters.embedded.apiserver.tables.text import age
from kubeobjects import Object, meta

Cells = list[Any]

_ROLE = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CLASS = "volume.beta.kubernetes.io/storage-class"


def _roles(labels: dict[str, str]) -> str:
    found = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get(_ROLE_LABEL):
        found.add(labels[_ROLE_LABEL])
    return ",".join(sorted(found)) or "<none>"


def _address(status: Object, kind: str) -> str:
    return next((each["address"] for each in status.get("addresses") or [] if each.get("type") == kind), "<none>")


def node(obj: Object, now: datetime) -> Cells:
    status, info = obj.get("status") or {}, (obj.get("status") or {}).get("nodeInfo") or {}
    ready = meta.condition(obj, "Ready")
    shown = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    if (obj.get("spec") or {}).get("unschedulable"):
        shown += ",SchedulingDisabled"
    return [
        obj["metadata"]["name"],
        shown,
        _roles(obj["metadata"].get("labels") or {}),
        age(obj, now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        *(info.get(name) or durations.UNKNOWN for name in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def namespace(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), age(obj, now)]


def event(obj: Object, now: datetime) -> Cells:
    """Events of both API groups: what events.k8s.io calls otherwise is looked for under both names."""
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    kind, name = (involved.get("kind") or "").lower(), involved.get("name")
    first = durations.since(obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"), now)
    seen = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = durations.since(seen, now) if seen else first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if obj.get("series"):
        last, count = durations.since(obj["series"].get("lastObservedTime"), now), obj["series"].get("count", 0)
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        involved.get("fieldPath", ""),
        f"{component}, {instance}" if instance else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        first,
        count,
        obj["metadata"]["name"],
    ]


def config_map(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def secret(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or {}), age(obj, now)]


def name_and_age(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], age(obj, now)]


def _modes(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or []))


def _class(obj: Object) -> str:
    annotated = (obj["metadata"].get("annotations") or {}).get(_CLASS)
    return annotated if annotated is not None else (obj.get("spec") or {}).get("storageClassName") or ""


def _phase(obj: Object) -> str:
    return "Terminating" if meta.is_deleting(obj) else (obj.get("status") or {}).get("phase", "")


def persistent_volume_claim(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        obj["metadata"]["name"],
        _phase(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or "<unset>",
        age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def persistent_volume(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    claim = spec.get("claimRef")
    return [
        obj["metadata"]["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or "<unset>",
        (obj.get("status") or {}).get("reason", ""),
        age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def storage_class(obj: Object, now: datetime) -> Cells:
    annotations = obj["metadata"].get("annotations") or {}
    default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    return [
        obj["metadata"]["name"] + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


def resource_quota(obj: Object, now: datetime) -> Cells:
    status = obj.get("status") or {}
    columns: dict[bool, list[str]] = {False: [], True: []}
    for name, hard in sorted((status.get("hard") or {}).items()):
        used = (status.get("used") or {}).get(name, "0")
        columns[name.startswith("limits.")].append(f"{name}: {used}/{hard}")
    return [obj["metadata"]["name"], ", ".join(columns[False]), ", ".join(columns[True]), age(obj, now)]


def priority_class(obj: Object, now: datetime) -> Cells:
    default = bool(obj.get("globalDefault"))
    return [obj["metadata"]["name"], obj.get("value", 0), default, age(obj, now), obj.get("preemptionPolicy", "")]


def lease(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]


def runtime_class(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], obj.get("handler", ""), age(obj, now)]


def resource_claim(obj: Object, now: datetime) -> Cells:
    status = obj.get("status") or {}
    states = []
    if meta.is_deleting(obj):
        states.append("deleted")
    if status.get("allocation") is None:
        states = states or ["pending"]
    else:
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    return [obj["metadata"]["name"], ",".join(states), age(obj, now)]


def resource_slice(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    node = spec.get("nodeName") or ("<all>" if spec.get("allNodes") else "<none>")
    return [obj["metadata"]["name"], node, spec.get("driver", ""), (spec.get("pool") or {}).get("name", ""), age(obj, now)]


def component_status(obj: Object, now: datetime) -> Cells:
    healthy = next((each for each in obj.get("conditions") or [] if each.get("type") == "Healthy"), None)
    status = "Unknown" if healthy is None else "Healthy" if healthy.get("status") == "True" else "Unhealthy"
    return [obj["metadata"]["name"], status, (healthy or {}).get("message", ""), (healthy or {}).get("error", "")]


def csi_node(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], len((obj.get("spec") or {}).get("drivers") or []), age(obj, now)]


def csi_driver(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    return [
        obj["metadata"]["name"],
        *(spec.get(name, False) for name in ("attachRequired", "podInfoOnMount", "storageCapacity")),
        ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or []) or "<unset>",
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or []) or "<none>",
        age(obj, now),
    ]


def csi_storage_capacity(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], obj.get("storageClassName", ""), obj.get("capacity") or "<unset>"]


def volume_attachment(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool((obj.get("status") or {}).get("attached"))
    return [obj["metadata"]["name"], spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age(obj, now)]


def volume_attributes_class(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], obj.get("driverName", ""), age(obj, now)]
