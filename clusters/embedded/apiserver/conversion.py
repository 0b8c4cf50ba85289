"""Resources that are served in more than one form and stored in one.

Events are stored as core/v1 and served as events.k8s.io/v1 too; HorizontalPodAutoscalers are stored as autoscaling/v2 and
served as autoscaling/v1 too. What the older form cannot say travels in annotations, as in pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

import json
from typing import Any

from clusters.embedded.resources import Resource
from kubeobjects import Object
from kubeobjects.selectors import text_of

# Field names of core/v1 Event and what events.k8s.io/v1 calls them.
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_EVENT_FIELDS_BACK = {new: old for old, new in _EVENT_FIELDS.items()}
_METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR_ANNOTATION = "autoscaling.alpha.kubernetes.io/behavior"
_CONDITIONS_ANNOTATION = "autoscaling.alpha.kubernetes.io/conditions"


def stored_as(resource: Resource) -> str:
    """The name under which the store keeps objects of `resource`."""
    return "events" if resource.name == "events.events.k8s.io" else resource.name


def to_stored(resource: Resource, obj: Object) -> Object:
    """`obj` in the form that is stored; the same object where both forms are one."""
    if resource.group == "events.k8s.io":
        return {_EVENT_FIELDS_BACK.get(key, key): value for key, value in obj.items()} | {"apiVersion": "v1"}
    if (resource.group, resource.version) == ("autoscaling", "v1"):
        return _autoscaler_to_v2(obj)
    return obj


def to_served(resource: Resource, obj: Object) -> Object:
    """A stored object in the form of `resource`; the same object where both forms are one."""
    if resource.custom is not None:
        return resource.custom.to_served(obj)
    if resource.group == "events.k8s.io":
        return {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()} | {"apiVersion": "events.k8s.io/v1"}
    if (resource.group, resource.version) == ("autoscaling", "v1"):
        return _autoscaler_to_v1(obj)
    return obj


def to_scale(resource: Resource, obj: Object) -> Object:
    """autoscaling/v1 Scale of a workload."""
    if resource.custom is not None:
        return resource.custom.scale(obj)
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    kept = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in metadata}
    selector = spec.get("selector")
    text = text_of(selector) if resource.group else ",".join(f"{key}={value}" for key, value in sorted((selector or {}).items()))
    status: Object = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    if text:
        status["selector"] = text
    replicas = spec.get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def as_asked_for(resource: Resource, subresource: str, obj: Object) -> Object:
    """A stored object in the form that the request is about: of `scale` that is the Scale, as policies and webhooks are shown it."""
    return to_scale(resource, obj) if subresource == "scale" else to_served(resource, obj)


def _cpu_target(metric: Object) -> int | None:
    named = metric.get("resource") or {}
    if metric.get("type") != "Resource" or named.get("name") != "cpu":
        return None
    return (named.get("target") or {}).get("averageUtilization")


def _autoscaler_to_v1(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(obj["metadata"].get("annotations") or {})
    others = []
    for metric in spec.pop("metrics", None) or []:
        target = _cpu_target(metric)
        if target is not None and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = target
        else:
            others.append(metric)
    if others:
        annotations[_METRICS_ANNOTATION] = json.dumps(others)
    if behavior := spec.pop("behavior", None):
        annotations[_BEHAVIOR_ANNOTATION] = json.dumps(behavior)
    for metric in status.pop("currentMetrics", None) or []:
        current = ((metric.get("resource") or {}).get("current") or {}).get("averageUtilization")
        if current is not None and metric["resource"].get("name") == "cpu":
            status["currentCPUUtilizationPercentage"] = current
    if conditions := status.pop("conditions", None):
        annotations[_CONDITIONS_ANNOTATION] = json.dumps(conditions)
    metadata = dict(obj["metadata"]) | ({"annotations": annotations} if annotations else {})
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _autoscaler_to_v2(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    metrics = _read(annotations.pop(_METRICS_ANNOTATION, None)) or []
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
        metrics = [{"type": "Resource", "resource": cpu}, *metrics]
    if metrics:
        spec["metrics"] = metrics
    if behavior := _read(annotations.pop(_BEHAVIOR_ANNOTATION, None)):
        spec["behavior"] = behavior
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}]
    if conditions := _read(annotations.pop(_CONDITIONS_ANNOTATION, None)):
        status["conditions"] = conditions
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _read(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
