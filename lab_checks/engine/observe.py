"""Facts read off a cluster: why a Pod is Pending, what ended a container, what a node has left.

Functions from objects to facts; `context.py` fetches the objects.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from kubeobjects import Object, quantity
from kubeobjects.podresources import asked
from lab_checks.engine.verdict import Seen

GPU = "nvidia.com/gpu"
GPU_TAINT = "nvidia.com/gpu"

_PLUGIN_SOCKETS = "/var/lib/kubelet/device-plugins"


def amount(value: str | int | float | None) -> Decimal:
    """The number in a quantity: bytes, cores or devices; 0 for none. Raises ValueError for what is no quantity."""
    return quantity.parse(value or "0")


def whole(text: object) -> int:
    """The number that a label gives; 0 where somebody wrote something else there."""
    return int(str(text)) if str(text).isdecimal() else 0


def named(obj: Object) -> str:
    """`pod/api-7d9c`: how kubectl names an object."""
    return f"{obj.get('kind', 'object').lower()}/{obj['metadata']['name']}"


# Scheduling


@dataclass(frozen=True)
class Reason:
    """One reason of a FailedScheduling message: how many nodes, and why. `kind` is one of the words below, `text` the scheduler's own."""

    nodes: int
    kind: str
    text: str


# The part of each reason that carries the meaning: the words around it changed from version to version.
_KINDS = (
    ("gpu", re.compile(rf"Insufficient {re.escape(GPU)}")),
    ("extended", re.compile(r"Insufficient [\w.-]+/[\w.-]+")),
    ("memory", re.compile(r"Insufficient memory")),
    ("cpu", re.compile(r"Insufficient cpu")),
    ("pods", re.compile(r"Too many pods")),
    ("taint", re.compile(r"had untolerated taint")),
    ("selector", re.compile(r"didn't match Pod's node affinity/selector")),
    ("unschedulable", re.compile(r"were unschedulable|is unschedulable")),
    ("volume", re.compile(r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim")),
)
_HEAD = re.compile(r"^\d+/(\d+) nodes are available: ?")
_PART = re.compile(r"(\d+) (?=node\(s\)|Insufficient|Too many)(.*?)(?=, \d+ (?:node\(s\)|Insufficient|Too many)|$)", re.S)


def reasons(message: str) -> list[Reason]:
    """The reasons in a FailedScheduling message, without what it says of preemption."""
    body = _HEAD.sub("", re.split(r"\.?\s*(?:preemption:|no new claims to deallocate)", message)[0]).rstrip(" .,")
    found = []
    for count, text in _PART.findall(body):
        kind = next((kind for kind, pattern in _KINDS if pattern.search(text)), "other")
        found.append(Reason(int(count), kind, text.strip().rstrip(".,")))
    return found


def scheduled_condition(pod: Object) -> Object:
    return condition(pod, "PodScheduled")


def condition(obj: Object, kind: str) -> Object:
    """The condition of that type; {} where the object has none."""
    return next((each for each in obj.get("status", {}).get("conditions") or [] if each.get("type") == kind), {})


def is_ready(obj: Object) -> bool:
    return bool(condition(obj, "Ready").get("status") == "True")


def is_pending_for_a_node(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") == "Pending" and not pod["spec"].get("nodeName")


# Containers


@dataclass(frozen=True)
class Ending:
    """How a container ended last: `reason` as Kubernetes names it (OOMKilled, Error, Completed), `code` its exit code."""

    container: str
    reason: str
    code: int
    restarts: int

    @property
    def told(self) -> str:
        """`OOMKilled, exit code 137, 1 restart`."""
        return f"{self.reason}, exit code {self.code}, {self.restarts} restart{'s' * (self.restarts != 1)}"


def endings(pod: Object) -> list[Ending]:
    """The last ending of each container: its present one, else the one before. Containers that never ended are left out."""
    found = []
    for status in pod.get("status", {}).get("containerStatuses") or []:
        over = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if over:
            found.append(Ending(status["name"], over.get("reason", ""), over.get("exitCode", 0), status.get("restartCount", 0)))
    return found


# What a kubelet says of containers whose node was restarted: it does not know how they ended (kuberuntime's status of a lost container).
_LOST = ("Unknown", 255)


def restarted_by_itself(pod: Object, container: str, changed: float) -> float:
    """Seconds since the epoch at which a container came up again after an ending that says nothing of it as it is now; 0 where there is none such.

    That is: its node was restarted, or it had been started before what it reads (`changed`, seconds since the epoch) was put right.
    """
    status = _status(pod, container)
    last, running = status.get("lastState", {}).get("terminated") or {}, status.get("state", {}).get("running") or {}
    if not last or not running.get("startedAt"):
        return 0.0
    lost = (last.get("reason"), last.get("exitCode")) == _LOST
    return moment(running["startedAt"]) if lost or _began_before(last, changed) else 0.0


def will_read_it_anew(pod: Object, container: str, changed: float) -> bool:
    """Whether a container that is down had been started before what it reads was put right (`changed`, seconds since the epoch)."""
    status = _status(pod, container)
    last = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    return "running" not in status.get("state", {}) and _began_before(last, changed)


def running_for(pod: Object, container: str) -> float:
    """Seconds that a container has been running, by this machine's clock; infinite where it is not running."""
    running = _status(pod, container).get("state", {}).get("running") or {}
    return time.time() - moment(running["startedAt"]) if running.get("startedAt") else math.inf


def _status(pod: Object, container: str) -> Object:
    found: Object = next((each for each in pod.get("status", {}).get("containerStatuses") or [] if each["name"] == container), {})
    return found


def _began_before(ended: Object, changed: float) -> bool:
    return bool(ended.get("startedAt")) and ended.get("reason") == "Error" and moment(ended["startedAt"]) <= changed


def moment(stamp: str) -> float:
    """Seconds since the epoch of a timestamp as the API and `kubectl logs --timestamps` write it."""
    return datetime.fromisoformat(stamp).timestamp()


def newest(pods: Iterable[Object]) -> Object | None:
    """The Pod that was made last, of those that are not on their way out; None where there is none."""
    staying = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return max(staying, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)


def restarts(pod: Object) -> int:
    return sum(status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses") or [])


def container(pod_spec: Object, name: str = "") -> Object:
    """The container called `name`, else the first; {} where there is none."""
    containers = pod_spec.get("containers") or []
    return next((each for each in containers if each["name"] == name), containers[0] if containers and not name else {})


# Nodes


@dataclass(frozen=True)
class NodeFacts:
    """A node's devices and rules. `promised` is what its label says, `capacity` and `allocatable` what its kubelet says."""

    name: str
    promised: int
    capacity: int
    allocatable: int
    held: int
    product: str
    taints: tuple[tuple[str, str, str], ...]
    unschedulable: bool
    ready: bool

    @property
    def free(self) -> int:
        return max(0, self.allocatable - self.held)


def node_facts(node: Object, pods: list[Object]) -> NodeFacts:
    """What a node has, and what the Pods bound to it hold of it."""
    labels = node["metadata"].get("labels") or {}
    status = node.get("status", {})
    name = node["metadata"]["name"]
    held = sum(
        int(asked(pod["spec"], GPU))
        for pod in pods
        if pod["spec"].get("nodeName") == name and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    )
    return NodeFacts(
        name=name,
        promised=whole(labels.get(f"{GPU}.count", "0")),
        capacity=int(status.get("capacity", {}).get(GPU, "0")),
        allocatable=int(status.get("allocatable", {}).get(GPU, "0")),
        held=held,
        product=labels.get(f"{GPU}.product", ""),
        taints=taints(node),
        unschedulable=bool(node["spec"].get("unschedulable")),
        ready=is_ready(node),
    )


def taints(node: Object) -> tuple[tuple[str, str, str], ...]:
    """(key, value, effect) of each taint that somebody set; those that Kubernetes sets by itself are left out."""
    rows = node["spec"].get("taints") or []
    return tuple(
        sorted((row["key"], row.get("value", ""), row["effect"]) for row in rows if not row["key"].startswith("node.kubernetes.io/"))
    )


def shown(value: object) -> str:
    """A value as kubectl prints it: `<none>`, `true`, a whole number without a point, `a=b,c=d` for labels, `a,b` for names, JSON for the rest."""
    if value is None or value in ({}, [], ""):
        return "<none>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return f"{float(value):.12g}"
    if isinstance(value, dict) and not any(isinstance(each, dict | list) for each in value.values()):
        return ",".join(f"{key}={shown(each)}" for key, each in value.items())
    if isinstance(value, list | tuple) and not any(isinstance(each, dict | list) for each in value):
        return ",".join(map(shown, value))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def see(obj: Object, field: str, value: object) -> Seen:
    """What was seen at a field of an object, the value as `shown` prints it."""
    return Seen(named(obj), field, shown(value))


def is_plugin(daemonset: Object) -> bool:
    """Whether a DaemonSet is a device plugin: it reaches for the folder in which the kubelet listens for plugins."""
    volumes = daemonset["spec"]["template"]["spec"].get("volumes") or []
    return any((each.get("hostPath") or {}).get("path", "").rstrip("/") == _PLUGIN_SOCKETS for each in volumes)


def plugin_pod(pods: list[Object], node: str) -> Object | None:
    """The Ready Pod of a device plugin on a node."""
    mine = (pod for pod in pods if pod["spec"].get("nodeName") == node and is_plugin({"spec": {"template": pod}}) and is_ready(pod))
    return next(mine, None)


def promised(node: Object) -> int:
    """GPUs that a node's labels promise."""
    labels = node["metadata"].get("labels") or {}
    return whole(labels.get(f"{GPU}.count", "1")) if labels.get(f"{GPU}.present") == "true" else 0
