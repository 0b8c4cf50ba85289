"""Defaults of the apps group: Deployment, ReplicaSet, DaemonSet, StatefulSet."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting import pod as pods
from clusters.embedded.apiserver.defaulting.common import Object, default, default_empty, drop_empty, struct


def deployment(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(spec, "replicas", 1)
    strategy = struct(spec, "strategy")
    default_empty(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = struct(strategy, "rollingUpdate")
        default(rolling, "maxUnavailable", "25%")
        default(rolling, "maxSurge", "25%")
    default(spec, "revisionHistoryLimit", 10)
    default(spec, "progressDeadlineSeconds", 600)
    drop_empty(spec, "minReadySeconds", "paused")
    pods.template(spec)
    struct(obj, "status")


def replica_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    default(spec, "replicas", 1)
    drop_empty(spec, "minReadySeconds")
    pods.template(spec)
    default(struct(obj, "status"), "replicas", 0)


def daemon_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    strategy = struct(spec, "updateStrategy")
    default_empty(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = struct(strategy, "rollingUpdate")
        default(rolling, "maxUnavailable", 1)
        default(rolling, "maxSurge", 0)
    default(spec, "revisionHistoryLimit", 10)
    pods.template(spec)
    status = struct(obj, "status")
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        default(status, name, 0)


def stateful_set(obj: Object) -> None:
    spec = struct(obj, "spec")
    default_empty(spec, "podManagementPolicy", "OrderedReady")
    strategy = struct(spec, "updateStrategy")
    default_empty(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        default(struct(strategy, "rollingUpdate"), "partition", 0)
    retention = struct(spec, "persistentVolumeClaimRetentionPolicy")
    default_empty(retention, "whenDeleted", "Retain")
    default_empty(retention, "whenScaled", "Retain")
    default(spec, "replicas", 1)
    default(spec, "revisionHistoryLimit", 10)
    default(spec, "serviceName", "")
    pods.template(spec)
    for claim in spec.get("volumeClaimTemplates") or []:
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        pods.claim_spec(struct(claim, "spec"))
        default_empty(struct(claim, "status"), "phase", "Pending")
    status = struct(obj, "status")
    default(status, "replicas", 0)
    default(status, "availableReplicas", 0)


def controller_revision(obj: Object) -> None:
    default(obj, "revision", 0)


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("apps/v1", "Deployment"): deployment,
    ("apps/v1", "ReplicaSet"): replica_set,
    ("apps/v1", "DaemonSet"): daemon_set,
    ("apps/v1", "StatefulSet"): stateful_set,
    ("apps/v1", "ControllerRevision"): controller_revision,
}
