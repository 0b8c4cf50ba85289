"""How many replicas a metric asks for: Pods and their measured use in, a number out (replica_calculator.go)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from kubeobjects import meta, quantity

# --horizontal-pod-autoscaler-tolerance, -cpu-initialization-period and -initial-readiness-delay.
TOLERANCE = 0.1
# A number of replicas is an int32.
_MOST = 2**31 - 1
_CPU_INITIALIZATION = timedelta(minutes=5)
_READINESS_DELAY = timedelta(seconds=30)

UNREADY = "did not receive metrics for targeted pods (pods might be unready)"


NO_PODS = "no pods returned by selector while calculating replica count"


class MetricError(Exception):
    """A metric that cannot be had or used; the message is the end of the condition's. `within` is what the event puts before it."""

    def __init__(self, message: str, within: str = ""):
        super().__init__(message)
        self.within = within


@dataclass(frozen=True)
class Measured:
    """Replicas wanted, and the current value: `utilization` in percent of the requests, `average` in milli-units a Pod."""

    replicas: int
    utilization: int | None
    average: int


def usage_of(metrics: Object, resource: str, container: str) -> int | None:
    """A Pod's use in milli-units from its PodMetrics, or that of one container; None where it was not measured."""
    found = [
        quantity.milli(each["usage"][resource])
        for each in metrics.get("containers") or []
        if container in ("", each["name"]) and resource in (each.get("usage") or {})
    ]
    return sum(found) if found else None


def requests_of(pod: Object, resource: str, container: str) -> int:
    """The Pod's request in milli-units. Raises MetricError for a container without one."""
    total = 0
    sidecars = [each for each in pod["spec"].get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    for each in [*pod["spec"]["containers"], *sidecars]:
        if container not in ("", each["name"]):
            continue
        request = ((each.get("resources") or {}).get("requests") or {}).get(resource)
        if request is None:
            raise MetricError(f"missing request for {resource} in container {each['name']} of Pod {pod['metadata']['name']}")
        total += quantity.milli(request)
    return total


def _is_unready(pod: Object, metrics: Object, resource: str, now: datetime) -> bool:
    """Pods that are starting say nothing yet about load: their CPU is that of starting."""
    if pods.phase(pod) == "Pending":
        return True
    if resource != "cpu":
        return False
    ready, started = meta.condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if ready is None or not started:
        return True
    since, changed = meta.parse_time(started), meta.parse_time(ready.get("lastTransitionTime") or started)
    if since + _CPU_INITIALIZATION > now:
        window = timedelta(seconds=float(str(metrics.get("window", "0s")).rstrip("s") or 0))
        measured = meta.parse_time(metrics["timestamp"]) if metrics.get("timestamp") else now
        return ready["status"] == "False" or measured < changed + window
    return ready["status"] == "False" and since + _READINESS_DELAY > changed


@dataclass
class _Groups:
    """Pods by name: use of those that count, names of those that are starting, and of those without a measurement."""

    use: dict[str, int]
    unready: set[str]
    missing: set[str]


def _group(every: list[Object], metrics: dict[str, Object], resource: str, container: str, now: datetime) -> _Groups:
    groups = _Groups({}, set(), set())
    for pod in every:
        name = pod["metadata"]["name"]
        if meta.is_deleting(pod) or pods.phase(pod) == "Failed":
            continue
        value = usage_of(metrics.get(name, {}), resource, container)
        if pods.phase(pod) == "Pending":
            groups.unready.add(name)
        elif value is None:
            groups.missing.add(name)
        elif _is_unready(pod, metrics[name], resource, now):
            groups.unready.add(name)
        else:
            groups.use[name] = value
    return groups


def wanted(
    current: int, every: list[Object], metrics: dict[str, Object], target: Object, resource: str, container: str, now: datetime
) -> Measured:
    """Replicas that bring the average of `resource` to `target` (averageUtilization in percent, or averageValue). Raises MetricError."""
    groups = _group(every, metrics, resource, container, now)
    by_name = {pod["metadata"]["name"]: pod for pod in every}
    utilization = target.get("averageUtilization")
    if utilization is not None:
        requests = {name: requests_of(by_name[name], resource, container) for name in [*groups.use, *groups.unready, *groups.missing]}
        goal = utilization / 100
    else:
        requests = dict.fromkeys([*groups.use, *groups.unready, *groups.missing], quantity.milli(target["averageValue"]))
        goal = 1.0
    if not groups.use:
        raise MetricError(UNREADY)

    def ratio(use: dict[str, int]) -> float:
        whole = sum(requests[name] for name in use)
        return sum(use.values()) / whole / goal if whole else 0.0

    first = ratio(groups.use)
    replicas = _replicas(current, groups, requests, first, ratio, goal)
    total = sum(groups.use.values())
    average = total // len(groups.use)
    percent = round(total * 100 / sum(requests[name] for name in groups.use)) if utilization is not None else None
    return Measured(replicas, percent, average)


def wanted_plain(current: int, every: list[Object], values: dict[str, int], target: int) -> Measured:
    """Replicas that bring the average of `values` (milli-units of Pods, by name) to `target` (GetMetricReplicas). Raises MetricError."""
    if not every:
        raise MetricError(NO_PODS)
    groups = _Groups({}, set(), set())
    for pod in every:
        name = pod["metadata"]["name"]
        if meta.is_deleting(pod) or pods.phase(pod) == "Failed":
            continue
        if pods.phase(pod) == "Pending":
            groups.unready.add(name)
        elif name not in values:
            groups.missing.add(name)
        else:
            groups.use[name] = values[name]
    if not groups.use:
        raise MetricError(UNREADY)

    def ratio(use: dict[str, int]) -> float:
        return sum(use.values()) // len(use) / target

    targets = dict.fromkeys([*groups.use, *groups.unready, *groups.missing], target)
    replicas = _replicas(current, groups, targets, ratio(groups.use), ratio, 1.0)
    return Measured(replicas, None, sum(groups.use.values()) // len(groups.use))


def wanted_by_ratio(current: int, every: list[Object], ratio: float) -> int:
    """Replicas for a value that all Pods share, `ratio` times what it should be (getUsageRatioReplicaCount). Raises MetricError."""
    if not current:
        return math.ceil(ratio)
    if abs(ratio - 1) <= TOLERANCE:
        return current
    if not every:
        raise MetricError(f"unable to calculate ready pods: {NO_PODS}")
    ready = sum(pods.phase(pod) == "Running" and pods.is_ready(pod) for pod in every)
    return min(_MOST, math.ceil(ratio * ready))


def wanted_per_pod(replicas: int, value: int, target: int) -> tuple[int, int]:
    """(replicas, value of each) for a value that is to be `target` for each Pod; `replicas` is how many there are."""
    enough = abs(value / (target * replicas) - 1) <= TOLERANCE if replicas else False
    wanted = replicas if enough else min(_MOST, math.ceil(value / target))
    return wanted, math.ceil(value / replicas) if replicas else value


def _replicas(current: int, groups: _Groups, requests: dict[str, int], first: float, ratio: Any, goal: float) -> int:
    growing_with_unready = bool(groups.unready) and first > 1
    if not growing_with_unready and not groups.missing:
        return current if abs(first - 1) <= TOLERANCE else math.ceil(first * len(groups.use))
    use = dict(groups.use)
    # What is not known is taken to speak against the change.
    for name in groups.missing:
        if first < 1:
            use[name] = int(requests[name] * max(1.0, goal))
        elif first > 1:
            use[name] = 0
    if growing_with_unready:
        use |= dict.fromkeys(groups.unready, 0)
    second = ratio(use)
    if abs(second - 1) <= TOLERANCE or (first - 1) * (second - 1) < 0:
        return current
    replicas = math.ceil(second * len(use))
    if (second < 1 and replicas > current) or (second > 1 and replicas < current):
        return current
    return replicas
