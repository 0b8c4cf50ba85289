"""What a Deployment's status says: counts, Available, Progressing and ReplicaFailure (deployment/progress.go, sync.go)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import set_condition, without_condition, without_zeros
from clusters.embedded.controllers.deployment import scaling
from kubeobjects import meta

AVAILABLE = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}
UNAVAILABLE = {
    "type": "Available",
    "status": "False",
    "reason": "MinimumReplicasUnavailable",
    "message": "Deployment does not have minimum availability.",
}
PAUSED = {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "message": "Deployment is paused"}
RESUMED = {"type": "Progressing", "status": "Unknown", "reason": "DeploymentResumed", "message": "Deployment is resumed"}

# The API server defaults progressDeadlineSeconds; this value means that there is no deadline.
_NO_DEADLINE = 2**31 - 1


def _progressing(status: str, reason: str, message: str) -> Object:
    return {"type": "Progressing", "status": status, "reason": reason, "message": message}


def created(name: str) -> Object:
    return _progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')


def found(name: str) -> Object:
    return _progressing("True", "FoundNewReplicaSet", f'Found new replica set "{name}"')


def create_failed(name: str, why: str) -> Object:
    return _progressing("False", "ReplicaSetCreateError", f'Failed to create new replica set "{name}": {why}')


def with_progress(status: Object, condition: Object) -> Object:
    return {**status, "conditions": set_condition(status.get("conditions") or [], condition, update_time=True)}


def deadline(deployment: Object) -> int | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, _NO_DEADLINE) else seconds


def counts(deployment: Object, every: list[Object], new: Object | None) -> Object:
    """The numbers and the Available condition."""
    available = scaling.actual(every, "availableReplicas")
    status = deployment.get("status") or {}
    enough = available >= scaling.replicas(deployment) - scaling.max_unavailable(deployment)
    return without_zeros(
        {
            "observedGeneration": deployment["metadata"].get("generation", 0),
            "replicas": scaling.actual(every),
            "updatedReplicas": scaling.actual([new] if new else []),
            "readyReplicas": scaling.actual(every, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, scaling.total(every) - available),
            "terminatingReplicas": scaling.actual(every, "terminatingReplicas"),
            "collisionCount": status.get("collisionCount"),
            "conditions": set_condition(status.get("conditions") or [], AVAILABLE if enough else UNAVAILABLE, update_time=True),
        },
        "terminatingReplicas",
    )


def is_complete(deployment: Object, status: Object) -> bool:
    wanted = scaling.replicas(deployment)
    return (
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def _is_progressing(old: Object, new: Object) -> bool:
    """Something moved: more updated, fewer old, more ready or more available Pods than before."""
    old_updated, new_updated = old.get("updatedReplicas", 0), new.get("updatedReplicas", 0)
    return (
        new_updated > old_updated
        or new.get("replicas", 0) - new_updated < old.get("replicas", 0) - old_updated
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def has_timed_out(deployment: Object, condition: Object | None, now: datetime | None = None) -> bool:
    seconds = deadline(deployment)
    if condition is None or seconds is None or condition.get("reason") == "NewReplicaSetAvailable":
        return False
    if condition.get("reason") == "ProgressDeadlineExceeded":
        return True
    since = meta.parse_time(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return since + timedelta(seconds=seconds) < (now or datetime.now(UTC))


def rolled_out(deployment: Object, every: list[Object], new: Object | None, now: datetime | None = None) -> Object:
    """The status during and after a rollout: counts, progress measured against the deadline, and failures of the ReplicaSets."""
    old = deployment.get("status") or {}
    status = counts(deployment, every, new)
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    condition = meta.condition(deployment, "Progressing")
    settled = (
        condition is not None
        and condition.get("reason") == "NewReplicaSetAvailable"
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )
    if deadline(deployment) is not None and not settled:
        if is_complete(deployment, status):
            status = with_progress(status, _progressing("True", "NewReplicaSetAvailable", f"{name} has successfully progressed."))
        elif _is_progressing(old, status):
            status = _progressed(status, _progressing("True", "ReplicaSetUpdated", f"{name} is progressing."))
        elif has_timed_out(deployment, condition, now):
            status = with_progress(status, _progressing("False", "ProgressDeadlineExceeded", f"{name} has timed out progressing."))
    return _with_failures(status, every, new)


def _progressed(status: Object, condition: Object) -> Object:
    """Every step forward renews the condition's lastUpdateTime, so that the deadline counts from it."""
    known = next((each for each in status.get("conditions") or [] if each["type"] == "Progressing"), None)
    renewed = set_condition(without_condition(status.get("conditions") or [], "Progressing"), condition, update_time=True)
    if known is not None and known["status"] == "True":
        renewed[-1]["lastTransitionTime"] = known["lastTransitionTime"]
    return {**status, "conditions": renewed}


def _with_failures(status: Object, every: list[Object], new: Object | None) -> Object:
    conditions = status.get("conditions") or []
    failures = [meta.condition(each, "ReplicaFailure") for each in ([new] if new else []) + [each for each in every if each is not new]]
    failure = next((each for each in failures if each is not None), None)
    if failure is None:
        return {**status, "conditions": without_condition(conditions, "ReplicaFailure")}
    wanted: Object = {name: failure[name] for name in ("type", "status", "reason", "message") if name in failure}
    return {**status, "conditions": set_condition(conditions, wanted, update_time=True)}


def seconds_to_deadline(deployment: Object, status: Object, now: datetime | None = None) -> float | None:
    """When to look again at a rollout that does not move, or None where nothing is waited for."""
    seconds = deadline(deployment)
    condition = next((each for each in status.get("conditions") or [] if each["type"] == "Progressing"), None)
    if seconds is None or condition is None or condition.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    if is_complete(deployment, status):
        return None
    since = meta.parse_time(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    # A second more than the deadline: the times in conditions are whole seconds.
    return max(0.0, (since + timedelta(seconds=seconds) - (now or datetime.now(UTC))).total_seconds()) + 1.0
