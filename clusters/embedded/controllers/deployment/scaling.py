"""How many Pods each ReplicaSet of a Deployment is to have next: numbers in, numbers out (deploymentutil)."""

from __future__ import annotations

import math

from clusters.embedded.client import Object
from clusters.embedded.controllers.deployment import revisions
from kubeobjects.int_or_string import scaled


def replicas(obj: Object) -> int:
    """`spec.replicas`, 1 where it is not set."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else value


def available(replica_set: Object) -> int:
    return (replica_set.get("status") or {}).get("availableReplicas", 0)


def total(replica_sets: list[Object]) -> int:
    return sum(replicas(each) for each in replica_sets)


def actual(replica_sets: list[Object], field: str = "replicas") -> int:
    return sum((each.get("status") or {}).get(field, 0) for each in replica_sets)


def is_rolling_update(deployment: Object) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in Pods; both zero would stop everything, so one may then be unavailable."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge"), replicas(deployment), up=True)
    unavailable = scaled(rolling.get("maxUnavailable"), replicas(deployment), up=False)
    return surge, (1 if surge == 0 and unavailable == 0 else unavailable)


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0] if is_rolling_update(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    if not is_rolling_update(deployment) or replicas(deployment) == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas(deployment))


def new_set_replicas(deployment: Object, every: list[Object], current: int) -> int:
    """How many the newest ReplicaSet may have: up to the surge over what all have together (NewRSNewReplicas)."""
    if not is_rolling_update(deployment):
        return replicas(deployment)
    room = replicas(deployment) + max_surge(deployment) - total(every)
    if room <= 0:
        return current
    return current + min(room, replicas(deployment) - current)


def scale_down_old(deployment: Object, old: list[Object], new: Object) -> dict[str, int]:
    """New sizes, by name, of the old ReplicaSets in a rolling update: unhealthy Pods go first, then as many as may be missing."""
    every = [*old, new]
    least_available = replicas(deployment) - max_unavailable(deployment)
    new_unavailable = replicas(new) - available(new)
    may_go = total(every) - least_available - new_unavailable
    if may_go <= 0 or total(old) == 0:
        return {}
    sizes = {each["metadata"]["name"]: replicas(each) for each in old}
    for each in revisions.oldest_first(old):
        unhealthy = min(may_go, sizes[each["metadata"]["name"]] - available(each))
        if sizes[each["metadata"]["name"]] and unhealthy > 0:
            sizes[each["metadata"]["name"]] -= unhealthy
            may_go -= unhealthy
    spare = sum(available(each) for each in every) - least_available
    for each in revisions.oldest_first(old):
        gone = min(sizes[each["metadata"]["name"]], max(0, spare))
        sizes[each["metadata"]["name"]] -= gone
        spare -= gone
    return {each["metadata"]["name"]: sizes[each["metadata"]["name"]] for each in old if sizes[each["metadata"]["name"]] != replicas(each)}


def _annotated(replica_set: Object, name: str) -> int | None:
    try:
        return int(revisions.annotations_of(replica_set)[name])
    except (KeyError, ValueError):
        return None


def is_scaling_event(deployment: Object, replica_sets: list[Object]) -> bool:
    """The Deployment was resized since its active ReplicaSets were last sized for it."""
    wanted = replicas(deployment)
    active = [each for each in replica_sets if replicas(each) > 0]
    return any((desired := _annotated(each, revisions.DESIRED)) is not None and desired != wanted for each in active)


def proportional(deployment: Object, active: list[Object]) -> dict[str, int]:
    """Sizes of several active ReplicaSets when a Deployment is resized during a rollout: each gets its share of the change."""
    allowed = replicas(deployment) + max_surge(deployment) if replicas(deployment) > 0 else 0
    change = allowed - total(active)
    newest_first = list(reversed(revisions.oldest_first(active)))
    by_size = sorted(newest_first, key=replicas, reverse=True)
    if change < 0:
        by_size = sorted(revisions.oldest_first(active), key=replicas, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for each in by_size:
        sizes[each["metadata"]["name"]] = replicas(each)
        if change:
            share = _share(each, deployment, change, added)
            sizes[each["metadata"]["name"]] += share
            added += share
    if by_size and change:
        largest = by_size[0]["metadata"]["name"]
        sizes[largest] = max(0, sizes[largest] + change - added)
    return sizes


def _share(replica_set: Object, deployment: Object, change: int, added: int) -> int:
    if replicas(replica_set) == 0:
        return 0
    before = _annotated(replica_set, revisions.MAX) or ((deployment.get("status") or {}).get("replicas", 0)) or 1
    grown = replicas(replica_set) * (replicas(deployment) + max_surge(deployment)) / before
    wanted = math.floor(grown + 0.5) - replicas(replica_set)
    return min(wanted, change - added) if change > 0 else max(wanted, change - added)
